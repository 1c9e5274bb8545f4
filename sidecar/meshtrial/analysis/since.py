"""Events -> the effect by days since a unit's first exposure: novelty wears off, habits take time.

A unit's outcomes of each of the metric's days are counted by the days since its first exposure. The effect of
each day is one of all units, as all of them have had all days. What tests a trend is one slope a unit
(`stats.trend`), so that a unit's days, which are alike, are no observations of their own.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement, islice
from typing import Final, NamedTuple, TypeAlias

from meshtrial.analysis.cells import Cells, Clock, Key, summed
from meshtrial.analysis.contrasts import measured_of
from meshtrial.analysis.events import Kinds, events_needed
from meshtrial.analysis.measured import Measured
from meshtrial.analysis.shown import Shown
from meshtrial.analysis.strata import strata_of
from meshtrial.analysis.told import Telling, Told
from meshtrial.analysis.units import SECOND
from meshtrial.analysis.values import summed as summed_up
from meshtrial.analysis.variables import Variable
from meshtrial.plan.inference import Metric, MetricKind
from meshtrial.stats.contrast import Contrast, Contrasted
from meshtrial.stats.estimate import Comparison, Difference, NotEstimable
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
    relative_slope: Comparison
    """The arm's slope as a share of its value on a mean day, less control's as a share of its own: about how
    much the arm's value by control's changes a day, 0 where the lift is a constant share."""
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
    """Of two numbers a unit: its slope, and its value on a mean day."""


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
    """Sum up outcomes by days since first exposure, from the tables `kept_units`, `places` and `events`.

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
        found.update({daily.metric: daily for daily in _Sums(shown, group).daily()})
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
    contrast, relative = (
        measured_of(replace(plain, kind=kind), daily.slopes, strata, arms, clock).contrast
        for kind in (MetricKind.MEAN, MetricKind.RATIO)
    )
    slope, share = fixed(contrast, once.alpha), fixed(_of_sizes(relative, days), once.alpha)
    if not isinstance(contrast, Contrast) or not isinstance(slope, Difference):
        return Since(daily.together, told, slope, share, None)
    slope = replace(slope, method=METHOD)
    whole = sum(day.contrast.effect for day in days if isinstance(day.contrast, Contrast))
    return Since(daily.together, told, slope, share, drift(whole, slope, share))


def _of_sizes(relative: Contrasted, days: Sequence[Measured]) -> Contrasted:
    """Slopes as shares of values -> of their sizes: of negative values, a share points the other way."""
    if isinstance(relative, NotEstimable):
        return relative
    control, treatment = (math.fsum(day.values[arm] for day in days if day.values) for arm in (0, 1))
    if control * treatment <= 0:
        return NotEstimable("the arms' values have different signs, so that shares of them do not compare")
    sign = math.copysign(1.0, control)
    return replace(relative, control=sign * relative.control, effect=sign * relative.effect)


def _unit_days(shown: Shown, metrics: Sequence[Metric], start: int) -> str:
    """Rows of a unit, a day since its first exposure and what each metric is on it: V0, V1, ..."""
    kinds = Kinds.of(events_needed(shown.experiment.decision.metrics()))
    gap, length = f"(e.Since - {start * SECOND})", _days(metrics[0], shown.clock).length(shown.clock)
    ends = [_days(metric, shown.clock).number * length for metric in metrics]
    values = ", ".join(
        f"{_value(metric, kinds, f'{gap} < {end}')} AS V{i}"
        for i, (metric, end) in enumerate(zip(metrics, ends, strict=True))
    )
    return f"""
SELECT Unit, CAST(({gap} - {gap} % {length}) / {length} AS BIGINT) AS Day, {values}
FROM events e WHERE {gap} >= 0 AND {gap} < {max(ends)} AND e.Late = 0
GROUP BY Unit, Day
"""


def _value(metric: Metric, kinds: Kinds, in_days: str) -> str:
    events, binary = metric.events, metric.kind is MetricKind.PROPORTION
    counts = f"{kinds.is_of(events)} AND {in_days}"
    return summed_up(Variable(events, 0, 1, binary), counts, f"coalesce({kinds.amount_of(events)}, 0.0)")


_Row: TypeAlias = tuple[int, tuple[float, ...], tuple[float, ...]]
"""Units that have a row, sums of their variables about shifts, and of products in the order of `Joint`."""


