"""Tables of units and events -> aggregates: the SQL that adds up, and what is read from its rows."""

from collections.abc import Sequence
from typing import Final

from meshtrial.analysis.aggregates import Aggregates, Numbers, Scale
from meshtrial.analysis.caps import Settles, Settling, units_for
from meshtrial.analysis.cells import Counts, Key
from meshtrial.analysis.eligible import Eligible
from meshtrial.analysis.events import Kinds, events_needed, events_query, values_of_events
from meshtrial.analysis.marks import asked_of, flag_columns, mark_columns
from meshtrial.analysis.strays import stray_columns
from meshtrial.analysis.tallies import Tallies
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
from meshtrial.analysis.values import capped, pairs_of, shifts_query, sums_query
from meshtrial.analysis.variables import Variable, all_variables
from meshtrial.names import Reason
from meshtrial.store.engine import Engine, quoted

UNSETTLED: Final = 2**63 - 1
"""`Scale.settled` where any unit, and time alone, may change a limit."""


class Tied(Exception):
    """A unit's first exposures are of one time and differ, and the rows at hand lack the ids that decide."""


def keep_units(engine: Engine, trial: Trial, eligible: Sequence[Eligible], *, ids: bool = True) -> None:
    """Name the tables `units` and `analysed`, which all other queries read.

    Args:
        engine: Has the view `spans`.
        trial: The experiment.
        eligible: Which units are analysed.
        ids: The view has them.

    Raises:
        Tied: They are needed, and not there.
    """
    engine.keep("places", places_query(trial))
    name_firsts(engine, trial, "unit", trial.unit_key, ids=ids)
    more = ', f."Group"' if trial.experiment.unit.group_kind is not None else ""
    if trial.experiment.unit.switchback is not None:
        engine.keep("unit_spells", spells_query(trial.unit_key))
        more = ", f.Begun, f.Until"
    engine.keep("kept_units", kept_query(trial, eligible))
    engine.name("units", named_query(trial, trial.unit_key, unit_table(trial), f", f.Bucket{more}"))
    engine.name("analysed", named_query(trial, trial.unit_key, "kept_units", more))


def name_firsts(engine: Engine, trial: Trial, what: str, key: str, *, ids: bool = True) -> None:
    """Name a table of first exposures by a key: `unit_firsts`, or `group_firsts`."""
    met, resolved = f"{what}_met", f"{what}_resolved"
    engine.keep(met, met_query(trial, key))
    engine.keep(resolved, resolved_query(trial, key, met, ties=False))
    several = "1 = 1" if has_group(trial, key) else "Way <> Other"
    counts = (f"SELECT count(*) FROM {met} WHERE {several}", f"SELECT count(*) FROM {resolved}")
    if len({engine.rows(count)[0][0] for count in counts}) > 1:
        if not ids:
            raise Tied
        engine.keep(resolved, resolved_query(trial, key, met, ties=True))
    engine.name(f"{what}_firsts", firsts_query(trial, key, met, resolved))


def kinds_of(trial: Trial) -> Kinds:
    """The kinds of events that the table `events` has."""
    return Kinds.of(events_needed(trial.experiment.decision.metrics()))


def keep_events(engine: Engine, trial: Trial) -> None:
    """Make the table `events`."""
    engine.keep("events", events_query(trial, kinds_of(trial)))


def keep_values(engine: Engine, trial: Trial) -> None:
    """Make the table `unit_values`, from `events`."""
    metrics, kinds = trial.experiment.decision.metrics(), kinds_of(trial)
    marks = mark_columns(asked_of(metrics), kinds)
    engine.keep("unit_values", values_of_events(trial, all_variables(metrics), kinds, marks))


def scale_of(engine: Engine, trial: Trial, settles: Settles) -> Scale:
    """What all units are measured by; from the tables of units and values.

    Args:
        engine: Has the tables of `keep_units` and `keep_values`.
        trial: The experiment.
        settles: Tells which units may set a cap that is a share.
    """
    variables = all_variables(trial.experiment.decision.metrics())
    if not variables:
        return Scale((), (), 0)
    shares = [v.cap.value for v in variables if v.cap is not None and v.cap.is_share]
    settling = settles(_kept_counts(engine, trial)) if shares else Settling(0, looked=True, waits=False)
    limits = tuple(_limit(engine, trial, i, variable, settling) for i, variable in enumerate(variables))
    means = engine.rows(shifts_query(capped(variables, limits)))[0]
    shifts = (0.0 if v.binary else float(mean) for v, mean in zip(variables, means, strict=True))
    return Scale(tuple(shifts), limits, _settled(engine, shares, settling))


def aggregate(engine: Engine, trial: Trial, tallies: Tallies, scale: Scale) -> Aggregates:
    """Add up the tables.

    Args:
        engine: Has the tables of `keep_units`, `keep_events` and `keep_values`.
        trial: The experiment.
        tallies: Of the whole store: what exposures there are.
        scale: Of the units.
    """
    metrics = trial.experiment.decision.metrics()
    variables, asked = all_variables(metrics), asked_of(metrics)
    columns = capped(variables, scale.limits)
    sums = sums_query(trial, columns, scale.shifts, pairs_of(metrics), flag_columns(asked))
    strays = stray_columns(metrics, kinds_of(trial))
    counts = engine.rows(f"SELECT {', '.join(strays)} FROM events e")[0] if strays else ()
    return Aggregates(
        exposed=dict(_row(trial, row) for row in engine.rows(counts_query(trial, unit_table(trial)))),
        analysed=dict(_row(trial, row) for row in engine.rows(sums)),
        strays=tuple(int(count or 0) for count in counts),
        other_arms=_other_arms(engine, trial, tallies),
    )


