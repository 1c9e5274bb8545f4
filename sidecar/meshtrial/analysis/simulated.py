"""One simulated trial, judged as a real one is: units and values are drawn, all else is the analysis' own.

::

    traffic -> counts -> looks (`timeline`) -> cells -> measured (`contrasts`) -> verdict (`judged`)

Units come at a steady mean rate to arms by the plan's shares, under one allocation, and nothing is lost or
late: health is not simulated. A group-sequential or fixed trial has its plan's looks; a sequential one is
looked at each day. The first verdict that does not say wait ends it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, overload

import numpy as np

from meshtrial.analysis.cells import Cells, Clock, Counts, Key, clock_of
from meshtrial.analysis.contrasts import measured_of
from meshtrial.analysis.decision import Ruling
from meshtrial.analysis.drawn import Integers, Values
from meshtrial.analysis.judged import judge
from meshtrial.analysis.measured import LookedAt, Measured
from meshtrial.analysis.strata import strata_of
from meshtrial.analysis.timeline import Look, Timeline, timeline_of
from meshtrial.plan.inference import Method
from meshtrial.plan.model import DEFAULT_COHORT, Experiment
from meshtrial.stats.burn_in import burn_in
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.joint import Joint
from meshtrial.stats.proportion import Proportion

DAY: Final = 86_400 * 10**9
"""In nanoseconds."""
MOST_BLOCKS: Final = 2000
"""Into which the time of a trial is divided at most, else by the analysis' periods: units come at a start."""
MOST_LOOKS: Final = 100
"""At a sequential trial: one a day, or as many."""
_BEGIN: Final = 20_000 * DAY
"""Of every simulated trial; no result depends on it."""
_SPARE: Final = 8.0
"""Standard deviations by which units may be late before a trial is given up."""
_NOT_DRAWN: Final = Measured(NotEstimable("secondary metrics are not simulated"), 0, 0, 0.0)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is true in a simulated trial."""

    name: str
    arm: str
    """The arm that has the effects; all others are as control."""
    effects: Mapping[str, float]
    """By metric id, in the metric's unit; a metric that is not named has none."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How one trial ended."""

    decision: Ruling
    """`wait` where it was given up without another verdict."""
    arm: str | None
    """That is shipped, rolled back or to be reviewed."""
    days: float
    """From the first exposure to the verdict."""
    units: int
    """Of all arms, that the verdict stands on."""


class _Lazily(Sequence[LookedAt]):
    """Looks that are measured when they are asked for: of a trial that has stopped no more are."""

    def __init__(self, looks: Sequence[Look], measure: Callable[[Look], LookedAt]) -> None:
        self._looks, self._measure = looks, measure
        self._measured: list[LookedAt] = []

    def __len__(self) -> int:
        return len(self._looks)

    @overload
    def __getitem__(self, at: int) -> LookedAt: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[LookedAt]: ...
    def __getitem__(self, at: int | slice) -> LookedAt | Sequence[LookedAt]:
        wanted = range(len(self))[at]
        last = wanted if isinstance(wanted, int) else max(wanted, default=-1)
        while len(self._measured) <= last:
            self._measured.append(self._measure(self._looks[len(self._measured)]))
        return self._measured[at]