@dataclass(frozen=True, slots=True)
class _Sums:
    """From the table `unit_days`, whose columns are these metrics."""

    shown: Shown
    metrics: Sequence[Metric]
    """Divided alike."""

    @property
    def days(self) -> list[_Days]:
        """Of each metric."""
        return [_days(metric, self.shown.clock) for metric in self.metrics]

    def daily(self) -> Iterator[Daily]:
        """Units without a row of a day have the value 0 on it."""
        shifts = self._shifts()
        by_day = self._rows(self._by_day(), [(shift,) for shift in shifts])
        slopes = self._rows(self._slopes(), [(0.0, shift) for shift in shifts])
        for i, (metric, days) in enumerate(zip(self.metrics, self.days, strict=True)):
            units = summed(
                ((key, cell.units) for key, cell in self.shown.days[metric.id].items()),
                lambda key: key._replace(strata=()),
            )
            cells = [_cells(units, by_day[i].get(day, {}), (shifts[i],)) for day in range(days.number)]
            sloped = _cells(units, slopes[i].get(0, {}), (0.0, shifts[i]))
            yield Daily(metric, days.together, tuple(cells), sloped)

    def _shifts(self) -> list[float]:
        """Near a day's mean, so that sums keep their digits; 0 of a proportion, which is counted."""
        sums = ", ".join(f"coalesce(sum(V{i}), 0.0)" for i in range(len(self.metrics)))
        [totals] = self.shown.engine.rows(f"SELECT {sums} FROM unit_days")
        units = sum(self.shown.gathered.analysed.values())
        return [
            0.0 if metric.kind is MetricKind.PROPORTION else float(total) / days.number / units
            for metric, days, total in zip(self.metrics, self.days, totals, strict=True)
        ]

    def _by_day(self) -> str:
        values = ", ".join(f"V{i} AS X{i}_0" for i in range(len(self.metrics)))
        return f"SELECT Unit, Day, {values} FROM unit_days"

    def _slopes(self) -> str:
        """Two numbers a unit and metric, as of day 0: the slope, and the value on a mean day."""
        sums = []
        for i, days in enumerate(self.days):
            first, second = day_weights(days.number)[:2].tolist()
            weight = f"(CAST({first!r} AS DOUBLE) + u.Day * CAST({second - first!r} AS DOUBLE))"
            for j, factor in enumerate((weight, f"CAST({1 / days.number!r} AS DOUBLE)")):
                value = f"CASE WHEN u.Day < {days.number} THEN {factor} * V{i} ELSE 0.0 END"
                sums.append(f"sum({value}) AS X{i}_{j}")
        return f"SELECT Unit, 0 AS Day, {', '.join(sums)} FROM unit_days u GROUP BY Unit"

    def _rows(self, values: str, shifts: Sequence[tuple[float, ...]]) -> list[dict[int, dict[Key, _Row]]]:
        """Of each metric by day: sums of its variables over the units analysed, by the day of their exposure.

        Places have numbers in the tables of units, and names only here, where there are few rows.

        Args:
            values: Rows of a unit and a day with X0_0, X0_1, ..., X1_0, ...: of each metric its variables.
            shifts: Of each metric, one for each variable.
        """
        sums: list[str] = []
        for i, of_metric in enumerate(shifts):
            gaps = [f"(d.X{i}_{j} - CAST({shift!r} AS DOUBLE))" for j, shift in enumerate(of_metric)]
            pairs = combinations_with_replacement(gaps, 2)
            sums += [f"sum({gap})" for gap in gaps] + [f"sum({one} * {other})" for one, other in pairs]
        named = ", ".join(f"{told} AS S{n}" for n, told in enumerate(sums))
        again = ", ".join(f"sum(c.S{n})" for n in range(len(sums)))
        found: list[dict[int, dict[Key, _Row]]] = [{} for _ in shifts]
        for day, came, phase, cohort, arm, units, *numbers in self.shown.engine.rows(f"""
SELECT c.Day, c.Came, p.Phase, p.Cohort, p.Arm, sum(c.Units), {again}
FROM (
  SELECT d.Day AS Day, u.First - u.First % {self.shown.clock.day} AS Came, u.Place AS Place,
    count(*) AS Units, {named}
  FROM ({values}) d JOIN kept_units u ON d.Unit = u.Unit
  WHERE u.First - u.First % {self.shown.trial.period} < {self.shown.cut}
  GROUP BY Day, Came, Place
) c JOIN places p ON c.Place = p.Place
GROUP BY c.Day, c.Came, p.Phase, p.Cohort, p.Arm
"""):
            key, rest = Key(int(came), phase, cohort, arm), map(float, numbers)
            for of_metric, into in zip(shifts, found, strict=True):
                variables = len(of_metric)
                totals = tuple(islice(rest, variables))
                products = tuple(islice(rest, variables * (variables + 1) // 2))
                into.setdefault(int(day), {})[key] = (int(units), totals, products)
        return found


def _cells(units: Mapping[Key, int], sums: Mapping[Key, _Row], shifts: tuple[float, ...]) -> Cells:
    """Of all units, of whom those without a row have the value 0."""
    found: dict[Key, Joint] = {}
    squares = [one * other for one, other in combinations_with_replacement(shifts, 2)]
    nothing: _Row = (0, (0.0,) * len(shifts), (0.0,) * len(squares))
    for key, number in units.items():
        present, totals, products = sums.get(key, nothing)
        absent = number - present
        found[key] = Joint(
            shifts,
            number,
            tuple(total - absent * shift for total, shift in zip(totals, shifts, strict=True)),
            tuple(product + absent * square for product, square in zip(products, squares, strict=True)),
        )
    return found
