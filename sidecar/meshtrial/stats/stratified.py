"""Two arms compared within strata, the differences weighed by the strata's sizes (post-stratification).

Where arms have other shares in each stratum, and strata other values, the arms differ as wholes without any
effect (Simpson's paradox). Within a stratum they do not, and the weights, the same for both arms, let no
stratum count more in one arm than in the other.

With one stratum every number is that of `compare_proportions` and `compare_means`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from scipy.special import ndtr, ndtri, stdtr, stdtrit

from meshtrial.stats.estimate import (
    Comparison,
    Difference,
    Interval,
    NotEstimable,
    relative_effect,
    require_alpha,
)
from meshtrial.stats.moments import RESOLUTION, Moments
from meshtrial.stats.proportion import Proportion, wilson

PROPORTIONS: Final = "post-stratified two-proportion z, Zou-Huang-Zhang interval"
MEANS: Final = "post-stratified Welch t"
LEAST_UNITS: Final = 2
"""Units in each arm from which on a stratum has a variance, so that it can be counted."""

Sample = TypeVar("Sample", Proportion, Moments)


@dataclass(frozen=True, slots=True)
class Stratum(Generic[Sample]):
    """Two arms of one stratum; no unit is in two strata."""

    size: int
    """Units of the stratum in any arm, 1 or more: its weight."""
    control: Sample
    treatment: Sample


def stratified_value(parts: Sequence[tuple[int, Proportion | Moments]]) -> float | NotEstimable:
    """One arm's value as if it had each stratum's share of all units, in the metric's unit.

    Args:
        parts: Of each stratum its size, 1 or more, and its sample.
    """
    whole = sum(size for size, _ in parts)
    total = 0.0
    for size, sample in parts:
        value = sample.value() if isinstance(sample, Proportion) else sample.mean()
        if isinstance(value, NotEstimable):
            return value
        total += size / whole * value
    return total if parts else NotEstimable("there is no cohort with units of all arms")


def compare_stratified_proportions(strata: Sequence[Stratum[Proportion]], alpha: float) -> Comparison:
    """Difference of two proportions, sum over strata of w (p1 - p0) with w = size / all sizes.

    The test's variance is w^2 p (1 - p) (1/n1 + 1/n0) with both arms of the stratum pooled, since without an
    effect they are equal in each. Where n1 n0 / (n1 + n0) is in proportion to w, that is Cochran's (1954)
    test of stratified 2x2 tables. The interval recovers each proportion's spread from its Wilson limits,
    so that it is right for rare outcomes as well, where one made of variances is too short.

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
    if (refused := _refused(strata)) is not None:
        return refused
    z = -float(ndtri(alpha / 2))
    effect = base = spread = below = above = 0.0
    for weight, stratum in _weighed(strata):
        n0, n1 = stratum.control.units, stratum.treatment.units
        p0, p1 = stratum.control.successes / n0, stratum.treatment.successes / n1
        pooled = (stratum.control.successes + stratum.treatment.successes) / (n0 + n1)
        wilson0, wilson1 = wilson(stratum.control, z), wilson(stratum.treatment, z)
        effect += weight * (p1 - p0)
        base += weight * p0
        spread += weight**2 * pooled * (1 - pooled) * (1 / n0 + 1 / n1)
        below += weight**2 * ((p1 - wilson1.low) ** 2 + (wilson0.high - p0) ** 2)
        above += weight**2 * ((wilson1.high - p1) ** 2 + (p0 - wilson0.low) ** 2)
    if spread == 0:
        return NotEstimable("the outcome does not vary within any cohort, so the test has no variance")
    return Difference(
        method=PROPORTIONS,
        effect=effect,
        interval=Interval(max(-1.0, effect - math.sqrt(below)), min(1.0, effect + math.sqrt(above))),
        p_value=float(2 * ndtr(-abs(effect) / math.sqrt(spread))),
        relative=relative_effect(effect, base),
    )


def compare_stratified_means(strata: Sequence[Stratum[Moments]], alpha: float) -> Comparison:
    """Difference of two means, sum over strata of w (m1 - m0) with w = size / all sizes.

    Its variance is the sum of w^2 (s1^2/n1 + s0^2/n0), taken for a t with Satterthwaite's degrees of
    freedom over all these terms. The same is the interacted regression on arm and centred strata with its
    HC2 variance (Lin 2013, Annals of Applied Statistics 7:295), which the tests compare it with.

    Refused where a stratum has under 2 units in an arm, and where nothing varies (`moments.RESOLUTION`).

    Args:
        strata: At least one, in any order.
        alpha: Two-sided error rate of the interval, in (0, 0.5).

    Raises:
        ValueError: `alpha` is out of range.

    Source: Miratrix, Sekhon & Yu 2013, Journal of the Royal Statistical Society B 75:369
    (post-stratification); Satterthwaite 1946, Biometrics Bulletin 2:110.
    """
    require_alpha(alpha)
    if (refused := _refused(strata)) is not None:
        return refused
    effect = base = error = unresolved = squared_terms = 0.0
    for weight, stratum in _weighed(strata):
        control, treatment = stratum.control, stratum.treatment
        # Means about the shift: the shift itself, which may be large, never enters a sum with the effect.
        gap0, gap1 = control.total / control.units, treatment.total / treatment.units
        effect += weight * (gap1 - gap0 + (treatment.shift - control.shift))
        base += weight * (control.shift + gap0)
        for sample, gap in ((control, gap0), (treatment, gap1)):
            others = sample.units - 1
            squares = weight**2 * sample.squares / sample.units / others
            term = max(0.0, squares - weight**2 * gap**2 / others)
            error += term
            unresolved += RESOLUTION * squares
            squared_terms += term**2 / others
    if error <= unresolved:
        return NotEstimable("the values do not vary within any cohort, or by no more than rounding")
    freedom = error**2 / squared_terms
    half = -float(stdtrit(freedom, alpha / 2)) * math.sqrt(error)
    return Difference(
        method=MEANS,
        effect=effect,
        interval=Interval(effect - half, effect + half),
        p_value=float(2 * stdtr(freedom, -abs(effect) / math.sqrt(error))),
        relative=relative_effect(effect, base),
    )


def _refused(strata: Sequence[Stratum[Sample]]) -> NotEstimable | None:
    if not strata:
        return NotEstimable("there is no cohort with units of all arms")
    if any(min(s.control.units, s.treatment.units) < LEAST_UNITS for s in strata):
        return NotEstimable(f"a cohort has under {LEAST_UNITS} units in an arm")
    return None


def _weighed(strata: Sequence[Stratum[Sample]]) -> list[tuple[float, Stratum[Sample]]]:
    """Each stratum with its share of all units."""
    whole = sum(stratum.size for stratum in strata)
    return [(stratum.size / whole, stratum) for stratum in strata]