def _row(trial: Trial, row: Sequence[object]) -> tuple[Key, Numbers]:
    period, phase, cohort, arm, *rest = row
    strata = len(trial.strata)
    key = Key(int(str(period)), str(phase), str(cohort), str(arm), tuple(map(str, rest[:strata])))
    return key, tuple(_number(number) for number in rest[strata:])


def _number(number: object) -> float:
    return number if isinstance(number, int | float) else float(str(number))


def _kept_counts(engine: Engine, trial: Trial) -> Counts:
    """Units analysed."""
    rows = engine.rows(f"""
SELECT k.Period, p.Phase, p.Cohort, p.Arm, sum(k.Units) FROM (
  SELECT First - First % {trial.period} AS Period, Place, count(*) AS Units FROM kept_units
  GROUP BY Period, Place
) k JOIN places p ON k.Place = p.Place GROUP BY k.Period, p.Phase, p.Cohort, p.Arm
""")
    return {Key(int(period), phase, cohort, arm): int(units) for period, phase, cohort, arm, units in rows}


def _limit(engine: Engine, trial: Trial, number: int, variable: Variable, settling: Settling) -> float | None:
    """A cap in the variable's unit; one that is a share, from the earliest units of both arms together."""
    cap = variable.cap
    if cap is None or not cap.is_share:
        return cap.value if cap else None
    wanted = units_for(cap.value)
    found = engine.rows(f"""
WITH early AS (
  SELECT Value, row_number() OVER (ORDER BY Value) AS Number, count(*) OVER () AS Units FROM (
    SELECT coalesce(V{number}, 0.0) AS Value FROM kept_units LEFT JOIN unit_values USING ({trial.unit_key})
    WHERE First < {settling.cut} ORDER BY First, Unit LIMIT {wanted}
  ) e
)
SELECT min(Value), max(Units) FROM early WHERE Number >= {cap.value!r} * Units
""")
    [(limit, units)] = found
    return None if limit is None or (settling.waits and units < wanted) else float(limit)


def _settled(engine: Engine, shares: Sequence[float], settling: Settling) -> int:
    """The latest first exposure that may change a limit."""
    if not shares:
        return 0
    wanted = max(map(units_for, shares))
    [(units, latest)] = engine.rows(f"""
SELECT count(*), max(First) FROM (
  SELECT First FROM kept_units WHERE First < {settling.cut} ORDER BY First, Unit LIMIT {wanted}
) e
""")
    if units == wanted:
        return int(latest)
    return settling.cut - 1 if settling.looked else UNSETTLED


def _other_arms(engine: Engine, trial: Trial, tallies: Tallies) -> dict[Key, Numbers]:
    """Units that met another arm than their first in their phase (`Aggregates.other_arms`).

    Only units whose exposures differ can have, and those with exposures that do not count: late ones, or
    testers'.
    """
    if trial.experiment.unit.switchback is not None:
        return {}
    experiment = trial.experiment
    forced = f"t.Reason = {quoted(Reason.TARGETING_MATCH)}"
    who = "t.Unit IN (SELECT Unit FROM unit_met WHERE Way <> Other)"
    if any(row.reason == Reason.TARGETING_MATCH for row in tallies.own):
        who = f"({who} OR {forced})"
    elif not engine.rows("SELECT 1 FROM unit_met WHERE Way <> Other LIMIT 1") and not tallies.has_late:
        return {}
    same = "coalesce(t.Cohort, 'default') = u.Cohort"
    flags = {"Two": f"t.Exposed AND {same}", "Moved": f"t.Exposed AND NOT ({same})", "Forced": forced}
    columns = ", ".join(f"max(CASE WHEN {flag} THEN 1 ELSE 0 END) AS {name}" for name, flag in flags.items())
    rows = engine.rows(f"""
SELECT Period, OfPhase, OfCohort, OfArm, sum(Two), sum(Moved), sum(Forced) FROM (
  SELECT u.Unit, u.First - u.First % {trial.period} AS Period, u.Phase AS OfPhase, u.Cohort AS OfCohort,
    u.Arm AS OfArm, {columns}
  FROM spans t JOIN units u ON t.Unit = u.Unit
  WHERE t.SpanName = 'meshtrial.exposure' AND t.Experiment = {quoted(experiment.id)}
    AND t.UnitKind = {quoted(experiment.unit.kind)} AND t.Phase = u.Phase AND t.Arm <> u.Arm
    AND {"1 = 1" if tallies.has_late else who}
  GROUP BY u.Unit, u.First, u.Phase, u.Cohort, u.Arm
) o GROUP BY Period, OfPhase, OfCohort, OfArm ORDER BY Period, OfPhase, OfCohort, OfArm
""")
    return {
        Key(int(period), phase, cohort, arm): tuple(map(int, counts))
        for period, phase, cohort, arm, *counts in rows
    }
