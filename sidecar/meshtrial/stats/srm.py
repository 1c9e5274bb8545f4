"""Sample ratio mismatch: did the arms get the units that the plan gives them?

`sequential_srm` may be asked at any time, so it alone may raise an alarm: chi-squared at p < 0.001 on each of
100 days alarms in 1.6% of sound trials. `srm` is for one look, to tell where a mismatch comes from.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Self

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, gammaln, xlogy

from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.integration import Floats

LEAST_EXPECTED: Final = 5
"""Expected units an arm from which on chi-squared's distribution is taken to hold."""
CONCENTRATION: Final = 100.0
"""How firmly the alternative's shares are taken to be near the planned ones, in units; savvi's default."""
ALARM: Final = 1000.0
"""e-value from which on the arms' sizes disprove the split; of sound trials at most 1 in 1000 reaches it."""


@dataclass(frozen=True, slots=True)
class Split:
    """Units of one phase and cohort as time goes by; no unit is in two."""

    shares: tuple[Fraction | float, ...]
    """What each arm should get, 0 or more, not all 0; only their ratios count."""
    units: tuple[tuple[int, ...], ...]
    """New units of each time bucket, in order, in each arm: shape (buckets, arms)."""


@dataclass(frozen=True, slots=True)
class SrmEvidence:
    """What the arms' sizes say against the split, at any time: an e-process."""

    log_e: tuple[float, ...]
    """Logarithm of the e-value after each time bucket, of at least one; infinite once a unit was where none
    may be."""

    def greatest(self) -> float:
        """The largest `log_e` so far, 0 or more."""
        return max(0.0, *self.log_e)

    def p_value(self) -> float:
        """Always-valid p-value of the planned shares, 0..1."""
        return math.exp(-self.greatest())

    def alarm(self) -> bool:
        """Whether the e-value ever reached `ALARM`."""
        return self.greatest() >= math.log(ALARM)


@dataclass(frozen=True, slots=True)
class ChiSquared:
    """A statistic that follows chi-squared's distribution where the shares hold."""

    statistic: float
    freedom: int
    """Degrees of freedom, 1 or more."""

    def __add__(self, other: Self) -> Self:
        """Both questions as one: independent statistics and their degrees of freedom add up."""
        return type(self)(self.statistic + other.statistic, self.freedom + other.freedom)

    def p_value(self) -> float:
        """Chance of a statistic this large, 0..1."""
        return float(chdtrc(self.freedom, self.statistic))


def srm(observed: Sequence[int], shares: Sequence[Fraction | float]) -> ChiSquared | NotEstimable:
    """Pearson's chi-squared test of the units in the arms.

    An arm of share 0 is no part of the test; but one unit seen there proves that units go where the
    plan sends none, so the statistic is then infinite by definition, whatever the other counts are.

    Refused where some arm should have under 5 units: the discrete counts then fall so coarsely that
    the p-value would be wrong on either side, and a trial of that size holds nothing to protect yet.

    Args:
        observed: Units in each arm, 0 or more.
        shares: What each arm should get, 0 or more, in the same order; only their ratios count.

    Raises:
        ValueError: The lengths differ, or a count or share is negative or not finite.

    Source: Pearson 1900, as the documentation of scipy.stats.chisquare describes it; the least expected
    count of 5 is the rule given there.
    """
    _require_counts(observed, shares)
    tested = [(units, share) for units, share in zip(observed, shares, strict=True) if share]
    if any(units for units, share in zip(observed, shares, strict=True) if not share):
        return ChiSquared(math.inf, max(1, len(tested) - 1))
    if len(tested) < 2:
        return NotEstimable("a ratio needs two arms with a share above 0")
    units, whole = sum(observed), sum(Fraction(share) for _, share in tested)
    if units == 0:
        return NotEstimable("no arm has units")
    expected = [float(units * Fraction(share) / whole) for _, share in tested]
    if min(expected) < LEAST_EXPECTED:
        return NotEstimable(
            f"too few units for a chi-squared test: {units} in all leave an arm"
            f" {min(expected):.3g} expected, and it takes {LEAST_EXPECTED}"
        )
    gaps = ((count - e) ** 2 / e for (count, _), e in zip(tested, expected, strict=True))
    return ChiSquared(math.fsum(gaps), len(tested) - 1)


def sequential_srm(splits: Sequence[Split]) -> SrmEvidence | NotEstimable:
    """Multinomial test of the units in the arms, good at any time and for any number of looks.

    Against the planned shares stands a Dirichlet mixture around them. e-values of splits multiply: each is
    fair, whatever the other ones have seen, and so phases follow one another and cohorts run side by side.

    An arm of share 0 is no part of the test; one unit there makes the e-value infinite from then on.

    Args:
        splits: Of one trial, in any order, all over the same time buckets.

    Raises:
        ValueError: Lengths differ, or a count or share is negative or not finite, or no share is above 0.

    Source: Lindon & Malek 2022, Advances in Neural Information Processing Systems 35 (arXiv 2011.03567).
    """
    if len({len(split.units) for split in splits}) > 1:
        raise ValueError("all splits must be over the same time buckets")
    for split in splits:
        for bucket in split.units:
            _require_counts(bucket, split.shares)
        if not any(split.shares):
            raise ValueError("a split must have a share above 0")
    if not any(units for split in splits for bucket in split.units for units in bucket):
        return NotEstimable("no arm has units")
    log_e = np.zeros(len(splits[0].units))
    for split in splits:
        whole = sum(Fraction(share) for share in split.shares)
        shares = np.array([float(Fraction(share) / whole) for share in split.shares])
        log_e += srm_log_e(np.cumsum(split.units, axis=0), shares, CONCENTRATION * shares)
    return SrmEvidence(tuple(log_e.tolist()))


def srm_log_e(counts: npt.ArrayLike, shares: npt.ArrayLike, prior: npt.ArrayLike) -> Floats:
    """Logarithm of a split's e-value at each look: Dirichlet-multinomial by multinomial likelihood.

    Args:
        counts: Units so far in each arm: shape (..., arms); the result's is (...).
        shares: What each arm should get, adding up to 1: shape (arms,).
        prior: The Dirichlet's parameters, above 0 where the share is: shape (arms,).
    """
    n, theta, weight = (np.asarray(given, np.float64) for given in (counts, shares, prior))
    tested = theta > 0
    stray = n[..., ~tested].any(axis=-1)
    n, theta, weight = n[..., tested], theta[tested], weight[tested]
    mixture = (gammaln(weight + n) - gammaln(weight)).sum(axis=-1)
    mixture += gammaln(weight.sum()) - gammaln(weight.sum() + n.sum(axis=-1))
    return np.where(stray, np.inf, mixture - xlogy(n, theta).sum(axis=-1))


def _require_counts(observed: Sequence[int], shares: Sequence[Fraction | float]) -> None:
    if len(observed) != len(shares):
        raise ValueError(f"there must be one share for each arm, not {len(shares)} for {len(observed)}")
    for name, numbers in (("observed", observed), ("shares", shares)):
        for number in numbers:
            if not 0 <= number < math.inf:
                raise ValueError(f"{name} must be finite and 0 or more, not {number}")
