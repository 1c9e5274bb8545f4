"""Units that had the outcome: counts that merge, and two arms compared."""

import math
from dataclasses import dataclass, replace
from typing import Final, Self

from scipy.special import ndtr, ndtri

from meshtrial.stats.contrast import Contrast, Contrasted, difference
from meshtrial.stats.estimate import Comparison, Interval, NotEstimable, require_alpha

METHOD: Final = "two-proportion z, Newcombe interval"
CONTRAST: Final = "difference of proportions"


@dataclass(frozen=True, slots=True)
class Proportion:
    """Sufficient statistics of a yes-or-no metric in one arm; `Proportion()` is the empty sample.

    Raises:
        ValueError: `successes` is not within 0..`units`.
    """

    units: int = 0
    """Randomised units, never requests."""
    successes: int = 0
    """Units that had the outcome, 0..units."""

    def __post_init__(self) -> None:
        if not 0 <= self.successes <= self.units:
            raise ValueError(f"successes must be within 0..units, not {self.successes} of {self.units}")

    def __add__(self, other: Self) -> Self:
        """Join two samples that share no unit."""
        return type(self)(self.units + other.units, self.successes + other.successes)

    def value(self) -> float | NotEstimable:
        """The share of units that had the outcome, 0..1."""
        if self.units == 0:
            return NotEstimable("the arm has no units")
        return self.successes / self.units


def compare_proportions(control: Proportion, treatment: Proportion, alpha: float) -> Comparison:
    """Difference of two proportions: pooled z test and Newcombe's interval.

    The two-sided p-value is that of Pearson's chi-squared test of the 2x2 table without continuity
    correction, since chi-squared is z squared. The test pools both arms and the interval does not, so
    in a close case one may exclude 0 where the other does not.

    Where no unit or every unit of both arms had the outcome, the interval would exist but the test has
    no variance to stand on: the whole comparison is refused.

    Args:
        control: The arm compared with.
        treatment: The arm compared; no unit is in both.
        alpha: Two-sided error rate of the interval, in (0, 0.5).

    Raises:
        ValueError: `alpha` is out of range.

    Source: Newcombe 1998, Statistics in Medicine 17:873, method 10 (the interval, from Wilson's).
    """
    require_alpha(alpha)
    for arm, sample in (("control", control), ("treatment", treatment)):
        if sample.units == 0:
            return NotEstimable(f"the {arm} arm has no units")
    both = control + treatment
    if both.successes in (0, both.units):
        had = "no unit" if both.successes == 0 else "every unit"
        return NotEstimable(f"{had} of either arm had the outcome, so the test has no variance to stand on")

    contrast = _contrast(control, treatment)
    pooled = both.successes / both.units
    z = contrast.effect / math.sqrt(pooled * (1 - pooled) * (1 / control.units + 1 / treatment.units))
    found = difference(contrast, -float(ndtri(alpha / 2)), float(2 * ndtr(-abs(z))))
    interval = share_interval(contrast, (control.units, treatment.units), -float(ndtri(alpha / 2)))
    return replace(found, method=METHOD, interval=interval)


def proportion_contrast(control: Proportion, treatment: Proportion) -> Contrasted:
    """Difference of two proportions, each arm with its own variance p (1 - p) / n; normal.

    Refused where an arm has no units, and where in both arms the outcome does not vary.
    """
    for arm, sample in (("control", control), ("treatment", treatment)):
        if sample.units == 0:
            return NotEstimable(f"the {arm} arm has no units")
    contrast = _contrast(control, treatment)
    if contrast.error == 0:
        return NotEstimable("the outcome does not vary within either arm, so it has no variance")
    return contrast


def _contrast(control: Proportion, treatment: Proportion) -> Contrast:
    p0, p1 = control.successes / control.units, treatment.successes / treatment.units
    error0 = math.sqrt(p0 * (1 - p0) / control.units)
    error1 = math.sqrt(p1 * (1 - p1) / treatment.units)
    return Contrast(CONTRAST, p0, p1 - p0, error0, error1, math.inf, control.units, treatment.units)


def share_interval(
    contrast: Contrast,
    alike: tuple[float, float],
    critical: float,
    margin: float = 0.0,
    *,
    relative: bool = False,
) -> Interval:
    """Interval of a difference of two shares, each 0..1, that holds for rare outcomes too.

    Each arm has Wilson's interval of as many units as leave its share the error that it has, p (1 - p) by the
    error squared: of a plain proportion its units, over strata or of ratios fewer or more. Newcombe's method
    10 joins both; beyond a relative margin d it is that of p1 - (1 + d) p0 (Zou & Donner).

    Args:
        contrast: Without margin; both values in 0..1.
        alike: Units of control and treatment, above 0, that count where an arm's error is 0, as nobody had
            the outcome, or everybody.
        critical: Half the interval's width in standard errors, above 0.
        margin: What the interval is beyond of: in the metric's unit, or as a share of control's value.
        relative: Which of both.

    Source: Newcombe 1998, Statistics in Medicine 17:873, method 10; Zou & Donner 2008, Statistics in Medicine
    27:1693; effective units as in Korn & Graubard 1998, Survey Methodology 24:193.
    """
    factor, shift = (1 + margin, 0.0) if relative else (1.0, margin)
    p0, p1 = contrast.control, contrast.treatment
    one, other = (
        wilson_of(p, p * (1 - p) / error**2 if error else units, critical)
        for p, error, units in zip(
            (p0, p1), (contrast.control_error, contrast.treatment_error), alike, strict=True
        )
    )
    below = math.hypot(p1 - other.low, factor * (one.high - p0))
    above = math.hypot(other.high - p1, factor * (p0 - one.low))
    middle = contrast.effect - (margin * p0 if relative else 0.0)
    low, high = max(-factor, middle - below), min(1.0, middle + above)
    return Interval(low - shift, high - shift)


def wilson_of(p: float, n: float, z: float) -> Interval:
    """Score interval of a proportion that is known as well as one of `n` units, above 0, not of whole ones.

    Source: Wilson 1927, Journal of the American Statistical Association 22:209.
    """
    middle = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return Interval((middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n))
