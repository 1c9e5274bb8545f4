"""Did all arms lose alike? What is lost on the way must not depend on the arm."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import gammaln, ndtr

from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.integration import Floats

_EXACT: Final = 2500.0
"""Variance up to which the distribution is summed; beyond, the normal one is within 1e-4 at p = 0.001."""
_REACH: Final = 40.0
"""Standard deviations about the mean beyond which a chance is taken for 0."""


@dataclass(frozen=True, slots=True)
class Losses:
    """Units of one stratum within which every arm should lose the same share."""

    lost: tuple[int, ...]
    """In each arm, at most `units`."""
    units: tuple[int, ...]
    """In each arm, the lost ones included."""

    def __post_init__(self) -> None:
        if len(self.lost) != len(self.units) or not all(
            0 <= lost <= units for lost, units in zip(self.lost, self.units, strict=True)
        ):
            raise ValueError(f"of {self.units} units {self.lost} cannot be lost")


def equal_loss(strata: Sequence[Losses]) -> float | NotEstimable:
    """p-value of all arms losing the same share within each stratum: each arm against the others together.

    Given how many are lost in a stratum, how many of them are of one arm is hypergeometric, so that the test
    is exact however few are lost; of strata the sums are compared. Two-sided by doubling the smaller tail;
    Bonferroni over the arms, where there are more than two.

    Args:
        strata: All of the same arms in the same order.

    Raises:
        ValueError: The strata have different numbers of arms.

    Source: Fisher 1935; over strata Mantel & Haenszel 1959, Journal of the National Cancer Institute 22:719,
    with the exact conditional distribution in the place of their normal one.
    """
    if len({len(stratum.units) for stratum in strata}) > 1:
        raise ValueError("all strata must have the same arms")
    arms = len(strata[0].units) if strata else 0
    present = [arm for arm in range(arms) if any(stratum.units[arm] for stratum in strata)]
    if len(present) < 2:
        return NotEstimable("there are no two arms with units")
    if not any(lost for stratum in strata for lost in stratum.lost):
        return NotEstimable("nothing was lost")
    tests = present if len(present) > 2 else present[:1]
    return min(1.0, len(tests) * min(_one_against_others(strata, arm) for arm in tests))


def _one_against_others(strata: Sequence[Losses], arm: int) -> float:
    strata = [s for s in strata if sum(s.units) > 1]  # one unit alone is no comparison
    observed = sum(stratum.lost[arm] for stratum in strata)
    sizes = [(sum(s.units), s.units[arm], sum(s.lost)) for s in strata]
    mean = math.fsum(n * k / whole for whole, n, k in sizes)
    variance = math.fsum(
        k * n * (whole - n) * (whole - k) / (whole * whole * (whole - 1)) for whole, n, k in sizes
    )
    if variance == 0:
        return 1.0
    if variance > _EXACT:
        gap = max(0.0, abs(observed - mean) - 0.5)
        return float(2 * ndtr(-gap / math.sqrt(variance)))
    start, chances = 0, np.ones(1)
    for size in sizes:
        low, of_stratum = _hypergeometric(*size)
        start, chances = start + low, np.convolve(chances, of_stratum)
    counts = start + np.arange(len(chances))
    tails = chances[counts <= observed].sum(), chances[counts >= observed].sum()
    return float(min(1.0, 2 * min(tails)))


def _hypergeometric(whole: int, n: int, k: int) -> tuple[int, Floats]:
    """The least count that has a chance worth counting, and the chances of it and those that follow."""
    deviation = math.sqrt(k * n * (whole - n) * (whole - k) / (whole * whole * (whole - 1)))
    reach = _REACH * (deviation + 1)
    low = max(0, k + n - whole, math.floor(n * k / whole - reach))
    high = min(k, n, math.ceil(n * k / whole + reach))
    x = np.arange(low, high + 1, dtype=np.float64)

    def log_choose(of: float, some: Floats | float) -> Floats:
        return np.asarray(gammaln(of + 1) - gammaln(some + 1) - gammaln(of - np.asarray(some) + 1))

    return low, np.exp(log_choose(k, x) + log_choose(whole - k, n - x) - log_choose(whole, float(n)))
