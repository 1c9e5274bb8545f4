"""Events -> the effect by days since a unit's first exposure: novelty wears off, habits take time.

A unit's outcomes of each of the metric's days are counted by the days since its first exposure. The effect of
each day is one of all units, as all of them have had all days. What tests a trend is one slope a unit
(`stats.trend`), so that a unit's days, which are alike, are no observations of their own.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from meshtrial.analysis.cells import Cells, Clock, Key, summed
from meshtrial.analysis.contrasts import measured_of
from meshtrial.analysis.shown import Shown
from meshtrial.analysis.strata import strata_of
from meshtrial.analysis.told import Telling, Told
from meshtrial.analysis.units import SECOND
from meshtrial.analysis.values import amount_of, events_of, is_of
from meshtrial.plan.inference import Metric, MetricKind
from meshtrial.stats.contrast import Contrast
from meshtrial.stats.estimate import Comparison, Difference
from meshtrial.stats.fixed import fixed
from meshtrial.stats.joint import Joint
from meshtrial.stats.trend import METHOD, Drift, day_weights, drift

MOST_DAYS: Final = 90
"""Of a window: where it has more, as in trials of a short minimum duration, several are taken together."""
DAILY: Final = frozenset({MetricKind.PROPORTION, MetricKind.MEAN, MetricKind.COUNT})
"""Kinds whose value on one day is what it is over a window."""


@dataclass(frozen=True, slots=True)
class Since:
    """One metric of one arm. Without covariates and caps, which are of a whole window."""

    together: int
    """Days that are taken together as one, in `days` and `slope`: 1 but for windows of many."""
    days: tuple[Told, ...]
    """The effect on the outcomes of each day since first exposure, from 0; each with an interval of its own.
    A proportion is one of units that had the outcome on that day."""
    slope: Comparison
    """How much the effect changes a day, in the metric's unit."""
    drift: Drift | None
    """What the slope means; None where there is none."""


class Daily(NamedTuple):
    """One metric's sums."""

    metric: Metric
    together: int
    """Days that are one."""
    by_day: tuple[Cells, ...]
    """Of each day since first exposure, by the day of that exposure."""
    slopes: Cells
    """Of one slope a unit."""


class _Days(NamedTuple):
    """How a metric's window is divided."""

    number: int
    together: int

    def length(self, clock: Clock) -> int:
        """Nanoseconds of each."""
        return self.together * clock.day


