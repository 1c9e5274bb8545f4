"""Were two arms alike before the trial: means of what no arm can have changed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from scipy.special import gammaincc, ndtr

from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.moments import RESOLUTION, Moments

_LEAST_SKEWNESS: Final = 1e-3
"""Below, Pearson's type III is the normal distribution."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The two arms of one stratum, within which units were assigned at random."""

    weight: float
    """Above 0; only the ratios count."""
    control: Moments
    treatment: Moments
    """Shares no unit with `control`."""


@dataclass(frozen=True, slots=True)
class Alike:
    """How alike two arms are."""

    control: float
    """Mean over the strata, in the covariate's unit."""
    treatment: float
    p_value: float
    """Two-sided, of units that chance alone divided between the arms, 0..1."""


def alike(pairs: Sequence[Pair], *, binary: bool) -> Alike | NotEstimable:
    """Compare the means of a covariate of 0 or more, as a permutation of the units over the arms would.

    Unlike an effect, what was before the exposure has one distribution in both arms, so the variance is that
    of all units of a stratum: an arm's own one goes up and down with its mean where values are skewed, and in
    a small arm Welch's test then alarms far too often. What is left of the skewness where the arms are uneven
    is taken up by Pearson's type III distribution with the skewness of the permuted difference. Third moments
    are not known, so that of a lognormal of the same mean and variance stands for it, v^3 + 3 v with v the
    coefficient of variation: above a gamma's (2 v), and no more than n units can have, the root of n.
    Of 0 or 1 it is known: v - 1 / v. Either tail is taken for the heavier one.

    Args:
        pairs: The strata.
        binary: Every value is 0 or 1.

    Source: Pitman 1937, Supplement to the Journal of the Royal Statistical Society 4:119 (moments of the
    permuted difference); Johnson, Kotz & Balakrishnan 1994, Continuous Univariate Distributions 1, section 14
    (moments of the lognormal) and section 17 (type III).
    """
    told = [pair for pair in pairs if min(pair.control.units, pair.treatment.units)]
    if not told:
        return NotEstimable("there is no stratum with units of both arms")
    whole = math.fsum(pair.weight for pair in told)
    effect = level = variance = third = 0.0
    skewness = _skewness([pair.control + pair.treatment for pair in told], binary=binary)
    for pair in told:
        share, n0, n1 = pair.weight / whole, pair.control.units, pair.treatment.units
        gap0, gap1 = pair.control.total / n0, pair.treatment.total / n1
        effect += share * (gap1 - gap0)
        level += share * (pair.control.shift + gap0)
        spread = _spread(pair.control + pair.treatment)
        variance += share**2 * spread * (1 / n0 + 1 / n1)
        third += share**3 * spread**1.5 * (1 / n1**2 - 1 / n0**2)
    if variance <= 0:
        return NotEstimable("the values do not vary in either arm, or by no more than rounding")
    p_value = _two_sided(abs(effect) / math.sqrt(variance), abs(skewness * third) / variance**1.5)
    return Alike(level, level + effect, p_value)


def _spread(units: Moments) -> float:
    """Variance, of which no part is rounding."""
    variance = units.variance()
    told = not isinstance(variance, NotEstimable) and variance * units.units > RESOLUTION * units.squares
    return variance if told and not isinstance(variance, NotEstimable) else 0.0


def _skewness(strata: Sequence[Moments], *, binary: bool) -> float:
    """Of one unit, as large as it may well be."""
    units = strata[0]
    for more in strata[1:]:
        units = units + more
    spread, gap = math.sqrt(_spread(units)), units.shift + units.total / units.units
    largest = math.sqrt(units.units)
    if not spread:
        return 0.0
    if abs(gap) * largest <= spread:
        return largest
    ratio = spread / abs(gap)
    return min(abs(ratio - 1 / ratio) if binary else ratio**3 + 3 * ratio, largest)


def _two_sided(z: float, skewness: float) -> float:
    """Twice the heavier tail beyond z of a type III distribution, and no less than the normal one's."""
    normal = 2 * float(ndtr(-z))
    if skewness < _LEAST_SKEWNESS:
        return normal
    shape = 4 / skewness**2
    return min(1.0, max(normal, 2 * float(gammaincc(shape, shape + z * math.sqrt(shape)))))
