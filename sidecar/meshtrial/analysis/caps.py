"""A cap that is a share of units -> the units that settle it; pure.

Were it a quantile of all units, the numbers of a trial that is over would change with units that came later.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from meshtrial.analysis.cells import Clock, Counts
from meshtrial.analysis.gathered import Gathered
from meshtrial.analysis.timeline import timeline_of
from meshtrial.plan.inference import DecisionRule, Method, Metric
from meshtrial.stats.estimate import NotEstimable

LEAST_FOR_CAP: Final = 10
"""Units above a cap that is a share: as many units as that takes set the cap, the earliest ones."""


@dataclass(frozen=True, slots=True)
class Settling:
    """Which units may set a cap."""

    cut: int
    """Those first exposed before, nanoseconds since 1970; all of them are final."""
    looked: bool
    """Whether the first planned look is there: then no later unit sets it, though they be few."""
    waits: bool
    """Whether there is no cap before as many units as it takes."""


Settles: TypeAlias = Callable[[Counts], Settling]
"""From the units analysed, of all arms and without strata."""


def settling_of(counts: Counts, rule: DecisionRule, clock: Clock, now: int) -> Settling:
    """Which units may set a cap.

    Args:
        counts: Units analysed that count towards the planned size, of all arms.
        rule: The plan's.
        clock: Its period divides the counts.
        now: Nanoseconds since 1970.
    """
    timeline = timeline_of(counts, rule, clock, now)
    if rule.method is Method.SEQUENTIAL:
        return Settling(timeline.closed, looked=False, waits=True)
    if not timeline.looks:
        return Settling(timeline.closed, looked=False, waits=False)
    return Settling(timeline.looks[0].cut, looked=True, waits=False)


def units_for(share: float) -> int:
    """How many of the earliest units set a cap that is a share."""
    # Rounded, as 10 / (1 - 0.999) is a little above 10,000 in floating point.
    return math.ceil(round(LEAST_FOR_CAP / (1 - share), 6))


def unsettled(metric: Metric, gathered: Gathered, cut: int) -> NotEstimable | None:
    """Why a metric's cap is not there yet; None where it is, or needs no units."""
    if metric.cap is None or not metric.cap.is_share or metric.id in gathered.caps:
        return None
    final = sum(units for key, units in gathered.analysed.items() if key.period < cut)
    wanted = units_for(metric.cap.value)
    return NotEstimable(
        f"a cap of {100 * metric.cap.value:g}% is settled by the earliest {wanted:,} units, and {final:,}"
        " are final"
    )