def _days(metric: Metric, clock: Clock) -> _Days:
    """Whole days of a metric's window; what is left over at its end does not count."""
    days = (metric.window.end - metric.window.start) * SECOND // clock.day
    together = max(1, math.ceil(days / MOST_DAYS))
    return _Days(days // together, together)


def gather_daily(shown: Shown, metrics: Sequence[Metric]) -> Mapping[Metric, Daily]:
    """Sum up outcomes by days since first exposure, from the table `analysed`.

    Those of which a day makes sense, and whose window has two days or more; one pass over the events for all
    whose windows begin and are divided alike.

    Args:
        shown: A trial that randomises units one by one.
        metrics: Any.
    """
    found: dict[Metric, Daily] = {}
    clock = shown.clock
    daily = [metric for metric in metrics if metric.kind in DAILY and _days(metric, clock).number > 1]
    alike = {(metric.window.start, _days(metric, clock).together) for metric in daily}
    for start, together in sorted(alike):
        group = [m for m in daily if (m.window.start, _days(m, clock).together) == (start, together)]
        shown.engine.keep("unit_days", _unit_days(shown, group, start))
        for number, metric in enumerate(group):
            found[metric] = _Sums(shown, metric, number).daily()
    return found


def since_of(daily: Daily, arms: tuple[str, str], clock: Clock, once: Telling) -> Since:
    """One metric of one arm.

    Args:
        daily: What was summed up.
        arms: Ids of control and treatment.
        clock: Tells days.
        once: With intervals of one look.
    """
    counts = {key: cell.units for key, cell in daily.slopes.items()}
    strata = strata_of(counts, *arms, clock)
    plain = replace(daily.metric, covariates=(), cap=None)
    days = [measured_of(plain, cells, strata, arms, clock) for cells in daily.by_day]
    told = tuple(map(once.of, days))
    sloped = replace(plain, kind=MetricKind.MEAN)
    contrast = measured_of(sloped, daily.slopes, strata, arms, clock).contrast
    slope = fixed(contrast, once.alpha)
    if not isinstance(contrast, Contrast) or not isinstance(slope, Difference):
        return Since(daily.together, told, slope, None)
    whole = sum(day.contrast.effect for day in days if isinstance(day.contrast, Contrast))
    return Since(daily.together, told, replace(slope, method=METHOD), drift(whole, slope))


def _unit_days(shown: Shown, metrics: Sequence[Metric], start: int) -> str:
    """Rows of a unit, a day since its first exposure and what each metric is on it: V0, V1, ..."""
    trial, clock = shown.trial, shown.clock
    gap, length = f"(e.Time - u.First - {start * SECOND})", _days(metrics[0], clock).length(clock)
    day = f"CAST(({gap} - {gap} % {length}) / {length} AS BIGINT)"
    ends = [_days(metric, clock).number * length for metric in metrics]
    values = ", ".join(
        f"{_value(metric, f'{gap} < {end}')} AS V{i}"
        for i, (metric, end) in enumerate(zip(metrics, ends, strict=True))
    )
    return f"""
SELECT e.Unit AS Unit, {day} AS Day, {values}
FROM spans e JOIN analysed u ON e.Unit = u.Unit
WHERE {events_of(trial, (metric.events for metric in metrics))} AND {gap} >= 0 AND {gap} < {max(ends)}
  AND e.Received - u.First <= {trial.closing} AND u.Period < {shown.cut}
GROUP BY e.Unit, {day}
"""


def _value(metric: Metric, in_days: str) -> str:
    counts, amount = f"{is_of(metric.events)} AND {in_days}", f"coalesce({amount_of(metric.events)}, 0.0)"
    if metric.kind is MetricKind.PROPORTION:
        had = f" AND {amount} <> 0" if metric.events.field is not None else ""
        return f"max(CASE WHEN {counts}{had} THEN 1.0 ELSE 0.0 END)"
    return f"sum(CASE WHEN {counts} THEN {amount} ELSE 0.0 END)"


_OF: Final = "u.Period - u.Period % {day} AS Came, u.Phase, u.Cohort, u.Arm"


@dataclass(frozen=True, slots=True)
class _Sums:
    """From the table `unit_days`, one metric's."""

    shown: Shown
    metric: Metric
    number: int
    """Of its column."""

    @property
    def days(self) -> int:
        return _days(self.metric, self.shown.clock).number

    def daily(self) -> Daily:
        """Units without a row of a day have the value 0 on it."""
        clock = self.shown.clock
        units = summed(
            ((key, cell.units) for key, cell in self.shown.cells(self.metric).items()),
            lambda key: Key(clock.day_of(key), key.phase, key.cohort, key.arm),
        )
        shift = self._shift(sum(units.values()))
        rows: dict[int, dict[Key, tuple[int, float, float]]] = {}
        for day, *row in self.shown.engine.rows(self._by_day(shift)):
            key, sums = _parsed(row)
            rows.setdefault(int(day), {})[key] = sums
        by_day = [_cells(units, rows.get(day, {}), shift) for day in range(self.days)]
        slopes = dict(_parsed(row) for row in self.shown.engine.rows(self._slopes()))
        return Daily(
            self.metric, _days(self.metric, clock).together, tuple(by_day), _cells(units, slopes, 0.0)
        )

    def _shift(self, units: int) -> float:
        """Near a day's mean, so that sums keep their digits; 0 of a proportion, which is counted."""
        if self.metric.kind is MetricKind.PROPORTION:
            return 0.0
        total = self.shown.engine.rows(f"SELECT sum(V{self.number}) FROM unit_days")[0][0]
        return float(total or 0.0) / self.days / units

    def _by_day(self, shift: float) -> str:
        value = f"(d.V{self.number} - CAST({shift!r} AS DOUBLE))"
        return f"""
SELECT d.Day AS Day, {_OF.format(day=self.shown.clock.day)}, count(*), sum({value}), sum({value} * {value})
FROM unit_days d JOIN analysed u ON d.Unit = u.Unit WHERE d.Day < {self.days}
GROUP BY Day, Came, u.Phase, u.Cohort, u.Arm
"""

    def _slopes(self) -> str:
        first, second = day_weights(self.days)[:2].tolist()
        weight = f"(CAST({first!r} AS DOUBLE) + Day * CAST({second - first!r} AS DOUBLE))"
        return f"""
SELECT {_OF.format(day=self.shown.clock.day)}, count(*), sum(s.Slope), sum(s.Slope * s.Slope) FROM (
  SELECT Unit, sum({weight} * V{self.number}) AS Slope FROM unit_days WHERE Day < {self.days} GROUP BY Unit
) s JOIN analysed u ON s.Unit = u.Unit GROUP BY Came, u.Phase, u.Cohort, u.Arm
"""


def _parsed(row: Sequence[Any]) -> tuple[Key, tuple[int, float, float]]:
    came, phase, cohort, arm, present, total, squares = row
    return Key(int(came), phase, cohort, arm), (int(present), float(total), float(squares))


def _cells(units: Mapping[Key, int], sums: Mapping[Key, tuple[int, float, float]], shift: float) -> Cells:
    """Of all units, of whom those without a row have the value 0."""
    found = {}
    for key, number in units.items():
        present, total, squares = sums.get(key, (0, 0.0, 0.0))
        absent = number - present
        found[key] = Joint((shift,), number, (total - absent * shift,), (squares + absent * shift**2,))
    return found
