"""A store -> what its spans tell about the trial itself: the material of the health checks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from meshtrial.analysis.aggregates import Aggregates
from meshtrial.analysis.aggregating import name_firsts
from meshtrial.analysis.cells import Counts, Key
from meshtrial.analysis.strays import Stray, strays_of
from meshtrial.analysis.tallies import Tallies
from meshtrial.analysis.units import Trial, counts_query
from meshtrial.store.engine import Engine, quoted


class Others(NamedTuple):
    """Units that met another arm in the phase of their first exposure."""

    two: int
    """In the same cohort, and not by a tester's header."""
    moved: int
    """In another cohort, where that may be; they stay where they met their first."""
    forced: int
    """By a tester's signed header; counted all the same."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What a store tells about one experiment, beside its units and their values."""

    groups: Counts
    """Groups first exposed, where groups are randomised; else empty."""
    other_kinds: int
    """Units of another kind: the plan split by another header once."""
    others: Mapping[Key, Others]
    """By the cell of their first exposure, units that met another arm too."""
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


def read_signs(engine: Engine, trial: Trial, tallies: Tallies, aggregates: Aggregates) -> Signs:
    """Put together all signs.

    Args:
        engine: Has the view `spans`.
        trial: The experiment.
        tallies: Of its rows.
        aggregates: Of its units.
    """
    experiment = trial.experiment
    groups: Counts = {}
    if experiment.unit.group_kind is not None:
        groups = _groups(engine, trial)
    late: dict[str, int] = {}
    for row in tallies.counted:
        if row.is_late and row.arm is not None:
            late[row.arm] = late.get(row.arm, 0) + row.rows
    others = {key: Others(*map(round, units)) for key, units in aggregates.other_arms.items() if any(units)}
    return Signs(
        groups=groups,
        other_kinds=_other_kinds(engine, trial, tallies),
        others=others,
        late_exposures=dict(sorted(late.items())),
        keys=_some([row.key_id for row in tallies.exposures] + [row.key_id for row in tallies.outcomes]),
        stored=_some([row.experiment for row in tallies.exposures]),
        outcome_names=_some([row.name for row in tallies.outcomes]),
        stray=strays_of(experiment.decision.metrics(), aggregates.strays, tallies),
    )


def _groups(engine: Engine, trial: Trial) -> Counts:
    name_firsts(engine, trial, "group", '"Group"')
    found: dict[Key, int] = {}
    for period, phase, cohort, arm, *_, units in engine.rows(counts_query(trial, "group_firsts")):
        key = Key(int(period), phase, cohort, arm)
        found[key] = found.get(key, 0) + int(units)
    return found


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
