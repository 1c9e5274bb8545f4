"""Proportions of two arms compared within strata, for one look; all else goes through `contrast.combine`.

Where arms have other shares in each stratum, and strata other values, the arms differ as wholes without any
effect (Simpson's paradox). Within a stratum they do not, and the weights, the same for both arms, let no
stratum count more in one arm than in the other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from scipy.special import ndtr, ndtri

from meshtrial.stats.contrast import LEAST_UNITS, Contrast, fieller
from meshtrial.stats.estimate import (
    Comparison,
    Difference,
    Interval,
    NotEstimable,
    relative_effect,
    require_alpha,
)
from meshtrial.stats.proportion import Proportion, wilson

PROPORTIONS: Final = "stratified two-proportion z, Zou-Huang-Zhang interval"


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
    test of stratified 2x2 tables. The interval recovers each proportion's spread from its Wilson limits,
    so that it is right for rare outcomes as well, where one made of variances is too short.

    With one stratum every number but the method's name is that of `compare_proportions`.

    Refused where a stratum has under 2 units in an arm, and where in no stratum the outcome varies.

    Args:
        strata: At least one, in any order.
        alpha: Two-sided error rate of the interval, in (0, 0.5).

    Raises:
        ValueError: `alpha` is out of range.

    Source: Zou, Huang & Zhang 2009, Computational Statistics & Data Analysis 53:1080 (the interval of a
    linear function of proportions; of one stratum it is Newcombe's); Cochran 1954, Biometrics 10:417.
    """
    require_alpha(alpha)
    if not strata:
        return NotEstimable("there is no stratum with units of both arms")
    if any(min(s.control.units, s.treatment.units) < LEAST_UNITS for s in strata):
        return NotEstimable(f"a stratum has under {LEAST_UNITS} units in an arm")
    z = -float(ndtri(alpha / 2))
    effect = base = spread = below = above = v0 = v1 = 0.0
    whole = math.fsum(stratum.weight for stratum in strata)
    for stratum in strata:
        weight, n0, n1 = stratum.weight / whole, stratum.control.units, stratum.treatment.units
        p0, p1 = stratum.control.successes / n0, stratum.treatment.successes / n1
        pooled = (stratum.control.successes + stratum.treatment.successes) / (n0 + n1)
        wilson0, wilson1 = wilson(stratum.control, z), wilson(stratum.treatment, z)
        effect += weight * (p1 - p0)
        base += weight * p0
        v0 += weight**2 * p0 * (1 - p0) / n0
        v1 += weight**2 * p1 * (1 - p1) / n1
        spread += weight**2 * pooled * (1 - pooled) * (1 / n0 + 1 / n1)
        below += weight**2 * ((p1 - wilson1.low) ** 2 + (wilson0.high - p0) ** 2)
        above += weight**2 * ((wilson1.high - p1) ** 2 + (p0 - wilson0.low) ** 2)
    if spread == 0:
        return NotEstimable("the outcome does not vary within any stratum, so the test has no variance")
    units0, units1 = (
        sum(s.control.units for s in strata),
        sum(s.treatment.units for s in strata),
    )
    contrast = Contrast(PROPORTIONS, base, effect, math.sqrt(v0), math.sqrt(v1), math.inf, units0, units1)
    return Difference(
        method=PROPORTIONS,
        effect=effect,
        error=contrast.error,
        interval=Interval(max(-1.0, effect - math.sqrt(below)), min(1.0, effect + math.sqrt(above))),
        p_value=float(2 * ndtr(-abs(effect) / math.sqrt(spread))),
        relative=relative_effect(effect, base),
        relative_interval=fieller(contrast, z),
    )
