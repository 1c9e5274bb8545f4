"""What an interval says beside the smallest effect that matters."""

import math
from dataclasses import dataclass
from enum import StrEnum

from scipy.special import ndtr, stdtr

from meshtrial.stats.contrast import Contrast
from meshtrial.stats.estimate import Interval, require_between


class Standing(StrEnum):
    """Where an interval lies, turned so that more is better, beside 0, the minimum effect m and -m."""

    PRACTICALLY_BETTER = "practically_better"
    """All of it is m or more."""
    BETTER_MAYBE_SMALL = "better_maybe_small"
    """All of it is above 0, and only some of it m or more."""
    EQUIVALENT = "equivalent"
    """All of it is between -m and m, without them: what there is of an effect does not matter, even where it
    surely is one."""
    INCONCLUSIVE = "inconclusive"
    """It has 0 and at least one of -m and m: more data would tell."""
    WORSE = "worse"
    """All of it is below 0, and some of it -m or less."""


def standing(interval: Interval, minimum_effect: float, *, higher_is_better: bool) -> Standing:
    """The one of five that holds; each interval has just one.

    `EQUIVALENT` is the outcome of two one-sided tests, each at half of the interval's error rate (`tost`).

    Args:
        interval: Of the effect, in the unit of `minimum_effect`.
        minimum_effect: Above 0, whichever way is better.
        higher_is_better: Of the metric.

    Raises:
        ValueError: `minimum_effect` is not above 0 and finite.
    """
    require_between("minimum_effect", minimum_effect, 0, math.inf)
    low, high = (interval.low, interval.high) if higher_is_better else (-interval.high, -interval.low)
    if -minimum_effect < low and high < minimum_effect:
        return Standing.EQUIVALENT
    if low >= minimum_effect:
        return Standing.PRACTICALLY_BETTER
    if low > 0:
        return Standing.BETTER_MAYBE_SMALL
    if high < 0:
        return Standing.WORSE
    return Standing.INCONCLUSIVE


@dataclass(frozen=True, slots=True)
class Tost:
    """Two one-sided tests of an effect that matters."""

    above: float
    """The statistic of "the effect is -margin or less", in standard errors."""
    below: float
    """The statistic of "the effect is +margin or more", in standard errors."""
    p_value: float
    """One-sided, of either: the larger one. Below alpha the arms are equivalent."""


def tost(contrast: Contrast, margin: float, *, relative: bool) -> Tost:
    """Is the effect within (-margin, margin)?

    Args:
        contrast: Its p-values are Student's t with its degrees of freedom, or normal.
        margin: Above 0, in the metric's unit; or a share of control's value, below 1.
        relative: Which of both.

    Raises:
        ValueError: `margin` is out of range.

    Source: Schuirmann 1987, Journal of Pharmacokinetics and Biopharmaceutics 15:657; Lakens 2017, Social
    Psychological and Personality Science 8:355.
    """
    require_between("margin", margin, 0, 1 if relative else math.inf)
    lower, upper = (contrast.above(bound, relative=relative) for bound in (-margin, margin))
    above, below = lower.effect / lower.error, upper.effect / upper.error
    worst = min(above, -below)
    normal = math.isinf(contrast.freedom)
    return Tost(above, below, float(ndtr(-worst) if normal else stdtr(contrast.freedom, -worst)))
