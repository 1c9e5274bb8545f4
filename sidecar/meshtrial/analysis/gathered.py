"""Tables -> cells: the one pass over units and their events."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from meshtrial.analysis.cells import Cells, Counts, Key
from meshtrial.analysis.eligible import Eligible
from meshtrial.analysis.events import Kinds, events_needed, events_query, values_of_events
from meshtrial.analysis.marks import asked_of, mark_columns
from meshtrial.analysis.units import (
    Trial,
    counts_query,
    firsts_query,
    has_group,
    kept_query,
    met_query,
    named_query,
    places_query,
    resolved_query,
    spells_query,
    unit_table,
)
from meshtrial.analysis.values import capped, shifts_query, sums_query
from meshtrial.analysis.variables import Variable, all_variables, variables_of
from meshtrial.stats.joint import Joint
from meshtrial.store.engine import Engine

LEAST_FOR_CAP = 10
"""Units above a cap that is a share: as many units as that takes set the cap, the earliest ones."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What one pass over a store tells of an experiment."""

    exposed: Counts
    """Units first exposed, of every phase, whatever became of them."""
    analysed: Counts
    """Of these, the units whose arm stayed theirs until their windows closed."""
    cells: Mapping[str, Cells]
    """By metric id, of the units analysed; none of a quantile."""
    caps: Mapping[str, float]
    """By metric id: what a value counted as at most, where the plan gives a share."""
    columns: Mapping[Variable, str]
    """What each variable is in SQL, from the tables `analysed` and `unit_values`."""


def keep_units(engine: Engine, trial: Trial, eligible: Sequence[Eligible]) -> None:
    """Name the tables `units` and `analysed`, which all other queries read."""
    engine.keep("places", places_query(trial))
    name_firsts(engine, trial, "unit", trial.unit_key)
    more = ', f."Group"' if trial.experiment.unit.group_kind is not None else ""
    if trial.experiment.unit.switchback is not None:
        engine.keep("unit_spells", spells_query(trial.unit_key))
        more = ", f.Begun, f.Until"
    engine.keep("kept_units", kept_query(trial, eligible))
    engine.name("units", named_query(trial, trial.unit_key, unit_table(trial), f", f.Bucket{more}"))
    engine.name("analysed", named_query(trial, trial.unit_key, "kept_units", more))


def name_firsts(engine: Engine, trial: Trial, what: str, key: str) -> None:
    """Name a table of first exposures by a key: `unit_firsts`, or `group_firsts`."""
    met, resolved = f"{what}_met", f"{what}_resolved"
    engine.keep(met, met_query(trial, key))
    engine.keep(resolved, resolved_query(trial, key, met, ties=False))
    several = "1 = 1" if has_group(trial, key) else "Way <> Other"
    counts = (f"SELECT count(*) FROM {met} WHERE {several}", f"SELECT count(*) FROM {resolved}")
    if len({engine.rows(count)[0][0] for count in counts}) > 1:
        engine.keep(resolved, resolved_query(trial, key, met, ties=True))
    engine.name(f"{what}_firsts", firsts_query(trial, key, met, resolved))


def gather_cells(engine: Engine, trial: Trial) -> Gathered:
    """Sum up what units did; makes the tables `events` and `unit_values` and reads those of `keep_units`."""
    exposed, analysed = (counts_of(engine, trial, table) for table in (unit_table(trial), "kept_units"))
    metrics = trial.experiment.decision.metrics()
    variables, kinds = all_variables(metrics), Kinds.of(events_needed(metrics))
    marks = mark_columns(asked_of(metrics), kinds)
    engine.keep("events", events_query(trial, kinds))
    engine.keep("unit_values", values_of_events(trial, variables, kinds, marks))
    if not variables or not analysed:
        return Gathered(exposed, analysed, {metric.id: {} for metric in metrics}, {}, {})
    limits = [_cap(engine, trial, i, variable) for i, variable in enumerate(variables)]
    columns = capped(variables, limits)
    means = engine.rows(shifts_query(columns))[0]
    shifts = [0.0 if v.binary else float(mean) for v, mean in zip(variables, means, strict=True)]
    index = {variable: i for i, variable in enumerate(variables)}
    of_metric = {metric.id: [index[v] for v in variables_of(metric)] for metric in metrics}
    pairs = sorted({p for numbers in of_metric.values() for p in _pairs(numbers)})
    rows = engine.rows(sums_query(trial, columns, shifts, pairs))
    cells = {
        metric.id: _cells(rows, of_metric[metric.id], shifts, pairs, len(trial.strata))
        for metric in metrics
        if of_metric[metric.id]
    }
    caps = {
        metric.id: limit
        for metric in metrics
        if metric.cap is not None and metric.cap.is_share
        for number in of_metric[metric.id][:1]
        if (limit := limits[number]) is not None
    }
    return Gathered(exposed, analysed, cells, caps, dict(zip(variables, columns, strict=True)))


def counts_of(engine: Engine, trial: Trial, table: str) -> Counts:
    """Units of a table with First and Place."""
    return {
        Key(int(period), phase, cohort, arm): int(units)
        for period, phase, cohort, arm, units in engine.rows(counts_query(trial, table))
    }


def _cap(engine: Engine, trial: Trial, number: int, variable: Variable) -> float | None:
    """A cap in the variable's unit; one that is a share, from the earliest units of both arms together."""
    cap = variable.cap
    if cap is None or not cap.is_share:
        return cap.value if cap else None
    wanted = math.ceil(LEAST_FOR_CAP / (1 - cap.value))
    found = engine.rows(f"""
WITH early AS (
  SELECT Value, row_number() OVER (ORDER BY Value) AS Place, count(*) OVER () AS Units FROM (
    SELECT coalesce(V{number}, 0.0) AS Value FROM kept_units LEFT JOIN unit_values USING ({trial.unit_key})
    ORDER BY First, Unit LIMIT {wanted}
  ) e
)
SELECT min(Value) FROM early WHERE Place >= {cap.value!r} * Units
""")
    return None if found[0][0] is None else float(found[0][0])


def _pairs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    return [(min(i, j), max(i, j)) for at, i in enumerate(numbers) for j in numbers[at:]]


def _cells(
    rows: Sequence[tuple[Any, ...]],
    numbers: Sequence[int],
    shifts: Sequence[float],
    pairs: Sequence[tuple[int, int]],
    strata: int,
) -> Cells:
    key_size, count = 4 + strata, len(shifts)
    places = [key_size + 1 + count + pairs.index(pair) for pair in _pairs(numbers)]
    cells: dict[Key, Joint] = {}
    for row in rows:
        period, phase, cohort, arm = row[:4]
        key = Key(int(period), phase, cohort, arm, tuple(row[4:key_size]))
        units = int(row[key_size])
        totals = tuple(float(row[key_size + 1 + i]) for i in numbers)
        products = tuple(float(row[place]) for place in places)
        cells[key] = Joint(tuple(shifts[i] for i in numbers), units, totals, products)
    return cells
