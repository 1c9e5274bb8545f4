"""Quantiles of events, such as the 99th percentile of latency, where one unit brings many events.

Stage: value at the quantile -> events at or below it, by unit -> **ranks** to ask for -> order statistics ->
**contrast**. Each arrow is a pass over the events in the store; what crosses it is small.

The share of events at or below the true quantile is q but for an error, which units and not events make. A
quantile's error is that of the share divided by the density of events there; and the density is read from two
order statistics about as far apart as the error reaches.
"""

import math
from dataclasses import dataclass
from typing import Final

from meshtrial.stats.contrast import Contrast, Contrasted
from meshtrial.stats.estimate import NotEstimable, require_between
from meshtrial.stats.joint import Joint
from meshtrial.stats.moments import RESOLUTION
from meshtrial.stats.ratio import linearised_arm

METHOD: Final = "quantile, order statistics"
REACH: Final = 1.959963984540054
"""Standard errors of the share on either side of q between which the density is read: of a 95% interval."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """Places in the ascending order of an arm's events, from 1."""

    lower: float
    upper: float
    """Above `lower`. Whole numbers, but for published cases."""


@dataclass(frozen=True, slots=True)
class QuantileSample:
    """What is to be known of one arm.

    Raises:
        ValueError: The three values are not in order.
    """

    value: float
    """Event number `value_rank(events, q)` in ascending order, in the metric's unit."""
    counts: Joint
    """Of each unit: its events at or below `value`, and its events."""
    ranks: Ranks
    """As `order_ranks` gave them."""
    lower: float
    """The event of rank `ranks.lower`."""
    upper: float
    """The event of rank `ranks.upper`."""

    def __post_init__(self) -> None:
        if not self.lower <= self.value <= self.upper:
            raise ValueError(f"order statistics must ascend, not {self.lower}, {self.value}, {self.upper}")


def value_rank(events: int, q: float) -> int:
    """The rank of the quantile itself: the least that has a share q of all events at or below it.

    Raises:
        ValueError: `q` is not in (0, 1).
    """
    require_between("q", q, 0, 1)
    return max(1, math.ceil(q * events))


def share_error(counts: Joint) -> float | NotEstimable:
    """Standard error of the share of an arm's events at or below its quantile, over units.

    Args:
        counts: Of each unit: its events at or below the quantile, and its events.

    Source: Deng, Knoblich & Lu 2018, KDD (arXiv 1803.06336), section 4: the delta method of a ratio.
    """
    linear = linearised_arm([1.0], [counts])
    if isinstance(linear, NotEstimable):
        return NotEstimable("there are too few units with events")
    [share] = linear
    spread = float(share.scatter()[0, 0])
    if spread <= RESOLUTION * share.products[0]:
        return NotEstimable("all units have the same share of their events at or below the quantile")
    return math.sqrt(spread / (counts.units - 1) / counts.units)


def cluster_inflation(counts: Joint, q: float) -> float | NotEstimable:
    """What units add to the variance: 1 where a unit's events are like anybody's, more where like each other.

    Args:
        counts: Of each unit: its events at or below the quantile, and its events.
        q: The quantile, in (0, 1).

    Raises:
        ValueError: `q` is out of range.
    """
    require_between("q", q, 0, 1)
    error = share_error(counts)
    if isinstance(error, NotEstimable):
        return error
    return error**2 / (q * (1 - q) / _events(counts))


def order_ranks(events: int, q: float, inflation: float = 1.0) -> Ranks | NotEstimable:
    """The order statistics that a `QuantileSample` needs: n (q -+ z sqrt(inflation q (1 - q) / n)).

    Args:
        events: Of the arm, n.
        q: The quantile, in (0, 1).
        inflation: From `cluster_inflation`.

    Raises:
        ValueError: A parameter is out of range.
    """
    require_between("q", q, 0, 1)
    require_between("inflation", inflation, 0, math.inf)
    half = REACH * math.sqrt(inflation * q * (1 - q) * events)
    lower, upper = math.floor(q * events - half), math.ceil(q * events + half)
    if lower < 1 or upper > events:
        return NotEstimable(f"{events} events are too few for the quantile {q:g}")
    return Ranks(lower, upper)


def quantile_contrast(control: QuantileSample, treatment: QuantileSample) -> Contrasted:
    """Difference of two quantiles.

    An arm's degrees of freedom are those of its units. That the density is read from few events costs none:
    where they happen to lie close the quantile lies close to the truth as well, and coverage holds.

    Refused where the two order statistics are one value: of values so coarse no density can be read.

    Args:
        control: The arm compared with.
        treatment: The arm compared; no unit is in both.

    Source: Deng, Knoblich & Lu 2018, KDD (arXiv 1803.06336), section 4; Satterthwaite 1946, Biometrics
    Bulletin 2:110.
    """
    errors: list[float] = []
    terms = 0.0
    for name, arm in (("control", control), ("treatment", treatment)):
        share = share_error(arm.counts)
        if isinstance(share, NotEstimable):
            return NotEstimable(f"{name}: {share.reason}")
        if arm.lower == arm.upper:
            return NotEstimable(f"{name}: too many events have the value of the quantile to tell its error")
        density = (arm.ranks.upper - arm.ranks.lower) / _events(arm.counts) / (arm.upper - arm.lower)
        errors.append(share / density)
        terms += errors[-1] ** 4 / (arm.counts.units - 1)
    return Contrast(
        METHOD,
        control.value,
        treatment.value - control.value,
        errors[0],
        errors[1],
        (errors[0] ** 2 + errors[1] ** 2) ** 2 / terms,
        control.counts.units,
        treatment.counts.units,
    )


def _events(counts: Joint) -> float:
    return counts.units * counts.shifts[1] + counts.totals[1]
