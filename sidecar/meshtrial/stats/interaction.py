"""Does the effect differ between groups of units? Cohorts, or arms of an experiment before this one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from scipy.special import chdtrc, fdtrc

from meshtrial.stats.contrast import Contrast
from meshtrial.stats.estimate import NotEstimable


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """Whether independent estimates are of one number."""

    common: float
    """Their mean, weighted by 1 / error squared."""
    statistic: float
    """Q: sum of (estimate - common)^2 / error^2."""
    freedom: int
    """Estimates less one: those of chi-squared's distribution that Q has with large samples."""
    p_value: float
    """Chance of estimates as far apart if all were of one number, 0..1."""


Compared: TypeAlias = Heterogeneity | NotEstimable


def interaction(groups: Sequence[Contrast]) -> Compared:
    """Wald test that all groups have one effect.

    Several fields that make up groups are several tests, to be corrected as such; and what they find without
    having been asked for beforehand is a hint for a next experiment.

    Args:
        groups: One contrast each, of the same arms and metric; no unit is in two.

    Source: `_compared`.
    """
    return _compared([(group.effect, group.error, group.freedom) for group in groups])


def main_effect(groups: Sequence[Contrast]) -> Compared:
    """Wald test that all groups have one value, whatever their arm is: the mean of both arms' values.

    Of groups made by the arms of an experiment before this one, a difference is what that one left behind.
    Where `interaction` finds none it biases no effect here, as both arms have the same mix of groups.

    Args:
        groups: One contrast each, of the same arms and metric; no unit is in two.

    Source: `_compared`.
    """
    return _compared([(group.control + group.effect / 2, group.error / 2, group.freedom) for group in groups])


def _compared(estimates: Sequence[tuple[float, float, float]]) -> Compared:
    """Welch's test on estimates with errors and degrees of freedom; chi-squared where these are infinite.

    With estimated errors Q is larger than chi-squared: Q / (C - 1) is divided by 1 + 2 (C - 2) L / (C^2 - 1)
    and follows F's distribution with C - 1 and (C^2 - 1) / (3 L) degrees of freedom, where L is the sum of
    (1 - weight share)^2 / freedom. For two groups that is Welch's t squared.

    Source: Welch 1951, Biometrika 38:330; for large samples Cochran 1954, Biometrics 10:101.
    """
    if len(estimates) < 2:
        return NotEstimable("it takes two groups to differ")
    values, errors, freedoms = (np.array(column, float) for column in zip(*estimates, strict=True))
    if not np.all(errors > 0):
        return NotEstimable("the values do not vary in one of the groups")
    weights = 1 / errors**2
    shares = weights / weights.sum()
    # About one of the estimates, so that a large value common to all leaves the digits of their differences.
    gaps = values - values[0]
    common = float(shares @ gaps)
    statistic, freedom = float(weights @ (gaps - common) ** 2), len(estimates) - 1
    lack = float(np.sum((1 - shares) ** 2 / freedoms))
    if lack == 0:
        p_value = float(chdtrc(freedom, statistic))
    else:
        most = len(estimates) ** 2 - 1
        scaled = statistic / freedom / (1 + 2 * (freedom - 1) * lack / most)
        p_value = float(fdtrc(freedom, most / (3 * lack), scaled))
    return Heterogeneity(math.fsum((values[0], common)), statistic, freedom, p_value)
