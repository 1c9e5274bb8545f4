"""Quantiles of events, such as the 99th percentile of latency, where one unit brings many events.

Stage: value at the quantile -> events at or below it, by unit -> **ranks** to ask for -> order statistics ->
**contrast**. Each arrow is a pass over the events in the store; what crosses it is small.

The share of events at or below the true quantile is q but for an error, which units and not events make. A
quantile's error is that of the share divided by the density of events there; and the density is read from two
order statistics about as far apart as the error reaches. Whole numbers have no density: the steps between
them count too.
"""

import math
from dataclasses import dataclass
from typing import Final

from meshtrial.stats.contrast import LEAST_UNITS, Contrast, Contrasted
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
        ValueError: The values are not in order, or `q` is not in (0, 1).
    """

    q: float
    """Which quantile, in (0, 1)."""
    value: float
    """Event number `value_rank(events, q)` in ascending order, in the metric's unit."""
    counts: Joint
    """Of each unit: its events at or below `value`, and its events."""
    beneath: Joint
    """The same with events below `value`; other than `counts` where events have one value."""
    below: float
    """The greatest value below `value` that an event has; `value` where there is none."""
    above: float
    """The least value above `value` that an event has; `value` where there is none."""
    ranks: Ranks
    """As `order_ranks` gave them."""
    lower: float
    """The event of rank `ranks.lower`."""
    upper: float
    """The event of rank `ranks.upper`."""

    def __post_init__(self) -> None:
        require_between("q", self.q, 0, 1)
        if not self.lower <= self.value <= self.upper:
            raise ValueError(f"order statistics must ascend, not {self.lower}, {self.value}, {self.upper}")
        if not self.below <= self.value <= self.above:
            raise ValueError(f"neighbours must ascend, not {self.below}, {self.value}, {self.above}")


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


def cluster_inflation(counts: Joint, beneath: Joint) -> float | NotEstimable:
    """What units add to the variance: 1 where a unit's events are like anybody's, more where like each other.

    Of whole numbers the shares of events below a value and up to it lie on either side of q, some way off:
    each is held against the variance that independent events with that share have, and the larger counts.

    Args:
        counts: Of each unit: its events at or below the quantile, and its events.
        beneath: Of each unit: its events below the quantile, and its events.
    """
    found: list[float] = []
    for below in (counts, beneath) if _tied(counts, beneath) else (counts,):
        error = share_error(below)
        if isinstance(error, float):
            share = _total(below, 0) / _total(below, 1)
            found.append(error**2 / (share * (1 - share) / _total(below, 1)))
    if not found:
        return NotEstimable("all units have the same share of their events at or below the quantile")
    return max(found)


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


def enough_events(counts: Joint, q: float) -> bool:
    """Whether an arm's events are enough however alike a unit's are; goes by counts, never by values.

    Args:
        counts: Of each unit: anything, and its events.
        q: The quantile, in (0, 1).

    Raises:
        ValueError: `q` is out of range.

    Source: Kish 1965, Survey Sampling, section 5.4: units whose events are all of one value inflate the
    variance by sum m^2 / sum m, m being the events of a unit.
    """
    events = _total(counts, 1)
    if counts.units < LEAST_UNITS or events <= 0:
        return False
    squares = counts.products[-1] + counts.shifts[1] * (events + counts.totals[1])
    return isinstance(order_ranks(round(events), q, max(1.0, squares / events)), Ranks)


def quantile_error(arm: QuantileSample) -> float | NotEstimable:
    """Standard error of one arm's quantile, in the metric's unit, above 0.

    Half the way between the order statistics, and of values that are whole numbers or otherwise few the step
    to the farther neighbour as well, at a right angle: two arms alike may round to neighbours, or a step
    farther apart than they are. Where one event alone has the value there is no such step.

    Where both order statistics are one value they tell nothing. Then so many events lie between q and the
    nearest other value that it is more errors of the share away than the density's reach; the step to it,
    divided by them, is the error. It is the order statistics that are as far out as the values first change.

    Source: Deng, Knoblich & Lu 2018, KDD (arXiv 1803.06336), section 4; for the order statistics of discrete
    values Scheffe & Tukey 1945, Annals of Mathematical Statistics 16:187, section 4: their interval covers
    at least as often.
    """
    inflation = cluster_inflation(arm.counts, arm.beneath)
    if isinstance(inflation, NotEstimable):
        return inflation
    events = _total(arm.counts, 1)
    of_rank = math.sqrt(inflation * arm.q * (1 - arm.q) * events)
    up, down = arm.above - arm.value, arm.value - arm.below
    if arm.lower < arm.upper:
        reach = (arm.ranks.upper - arm.ranks.lower) / 2
        return (
            of_rank
            / reach
            * math.hypot((arm.upper - arm.lower) / 2, max(up, down) * _tied(arm.counts, arm.beneath))
        )
    place = arm.q * events
    sides = ((up, _total(arm.counts, 0) - place), (down, place - _total(arm.beneath, 0)))
    return of_rank * max(step / ranks for step, ranks in sides if step > 0)


def quantile_contrast(control: QuantileSample, treatment: QuantileSample) -> Contrasted:
    """Difference of two quantiles.

    An arm's degrees of freedom are those of its units. That the density is read from few events costs none:
    where they happen to lie close the quantile lies close to the truth as well, and coverage holds.

    Args:
        control: The arm compared with.
        treatment: The arm compared; no unit is in both.

    Source: Satterthwaite 1946, Biometrics Bulletin 2:110.
    """
    errors: list[float] = []
    terms = 0.0
    for name, arm in (("control", control), ("treatment", treatment)):
        error = quantile_error(arm)
        if isinstance(error, NotEstimable):
            return NotEstimable(f"{name}: {error.reason}")
        errors.append(error)
        terms += error**4 / (arm.counts.units - 1)
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


def _tied(counts: Joint, beneath: Joint) -> bool:
    """Whether several events have the value of the quantile."""
    return _total(counts, 0) - _total(beneath, 0) > 1


def _total(counts: Joint, place: int) -> float:
    return counts.units * counts.shifts[place] + counts.totals[place]
