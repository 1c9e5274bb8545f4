"""Treatment against control as an effect with a standard error: what every method of time reads.

Stage: samples -> **contrast** -> difference. An estimand (mean, ratio, quantile, ...) and a design (by unit,
by cluster, stratified) make a Contrast; a method (fixed, group sequential, sequential) says how many
standard errors wide its interval is. So any of the former goes with any of the latter.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from meshtrial.stats.estimate import Difference, Interval, NotEstimable, relative_effect

LEAST_UNITS = 2
"""Units in each arm from which on a part has a variance, so that it can be counted."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """Two arms of one metric; the errors of the arms are independent."""

    method: str
    """How the effect was estimated, as a report names it."""
    control: float
    """The control arm's value, in the metric's unit."""
    effect: float
    """Treatment minus control, in the metric's unit; not by way of the values where they are large."""
    control_error: float
    """Standard error of the control arm's value, 0 or more."""
    treatment_error: float
    """Standard error of the treatment arm's value, 0 or more; not both are 0."""
    freedom: float
    """Degrees of freedom of the effect's error, above 0; infinite for a normal approximation."""
    control_units: int
    treatment_units: int

    @property
    def treatment(self) -> float:
        """The treatment arm's value."""
        return self.control + self.effect

    @property
    def error(self) -> float:
        """Standard error of the effect."""
        return math.hypot(self.control_error, self.treatment_error)

    @property
    def information(self) -> float:
        """Of the effect: 1 / error squared."""
        return 1 / self.error**2

    @property
    def units(self) -> int:
        """Units of both arms."""
        return self.control_units + self.treatment_units

    def above(self, margin: float, *, relative: bool) -> "Contrast":
        """The contrast whose effect is 0 where this one's is `margin`, to be tested in its place.

        Args:
            margin: In the metric's unit; or a share of the control arm's value, above -1.
            relative: Which of both. Then it is m1 - (1 + d) m0 with variance v1 + (1 + d)^2 v0, so that the
                control's own error counts.
        """
        factor, shift = (1 + margin, 0.0) if relative else (1.0, margin)
        moved = self.effect - (margin * self.control if relative else shift)
        base = factor * self.control + shift
        return Contrast(
            self.method,
            base,
            moved,
            factor * self.control_error,
            self.treatment_error,
            self.freedom,
            self.control_units,
            self.treatment_units,
        )


Contrasted: TypeAlias = Contrast | NotEstimable


def combine(parts: Sequence[tuple[float, Contrast]]) -> Contrasted:
    """Strata that share no unit as one: the weighted mean of their values and effects.

    Degrees of freedom are Satterthwaite's over the strata (1946, Biometrics Bulletin 2:110), which for
    Welch's strata equals the one over all their arms.

    Args:
        parts: Weights, above 0, of which only the ratios count, with contrasts of one method.
    """
    if not parts:
        return NotEstimable("there is no stratum with units of both arms")
    whole = math.fsum(weight for weight, _ in parts)
    shares = [(weight / whole, part) for weight, part in parts]

    def mean(values: Sequence[float]) -> float:
        return math.fsum(share * value for (share, _), value in zip(shares, values, strict=True))

    # As shares of the largest: fourth powers of a metric's own unit may be too large for a number.
    largest = max(share * part.error for share, part in shares) or 1.0
    errors = [(share * part.error / largest) ** 2 for share, part in shares]
    terms = math.fsum(e * e / part.freedom for e, (_, part) in zip(errors, shares, strict=True))
    return Contrast(
        parts[0][1].method if len(parts) == 1 else f"stratified {parts[0][1].method}",
        mean([part.control for _, part in parts]),
        mean([part.effect for _, part in parts]),
        math.sqrt(math.fsum((share * part.control_error) ** 2 for share, part in shares)),
        math.sqrt(math.fsum((share * part.treatment_error) ** 2 for share, part in shares)),
        math.fsum(errors) ** 2 / terms if terms else math.inf,
        sum(part.control_units for _, part in parts),
        sum(part.treatment_units for _, part in parts),
    )


def difference(contrast: Contrast, critical: float, p_value: float) -> Difference:
    """What a method says of a contrast.

    Args:
        contrast: The estimate.
        critical: Half the interval's width in standard errors, above 0.
        p_value: Two-sided, of no effect, by the method, 0..1.
    """
    half = critical * contrast.error
    return Difference(
        method=contrast.method,
        effect=contrast.effect,
        error=contrast.error,
        interval=Interval(contrast.effect - half, contrast.effect + half),
        p_value=p_value,
        relative=relative_effect(contrast.effect, contrast.control),
        relative_interval=fieller(contrast, critical),
    )


def fieller(contrast: Contrast, critical: float) -> Interval | NotEstimable:
    """Interval of the effect as a share of the control's value: roots r - 1 of a quadratic in r.

    Every r with (m1 - r m0)^2 <= q^2 (v1 + r^2 v0) is compatible with the data. Where the control's value is
    within `critical` of its errors from 0 no such r is too large, and there is no interval.

    Source: Fieller 1954, Journal of the Royal Statistical Society B 16:175.
    """
    # By a power of 2, which costs no digit: fourth powers of the metric's unit may be too large for a number.
    given = (contrast.control, contrast.effect, contrast.control_error, contrast.treatment_error)
    power = -math.frexp(max(map(abs, given)))[1]
    m0, effect, error0, error1 = (math.ldexp(number, power) for number in given)
    q2, v0, v1 = critical**2, error0**2, error1**2
    a = m0 * m0 - q2 * v0
    if not a > 0:  # NaN too: an infinite `critical` times a control without error
        return NotEstimable("the control's value cannot be told from 0, so no share of it has bounds")
    # Of x = r - 1 rather than of r, and with the discriminant as a sum of squares: an effect or an error far
    # smaller than the value keeps its digits.
    b = m0 * effect + q2 * v0
    root = critical * math.sqrt(v0 * (m0 + effect) ** 2 + v1 * a)
    if root == 0:
        return NotEstimable("an error of 0 in both arms, or a treatment of value and error 0, bounds nothing")
    return Interval((b - root) / a, (b + root) / a)
