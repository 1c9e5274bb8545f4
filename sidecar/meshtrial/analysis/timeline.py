"""Counts and rule -> when the trial may be looked at, and what is in each look; pure.

A look takes the units of whole periods: those first exposed before its cut. It can be taken once all of them
are final, `closing` after the cut. Counts and the clock alone decide when, never outcomes.
"""

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from meshtrial.analysis.cells import Clock, Counts
from meshtrial.plan.inference import DecisionRule, Method

_NS = 10**9


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the trial."""

    cut: int
    """Units first exposed before are in it: nanoseconds since 1970, the start of a period."""
    taken: int
    """When all of them were final."""
    share: float
    """Of the planned units of all arms, 0..1; 1 at the last look."""
    last: bool
    """Whether planned size and minimum duration end the trial with it; never of a sequential trial."""
    number: int = 0
    """Of looks at shares of the planned units: which one, from 0; the last of those that fall together."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """The looks of a trial so far."""

    started: int | None
    """Start of the period of the first exposure that is analysed, nanoseconds since 1970; None before any."""
    closed: int
    """Units first exposed before are final now."""
    looks: tuple[Look, ...]
    """Taken already, in order. Of a sequential trial one: now."""


def timeline_of(counts: Counts, rule: DecisionRule, clock: Clock, now: int) -> Timeline:
    """When the trial was looked at.

    Args:
        counts: Units analysed, of all arms.
        rule: The plan's.
        clock: Its period divides the cells.
        now: Nanoseconds since 1970.
    """
    closing = rule.closing() * _NS
    closed = (now - closing) - (now - closing) % clock.period
    growth = _Growth.of(counts, rule, clock)
    if growth is None:
        return Timeline(None, closed, ())
    end = growth.end()
    if rule.method is Method.SEQUENTIAL:
        cuts = {closed: 0}
    else:
        cuts = growth.planned_cuts(closed if end is None else min(closed, end))
        cuts |= {end: growth.last_number(cuts)} if end else {}
    looks = []
    for cut, number in sorted(cuts.items()):
        if growth.started < cut <= closed:
            last = cut == end and rule.method is not Method.SEQUENTIAL
            looks.append(Look(cut, cut + closing, 1.0 if last else growth.share(cut), last, number))
    return Timeline(growth.started, closed, tuple(looks))


@dataclass(frozen=True, slots=True)
class _Growth:
    """How a trial grew, period by period."""

    rule: DecisionRule
    period: int
    starts: list[int]
    """Of the periods with units, ascending."""
    totals: list[int]
    """Units first exposed up to the end of each."""

    @classmethod
    def of(cls, counts: Counts, rule: DecisionRule, clock: Clock) -> "_Growth | None":
        periods: dict[int, int] = {}
        for key, units in counts.items():
            periods[key.period] = periods.get(key.period, 0) + units
        starts = sorted(periods)
        totals = list(accumulate(periods[start] for start in starts))
        return cls(rule, clock.period, starts, totals) if starts else None

    @property
    def started(self) -> int:
        return self.starts[0]

    def share(self, cut: int) -> float:
        """Of the planned units, those first exposed before a cut."""
        before = bisect_left(self.starts, cut)
        return min(1.0, (self.totals[before - 1] if before else 0) / self.rule.planned_units)

    def at_size(self, units: int) -> int | None:
        """The first cut that has so many units; None where there are fewer."""
        place = bisect_left(self.totals, units)
        return self.starts[place] + self.period if place < len(self.starts) else None

    def at_age(self, seconds: int) -> int:
        """The first cut at which the trial is so old when its look is taken."""
        cut = self.started + (seconds - self.rule.closing()) * _NS
        return max(self.started + self.period, cut + -cut % self.period)

    def oldest(self) -> int:
        """The first cut up to which units came for the minimum duration."""
        cut = self.started + self.rule.minimum_duration * _NS
        return cut + -cut % self.period

    def end(self) -> int | None:
        """The first cut with planned size and minimum duration; None where the size is not reached."""
        full = self.at_size(self.rule.planned_units)
        return None if full is None else max(full, self.oldest())

    def planned_cuts(self, until: int) -> dict[int, int]:
        """All looks up to a cut, with their numbers; none before the minimum duration."""
        rule, oldest = self.rule, self.oldest()
        cuts: dict[int, int] = {}
        if rule.looks is None:
            return cuts
        if rule.looks.every is None:
            for number, share in enumerate(rule.looks.shares):
                cut = self.at_size(math.ceil(share * rule.planned_units))
                if cut is not None and max(cut, oldest) <= until:
                    cuts[max(cut, oldest)] = number
            return cuts
        age = rule.looks.every
        while (cut := max(oldest, self.at_age(age))) <= until:
            cuts[cut] = len(cuts)
            age += rule.looks.every
        return cuts

    def last_number(self, cuts: Mapping[int, int]) -> int:
        """The number of the look that ends the trial, given the others."""
        looks = self.rule.looks
        return len(looks.shares) - 1 if looks is not None and looks.shares else len(cuts)
