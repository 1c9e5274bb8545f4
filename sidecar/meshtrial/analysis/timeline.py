"""Counts and rule -> when the trial may be looked at, and what is in each look; pure.

A look takes the units of whole periods: those first exposed before its cut. It can be taken once all of them
are final, `closing` after the cut. Counts and the clock alone decide when, never outcomes.
"""

import math
from bisect import bisect_left
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


@dataclass(frozen=True, slots=True)
class Timeline:
    """The looks of a trial so far."""

    started: int | None
    """Start of the period of the first exposure that is analysed, nanoseconds since 1970; None before any."""
    closed: int
    """Units first exposed before are final now."""
    looks: tuple[Look, ...]
    """Taken already, in order. Of a sequential trial one: now."""
    ended: bool
    """Whether planned size and minimum duration are both reached by what is final now."""


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
        return Timeline(None, closed, (), ended=False)
    end = growth.end()
    if rule.method is Method.SEQUENTIAL:
        cuts = {closed}
    else:
        last = closed if end is None else min(closed, end)
        cuts = {cut for cut in growth.planned_cuts(last) if cut <= last} | ({end} if end else set())
    looks = [
        Look(cut, cut + closing, 1.0 if cut == end else growth.share(cut), cut == end)
        for cut in sorted(cuts)
        if growth.started < cut <= closed
    ]
    return Timeline(growth.started, closed, tuple(looks), end is not None and end <= closed)


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

    def end(self) -> int | None:
        """The first cut with planned size and minimum duration; None where the size is not reached."""
        full = self.at_size(self.rule.planned_units)
        return None if full is None else max(full, self.at_age(self.rule.minimum_duration))

    def planned_cuts(self, last: int) -> list[int]:
        """All looks up to a cut but the one that ends the trial; none before the minimum duration."""
        rule, oldest = self.rule, self.at_age(self.rule.minimum_duration)
        if rule.looks is None:
            return []
        if rule.looks.every is None:
            shares = (self.at_size(math.ceil(share * rule.planned_units)) for share in rule.looks.shares)
            return [max(cut, oldest) for cut in shares if cut is not None]
        cuts: list[int] = []
        while (cut := max(oldest, self.at_age((len(cuts) + 1) * rule.looks.every))) <= last:
            cuts.append(cut)
        return cuts