@dataclass(frozen=True)
class Simulated:
    """An experiment, its traffic and its values: what every run has in common.

    Raises:
        ValueError: Its design is not simulated, an arm gets no units, or a metric's values are missing.
    """

    experiment: Experiment
    values: Mapping[str, Values]
    """By metric id: of primaries and guardrails."""
    units_per_day: float
    """New units of all arms, above 0."""
    days: float | None = None
    """After which a trial without a verdict is given up. None: when the planned units should have come."""

    def __post_init__(self) -> None:
        experiment, rule = self.experiment, self.experiment.decision
        if experiment.unit.group_kind is not None:
            raise ValueError("groups are not simulated: only units independent of each other")
        if experiment.unit.switchback is not None:
            raise ValueError("switchbacks are not simulated: only units independent of each other")
        for arm, share in zip(experiment.arms, self.shares, strict=True):
            if not share:
                raise ValueError(f"arm {arm.id} gets no units under the present ramp, so nothing is compared")
        for metric in (*(e.metric for e in rule.primary), *(e.metric for e in rule.guardrails)):
            if metric.id not in self.values:
                raise ValueError(f"nothing is supposed of {metric.id}")
        if not 0 < self.units_per_day < math.inf:
            raise ValueError(f"units per day must be above 0 and finite, not {self.units_per_day:g}")
        if not self.horizon > self.closing:
            least = f"{self.closing / DAY:.3g} days until the first unit is final"
            raise ValueError(f"the trial is given up before its first look: it takes {least}")

    def run(self, scenario: Scenario, chance: np.random.Generator) -> Ran:
        """One trial.

        Raises:
            ValueError: A metric cannot have an effect of the scenario.
        """
        starts, block = self.blocks
        mean = self.units_per_day * block / DAY
        drawn = chance.poisson([mean * share for share in self.shares], (len(starts), len(self.shares)))
        rows, columns = np.nonzero(drawn)
        counts = {
            self._keys[row][column]: units
            for row, column, units in zip(
                rows.tolist(), columns.tolist(), drawn[rows, columns].tolist(), strict=True
            )
        }
        timeline = self._timeline(counts)
        together, cells = self._cells(scenario, timeline.looks, drawn, chance)

        def measure(look: Look) -> LookedAt:
            return self._measured(look, together, cells)

        judged = judge(self.experiment, timeline, _Lazily(timeline.looks, measure), "nobody came")
        stopped, verdict = judged.stopped, judged.verdict
        cut = timeline.closed if stopped is None else stopped.cut
        units = sum(n for key, n in counts.items() if key.period < cut)
        days = self.horizon / DAY
        if stopped is not None and timeline.started is not None:
            days = (stopped.taken - timeline.started) / DAY
        return Ran(verdict.decision, verdict.arm, days, units)

    @cached_property
    def shares(self) -> list[float]:
        """Of each arm, in document order."""
        return [float(self.experiment.share(arm, DEFAULT_COHORT)) for arm in self.experiment.arms]

    @cached_property
    def clock(self) -> Clock:
        """The analysis' own."""
        return clock_of(self.experiment.decision.minimum_duration)

    @cached_property
    def closing(self) -> int:
        """Nanoseconds from a first exposure until its unit is final."""
        return self.experiment.decision.closing() * 10**9

    @cached_property
    def horizon(self) -> int:
        """Nanoseconds after which a trial is given up."""
        if self.days is not None:
            return round(self.days * DAY)
        rule = self.experiment.decision
        planned = rule.planned_units
        oldest = self.closing + rule.minimum_duration * 10**9
        if rule.method is Method.SEQUENTIAL:
            intake = math.ceil(planned / self.units_per_day * DAY / self.clock.day) * self.clock.day
            return max(intake + self.closing, oldest + self.clock.day)
        intake = math.ceil((planned + _SPARE * math.sqrt(planned)) / self.units_per_day * DAY)
        return intake + oldest + 2 * self.clock.day

    @cached_property
    def every(self) -> int:
        """Nanoseconds between looks at a sequential trial: a day, or as many as make `MOST_LOOKS`."""
        days = (self.horizon - self.closing) / self.clock.day
        return max(1, math.ceil(days / MOST_LOOKS)) * self.clock.day

    @cached_property
    def blocks(self) -> tuple[Integers, int]:
        """When units come, and how long after each other, in nanoseconds."""
        if self.experiment.decision.method is Method.SEQUENTIAL:
            block = self.every  # no look falls between
        else:
            periods = self.horizon / self.clock.period
            block = max(1, math.ceil(periods / MOST_BLOCKS)) * self.clock.period
        begin = _BEGIN - _BEGIN % self.clock.day
        return np.arange(begin, begin + self.horizon, block), block

    @cached_property
    def _keys(self) -> list[list[Key]]:
        """Of each block and arm."""
        phase, arms = self.experiment.phase, self.experiment.arms
        return [
            [Key(start, phase, DEFAULT_COHORT, arm.id) for arm in arms] for start in self.blocks[0].tolist()
        ]

    def _timeline(self, counts: Counts) -> Timeline:
        rule, begin = self.experiment.decision, int(self.blocks[0][0])
        whole = timeline_of(counts, rule, self.clock, begin + self.horizon)
        if rule.method is not Method.SEQUENTIAL:
            return whole
        nows = range(begin + self.every + self.closing, begin + self.horizon + 1, self.every)
        looks = [look for now in nows for look in timeline_of(counts, rule, self.clock, now).looks]
        return Timeline(whole.started, whole.closed, tuple(looks))

    def _cells(
        self, scenario: Scenario, looks: Sequence[Look], drawn: Integers, chance: np.random.Generator
    ) -> tuple[Counts, Mapping[str, Cells]]:
        """Units and sums by metric, of blocks of one day that no look divides together: no answer changes."""
        starts, _ = self.blocks
        cuts = np.array([look.cut for look in looks], np.int64)
        seen = np.searchsorted(cuts, starts, side="right")
        groups = np.stack([starts // self.clock.day, seen])
        first = np.flatnonzero(np.any(np.diff(groups, axis=1, prepend=-1) != 0, axis=0))
        units = np.add.reduceat(drawn, first, axis=0)
        kept = seen[first] < len(cuts)
        first, units = first[kept], units[kept]
        together: dict[Key, int] = {}
        cells: dict[str, dict[Key, Joint]] = {metric: {} for metric in self.values}
        for place, arm in enumerate(self.experiment.arms):
            some = np.flatnonzero(units[:, place])
            keys = [self._keys[row][place] for row in first[some].tolist()]
            together.update(zip(keys, units[some, place].tolist(), strict=True))
            if not keys:
                continue
            for metric, values in self.values.items():
                effect = scenario.effects.get(metric, 0.0) if arm.id == scenario.arm else 0.0
                joints = values.draw(values.supposed.baseline + effect, units[some, place], chance)
                cells[metric].update(zip(keys, joints, strict=True))
        return together, cells

    def _measured(self, look: Look, counts: Counts, cells: Mapping[str, Cells]) -> LookedAt:
        experiment, control = self.experiment, self.experiment.control.id
        before = {key: units for key, units in counts.items() if key.period < look.cut}
        found: dict[tuple[str, str], Measured] = {}
        for arm in experiment.treatments():
            strata = strata_of(before, control, arm.id, self.clock)
            for metric in experiment.decision.metrics():
                if metric.id not in cells:
                    found[metric.id, arm.id] = _NOT_DRAWN
                    continue
                looked = {key: cell for key, cell in cells[metric.id].items() if key.period < look.cut}
                measured = measured_of(metric, looked, strata, (control, arm.id), self.clock)
                found[metric.id, arm.id] = _as_quantile(measured, metric.q) if metric.q else measured
        return LookedAt(look, found)


def _as_quantile(measured: Measured, q: float) -> Measured:
    """A mean that stands for a quantile: when it may be looked at is told by events on either side of it."""
    control, treatment = (
        Proportion(units, round(q * units)) for units in (measured.control_units, measured.treatment_units)
    )
    return replace(measured, too_early=burn_in(control, treatment))
