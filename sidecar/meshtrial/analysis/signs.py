"""A store -> what its spans tell about the trial itself: the material of the health checks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from meshtrial.analysis.cells import Counts, Key
from meshtrial.analysis.gathered import keep_firsts
from meshtrial.analysis.units import COUNTS, SECOND, Trial, exposures
from meshtrial.analysis.values import amount_of, events_of, is_of, within
from meshtrial.plan.inference import Metric
from meshtrial.store.engine import Engine, quoted

_COHORT: Final = "coalesce(t.Cohort, 'default')"


@dataclass(frozen=True, slots=True)
class Stray:
    """Events of one metric that no unit's value holds, and those that lack what is summed."""

    never_exposed: int
    before_exposure: int
    """Of a metric without covariates, which such events are for."""
    after_window: int
    late: int
    """Within the window, but received after the unit was final."""
    lacking_value: int


@dataclass(frozen=True, slots=True)
class Signs:
    """What a store tells about one experiment, beside its units and their values."""

    groups: Counts
    """Groups first exposed, where groups are randomised; else empty."""
    other_kinds: int
    """Units of another kind: the plan split by another header once."""
    two_arms: Mapping[str, int]
    """Units that met two arms within one phase and cohort, by the arm met first: forced ones left out."""
    moved: int
    """Units that met another arm in another cohort later on; they stay where they met their first."""
    forced: int
    """Units that met another arm than their own by a tester's signed header; counted all the same."""
    late_exposures: Mapping[str, int]
    """Exposures left out as they were received after their unit was final, by arm."""
    keys: tuple[str, ...]
    """Ids of the pseudonym keys of the store's exposures and outcomes."""
    stored: tuple[str, ...]
    """Experiments that the store has exposures of, 20 at most."""
    outcome_names: tuple[str, ...]
    """Names of outcomes that the store has, 20 at most."""
    stray: Mapping[str, Stray]
    """By metric id; of a ratio the numerator's."""


def read_signs(engine: Engine, trial: Trial) -> Signs:
    """Ask for all signs; needs the table `units`.

    Args:
        engine: Has the table.
        trial: The experiment.
    """
    experiment = trial.experiment
    switchback, several = experiment.unit.switchback is not None, len(experiment.splits) > 1
    groups: Counts = {}
    if experiment.unit.group_kind is not None:
        keep_firsts(engine, trial, '"groups"', '"Group"')
        groups = {
            Key(int(period), phase, cohort, arm): int(units)
            for period, phase, cohort, arm, units in engine.rows(COUNTS.format(table='"groups"'))
        }
    return Signs(
        groups=groups,
        other_kinds=_count(engine, _other_kinds(trial)),
        two_arms={} if switchback else dict(engine.rows(_two_arms(trial))),
        moved=_count(
            engine, _met_another_arm(trial, "t.Exposed AND coalesce(t.Cohort, 'default') <> u.Cohort")
        )
        if several
        else 0,
        forced=0 if switchback else _count(engine, _met_another_arm(trial, "t.Reason = 'targeting_match'")),
        late_exposures=dict(engine.rows(_late_exposures(trial))),
        keys=_names(engine, "KeyId", "SpanName IN ('meshtrial.exposure', 'meshtrial.outcome')"),
        stored=_names(engine, "Experiment", "SpanName = 'meshtrial.exposure'"),
        outcome_names=_names(engine, "Outcome", "SpanName = 'meshtrial.outcome'"),
        stray={
            metric.id: Stray(*(int(n or 0) for n in engine.rows(_stray(trial, metric))[0]))
            for metric in experiment.decision.metrics()
            if metric.events.outcome is not None
        },
    )


def _count(engine: Engine, query: str) -> int:
    return int(engine.rows(query)[0][0])


def _names(engine: Engine, column: str, where: str) -> tuple[str, ...]:
    query = f"SELECT DISTINCT {column} FROM spans WHERE {where} AND {column} IS NOT NULL ORDER BY 1 LIMIT 20"
    return tuple(name for (name,) in engine.rows(query))


def _other_kinds(trial: Trial) -> str:
    experiment = trial.experiment
    return f"""
SELECT count(DISTINCT Unit) FROM spans
WHERE SpanName = 'meshtrial.exposure' AND Experiment = {quoted(experiment.id)}
  AND UnitKind <> {quoted(experiment.unit.kind)} AND Exposed
"""


def _met_another_arm(trial: Trial, how: str) -> str:
    experiment = trial.experiment
    return f"""
SELECT count(DISTINCT u.Unit) FROM units u JOIN spans t ON t.Unit = u.Unit
WHERE t.SpanName = 'meshtrial.exposure' AND t.Experiment = {quoted(experiment.id)}
  AND t.UnitKind = {quoted(experiment.unit.kind)} AND t.Phase = u.Phase AND t.Arm <> u.Arm AND {how}
"""


def _two_arms(trial: Trial) -> str:
    return f"""
SELECT u.Arm, count(DISTINCT u.Unit) FROM units u JOIN spans t ON t.Unit = u.Unit
WHERE t.SpanName = 'meshtrial.exposure' AND t.Experiment = {quoted(trial.experiment.id)}
  AND t.UnitKind = {quoted(trial.experiment.unit.kind)} AND t.Phase = u.Phase AND t.Arm <> u.Arm
  AND t.Exposed AND {_COHORT} = u.Cohort
GROUP BY u.Arm ORDER BY 1
"""


def _late_exposures(trial: Trial) -> str:
    return f"""
SELECT Arm, count(*) FROM spans WHERE {exposures(trial)} AND Received - Time > {trial.closing}
GROUP BY Arm ORDER BY 1
"""


def _stray(trial: Trial, metric: Metric) -> str:
    """Never exposed, before, after, late, lacking."""
    events, window = metric.events, metric.window
    counted = within(window.start, window.end)
    before = "e.Time < u.First" if not metric.covariates else "1 = 0"
    lacks = f"({amount_of(events)}) IS NULL" if events.field is not None else "1 = 0"
    late = f"{counted} AND e.Received - u.First > {trial.closing}"
    return f"""
SELECT sum(CASE WHEN u.Unit IS NULL THEN 1 ELSE 0 END), sum(CASE WHEN {before} THEN 1 ELSE 0 END),
  sum(CASE WHEN e.Time - u.First >= {window.end * SECOND} THEN 1 ELSE 0 END),
  sum(CASE WHEN {late} THEN 1 ELSE 0 END),
  sum(CASE WHEN {counted} AND {lacks} THEN 1 ELSE 0 END)
FROM spans e LEFT JOIN units u ON e.Unit = u.Unit
WHERE {events_of(trial, [events])} AND {is_of(events)}
"""
