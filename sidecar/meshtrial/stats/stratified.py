"""Proportions of two arms compared within strata, for one look; all else goes through `contrast.combine`.

Where arms have other shares in each stratum, and strata other values, the arms differ as wholes without any
effect (Simpson's paradox). Within a stratum they do not, and the weights, the same for both arms, let no
stratum count more in one arm than in the other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from scipy.special import ndtr, ndtri

from meshtrial.stats.contrast import LEAST_UNITS, Contrast, difference
from meshtrial.stats.estimate import Comparison, NotEstimable, require_alpha
from meshtrial.stats.proportion import Proportion, share_interval

PROPORTIONS: Final = "stratified two-proportion z, Newcombe interval of effective units"


@dataclass(frozen=True, slots=True)
class Stratum:
    """Two arms of one stratum; no unit is in two strata."""

    weight: float
    """Above 0; only the ratios of the strata's weights count."""
    control: Proportion
    treatment: Proportion


def compare_stratified_proportions(strata: Sequence[Stratum], alpha: float) -> Comparison:
    """Difference of two proportions, sum over strata of w (p1 - p0) with w = weight / all weights.

    The test's variance is w^2 p (1 - p) (1/n1 + 1/n0) with both arms of the stratum pooled, since without an
    effect they are equal in each. Where w is in proportion to n1 n0 / (n1 + n0), that is Cochran's (1954)
    test of stratified 2x2 tables.

    The interval is Newcombe's, of arms with the stratified proportion P and as many units as would leave it
    the variance that it has, V: P (1 - P) / V. So it is right for outcomes that are rare in every stratum:
    one made of the strata's own Wilson limits (Zou, Huang & Zhang 2009) is then twice as wide as it need be,
    and one of variances too short. By simulation (`docs/calibration.md`) it covers .946 to
    .962.

    With one stratum every number but the method's name is that of `compare_proportions`.

    Refused where a stratum has under 2 units in an arm, and where in no stratum the outcome varies.

    Args:
        strata: At least one, in any order.
        alpha: Two-sided error rate of the interval, in (0, 0.5).

    Raises:
        ValueError: `alpha` is out of range.

    Source: Newcombe 1998, Statistics in Medicine 17:873, method 10; Cochran 1954, Biometrics 10:417;
    effective units as in Korn & Graubard 1998, Survey Methodology 24:193.
    """
    require_alpha(alpha)
    if not strata:
        return NotEstimable("there is no stratum with units of both arms")
    if any(min(s.control.units, s.treatment.units) < LEAST_UNITS for s in strata):
        return NotEstimable(f"a stratum has under {LEAST_UNITS} units in an arm")
    whole = math.fsum(stratum.weight for stratum in strata)
    control = _Arm.of([(s.weight / whole, s.control) for s in strata])
    treatment = _Arm.of([(s.weight / whole, s.treatment) for s in strata])
    spread = math.fsum((s.weight / whole) ** 2 * _pooled_variance(s) for s in strata)
    if spread == 0:
        return NotEstimable("the outcome does not vary within any stratum, so the test has no variance")
    z = -float(ndtri(alpha / 2))
    effect = treatment.value - control.value
    contrast = Contrast(
        PROPORTIONS,
        control.value,
        effect,
        math.sqrt(control.variance),
        math.sqrt(treatment.variance),
        math.inf,
        sum(s.control.units for s in strata),
        sum(s.treatment.units for s in strata),
    )
    found = difference(contrast, z, float(2 * ndtr(-abs(effect) / math.sqrt(spread))))
    return replace(found, interval=share_interval(contrast, alike_of(strata), z))


def alike_of(strata: Sequence[Stratum]) -> tuple[float, float]:
    """Units of control and treatment that it would take, were each share the same in all strata."""
    whole = math.fsum(stratum.weight for stratum in strata)
    control, treatment = (
        1 / math.fsum((weight / whole) ** 2 / sample.units for weight, sample in arms)
        for arms in ([(s.weight, s.control) for s in strata], [(s.weight, s.treatment) for s in strata])
    )
    return control, treatment


@dataclass(frozen=True, slots=True)
class _Arm:
    """One arm's stratified proportion."""

    value: float
    variance: float

    @classmethod
    def of(cls, samples: Sequence[tuple[float, Proportion]]) -> "_Arm":
        parts = [(weight, sample.successes / sample.units, sample.units) for weight, sample in samples]
        return cls(
            math.fsum(weight * p for weight, p, _ in parts),
            math.fsum(weight**2 * p * (1 - p) / n for weight, p, n in parts),
        )


def _pooled_variance(stratum: Stratum) -> float:
    """Of the difference, were both proportions equal."""
    n0, n1 = stratum.control.units, stratum.treatment.units
    p = (stratum.control.successes + stratum.treatment.successes) / (n0 + n1)
    return p * (1 - p) * (1 / n0 + 1 / n1)
