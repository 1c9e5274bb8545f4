"""Sample ratio mismatch: did the arms get the units that the plan gives them?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Self

from scipy.special import chdtrc

from meshtrial.stats.estimate import NotEstimable

LEAST_EXPECTED: Final = 5
"""Expected units an arm from which on chi-squared's distribution is taken to hold."""


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
    if len(observed) != len(shares):
        raise ValueError(f"there must be one share for each arm, not {len(shares)} for {len(observed)}")
    for name, numbers in (("observed", observed), ("shares", shares)):
        for number in numbers:
            if not 0 <= number < math.inf:
                raise ValueError(f"{name} must be finite and 0 or more, not {number}")

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
