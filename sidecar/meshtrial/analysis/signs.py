"""A store -> what its spans tell about the trial itself: the material of the health checks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from meshtrial.analysis.cells import Counts
from meshtrial.analysis.events import Kinds, counted, events_needed
from meshtrial.analysis.gathered import counts_of, name_firsts
from meshtrial.analysis.tallies import Tallies
from meshtrial.analysis.units import SECOND, Trial
from meshtrial.names import Reason
from meshtrial.plan.inference import Metric
from meshtrial.store.engine import Engine, quoted


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


def read_signs(engine: Engine, trial: Trial, tallies: Tallies) -> Signs:
    """Ask for all signs; needs the tables of `gathered.keep_units` and the table `events`.

    Args:
        engine: Has the tables.
        trial: The experiment.
        tallies: Of its rows.
    """
    experiment = trial.experiment
    switchback = experiment.unit.switchback is not None
    groups: Counts = {}
    if experiment.unit.group_kind is not None:
        name_firsts(engine, trial, "group", '"Group"')
        groups = counts_of(engine, trial, "group_firsts")
    late: dict[str, int] = {}
    for row in tallies.counted:
        if row.is_late and row.arm is not None:
            late[row.arm] = late.get(row.arm, 0) + row.rows
    others = [] if switchback else _other_arms(engine, trial, is_late=bool(late))
    return Signs(
        groups=groups,
        other_kinds=_other_kinds(engine, trial, tallies),
        two_arms={arm: units for arm, units, _ in others if units},
        moved=sum(moved for _, _, moved in others) if len(experiment.splits) > 1 else 0,
        forced=0 if switchback else _forced(engine, trial, tallies),
        late_exposures=dict(sorted(late.items())),
        keys=_some([row.key_id for row in tallies.exposures] + [row.key_id for row in tallies.outcomes]),
        stored=_some([row.experiment for row in tallies.exposures]),
        outcome_names=_some([row.name for row in tallies.outcomes]),
        stray=_strays(engine, trial, tallies),
    )


def _some(names: Sequence[str | None]) -> tuple[str, ...]:
    return tuple(sorted({name for name in names if name is not None})[:20])


def _other_kinds(engine: Engine, trial: Trial, tallies: Tallies) -> int:
    experiment = trial.experiment
    if not any(row.exposed and row.kind is not None and row.kind != tallies.kind for row in tallies.own):
        return 0
    query = f"""
SELECT count(DISTINCT Unit) FROM spans
WHERE SpanName = 'meshtrial.exposure' AND Experiment = {quoted(experiment.id)}
  AND UnitKind <> {quoted(experiment.unit.kind)} AND Exposed
"""
    return int(engine.rows(query)[0][0])


def _other_arms(engine: Engine, trial: Trial, *, is_late: bool) -> Sequence[tuple[str, int, int]]:
    """By the arm met first: units that met another arm in the same phase, and of those in another cohort.

    Only units whose exposures differ can have; those whose exposures were late may be among them too.
    """
    differ = "(SELECT Unit FROM unit_met WHERE Way <> Other)"
    if not is_late and not engine.rows(f"SELECT 1 FROM {differ} d LIMIT 1"):
        return []
    who = "" if is_late else f"JOIN {differ} d ON d.Unit = t.Unit"
    same = "coalesce(t.Cohort, 'default') = u.Cohort"
    rows = engine.rows(f"""
SELECT u.Arm, count(DISTINCT CASE WHEN {same} THEN u.Unit END),
  count(DISTINCT CASE WHEN NOT ({same}) THEN u.Unit END)
FROM spans t {who} JOIN units u ON t.Unit = u.Unit
WHERE {_of_units(trial)} AND t.Exposed GROUP BY u.Arm ORDER BY u.Arm
""")
    return [(arm, int(two), int(moved)) for arm, two, moved in rows]


def _forced(engine: Engine, trial: Trial, tallies: Tallies) -> int:
    if not any(row.reason == Reason.TARGETING_MATCH for row in tallies.own):
        return 0
    query = f"""
SELECT count(DISTINCT u.Unit) FROM units u JOIN spans t ON t.Unit = u.Unit
WHERE {_of_units(trial)} AND t.Reason = {quoted(Reason.TARGETING_MATCH)}
"""
    return int(engine.rows(query)[0][0])


def _of_units(trial: Trial) -> str:
    """The condition that an exposure `t` is of a unit `u`, in its phase and not to its arm."""
    experiment = trial.experiment
    return f"""t.SpanName = 'meshtrial.exposure' AND t.Experiment = {quoted(experiment.id)}
  AND t.UnitKind = {quoted(experiment.unit.kind)} AND t.Phase = u.Phase AND t.Arm <> u.Arm"""


def _strays(engine: Engine, trial: Trial, tallies: Tallies) -> Mapping[str, Stray]:
    """Of all metrics in one reading of the events that units have; all other outcomes have no unit."""
    every = trial.experiment.decision.metrics()
    metrics = [metric for metric in every if metric.events.outcome is not None]
    if not metrics:
        return {}
    kinds = Kinds.of(events_needed(every))
    columns = [f"sum(CASE WHEN {what} THEN 1 ELSE 0 END)" for m in metrics for what in _stray(m, kinds)]
    [counts] = engine.rows(f"SELECT {', '.join(columns)} FROM events e")
    strays = {}
    for number, metric in enumerate(metrics):
        joined, *others = (int(count or 0) for count in counts[5 * number : 5 * number + 5])
        outcomes = (
            row.rows
            for row in tallies.outcomes
            if row.name == metric.events.outcome and row.kind == tallies.kind
        )
        strays[metric.id] = Stray(sum(outcomes) - joined, *others)
    return strays


def _stray(metric: Metric, kinds: Kinds) -> list[str]:
    """Of any unit, before, after, late, lacking: conditions on a row `e` of `events`."""
    own, window = kinds.is_of(metric.events), metric.window
    within = f"{own} AND {counted(window.start, window.end)}"
    lacks = f"{kinds.amount_of(metric.events)} IS NULL" if metric.events.field is not None else "1 = 0"
    return [
        own,
        f"{own} AND e.Since < 0" if not metric.covariates else "1 = 0",
        f"{own} AND e.Since >= {window.end * SECOND}",
        f"{within} AND e.Late = 1",
        f"{within} AND {lacks}",
    ]
