"""Units by day -> how the effect came about: up to each day, of each day, of early and late units; pure."""

import math
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from meshtrial.analysis.slices import Slices
from meshtrial.analysis.told import Telling, Told
from meshtrial.stats.estimate import Comparison, NotEstimable
from meshtrial.stats.fixed import fixed
from meshtrial.stats.trend import later_contrast

MOST_POINTS: Final = 90
"""Of a curve: with more days, several neighbouring ones are one point."""


@dataclass(frozen=True, slots=True)
class Point:
    """The effect on the units of some days."""

    day: int
    """Start of the first day, nanoseconds since 1970; of a grown effect, of the last days in it."""
    days: int
    """Neighbouring days with units that are taken together."""
    told: Told


@dataclass(frozen=True, slots=True)
class Course:
    """One metric of one arm, by the day of a unit's first exposure."""

    grown: tuple[Point, ...]
    """Of all units up to each point, by a confidence sequence: its intervals hold all at once."""
    by_day: tuple[Point, ...]
    """Of the units of each point, each with an interval of its own."""
    early: Told
    """Of the units that came first, about half of them."""
    late: Told
    """Of the others."""
    change: Comparison
    """Late less early: whether it depends on when units came."""


def course_of(days: Slices[int], curve: Telling, once: Telling) -> Course:
    """One metric of one arm.

    Args:
        days: By start of the day, one or more.
        curve: With a confidence sequence.
        once: With intervals of one look.
    """
    starts = list(days.sizes)
    step = math.ceil(len(starts) / MOST_POINTS)
    points = [starts[at : at + step] for at in range(0, len(starts), step)]
    ends = accumulate(len(point) for point in points)
    grown = tuple(
        Point(point[0], len(point), curve.of(days.measured(starts[:end])))
        for point, end in zip(points, ends, strict=True)
    )
    by_day = tuple(Point(point[0], len(point), once.of(days.measured(point))) for point in points)
    return Course(grown, by_day, *_early_and_late(days, starts, once))


def _early_and_late(days: Slices[int], starts: list[int], once: Telling) -> tuple[Told, Told, Comparison]:
    """Divided where half of the units have come: counts alone decide."""
    if len(starts) < 2:
        refused = NotEstimable("all units came on one day")
        return Told(0, 0, refused), Told(0, 0, refused), refused
    totals = list(accumulate(days.sizes[start] for start in starts))
    half = min(range(1, len(starts)), key=lambda end: abs(2 * totals[end - 1] - totals[-1]))
    early, late = days.measured(starts[:half]), days.measured(starts[half:])
    change: Comparison = NotEstimable("a group has early and late units, which are alike")
    if days.independent:
        change = fixed(later_contrast(early.contrast, late.contrast), once.alpha)
    return once.of(early), once.of(late), change
