"""A store -> its rows counted by all that health asks of them: one reading of exposures, one of outcomes.

Rows that are told apart by the same are counted together, so that thousands of counts stand for millions of
rows; and the counts of two parts of a store add up to those of both.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from meshtrial.analysis.events import events_needed
from meshtrial.analysis.units import SECOND, Trial
from meshtrial.plan.inference import Events
from meshtrial.store.engine import Engine, quoted

AHEAD: Final = 60 * SECOND
"""How much later than its receipt a span may begin before its clock is called wrong."""


class Exposures(NamedTuple):
    """Exposures that are alike; of other experiments only the first two columns are told apart."""

    experiment: str | None
    key_id: str | None
    kind: str | None
    """Of unit."""
    has_unit: bool
    arm: str | None
    phase: str | None
    cohort: str | None
    exposed: bool | None
    reason: str | None
    received: int | None
    """When, less a unit's closing time, from the start of that period: nanoseconds since 1970."""
    is_due: bool
    """Received before now, or at no known time."""
    is_late: bool
    """Received after their unit was final."""
    is_ahead: bool
    """Begun long after they were received."""
    rows: int
    first: int | None
    """When they began, nanoseconds since 1970."""
    last: int | None
    latest: int | None
    """When the latest was received, nanoseconds since 1970."""

    def plus(self, other: "Exposures") -> "Exposures":
        """These and others that are alike."""
        return self._replace(
            rows=self.rows + other.rows,
            first=min((time for time in (self.first, other.first) if time is not None), default=None),
            last=max((time for time in (self.last, other.last) if time is not None), default=None),
            latest=max((time for time in (self.latest, other.latest) if time is not None), default=None),
        )


class Outcomes(NamedTuple):
    """Outcomes that are alike; of names that no metric asks for only the first two columns are told apart."""

    name: str | None
    key_id: str | None
    kind: str | None
    has_unit: bool
    period: int | None
    """In which they happened: its start, nanoseconds since 1970."""
    received: int | None
    """As for `Exposures`."""
    is_due: bool
    is_ahead: bool
    rows: int
    lacking: tuple[int, ...]
    """How many lack each of `Tallies.summed`."""

    def plus(self, other: "Outcomes") -> "Outcomes":
        """These and others that are alike."""
        lacking = (one + more for one, more in zip(self.lacking, other.lacking, strict=True))
        return self._replace(rows=self.rows + other.rows, lacking=tuple(lacking))


@dataclass(frozen=True, slots=True)
class Tallies:
    """All rows of exposures and outcomes, counted."""

    experiment: str
    kind: str
    """Of the experiment's units."""
    exposures: tuple[Exposures, ...]
    outcomes: tuple[Outcomes, ...]
    summed: tuple[Events, ...]
    """What is summed of outcomes."""

    def plus(self, other: "Tallies") -> "Tallies":
        """Those of both, of which no row is in both."""
        exposures: dict[Exposures, Exposures] = {}
        for row in (*self.exposures, *other.exposures):
            key = row._replace(rows=0, first=None, last=None, latest=None)
            exposures[key] = row.plus(exposures[key]) if key in exposures else row
        outcomes: dict[Outcomes, Outcomes] = {}
        for told in (*self.outcomes, *other.outcomes):
            same = told._replace(rows=0, lacking=())
            outcomes[same] = told.plus(outcomes[same]) if same in outcomes else told
        return replace(self, exposures=tuple(exposures.values()), outcomes=tuple(outcomes.values()))

    @property
    def own(self) -> Iterator[Exposures]:
        """Those of the experiment."""
        return (row for row in self.exposures if row.experiment == self.experiment)

    @property
    def counted(self) -> Iterator[Exposures]:
        """Those that tell of a unit, an arm and a phase, received late or not (`units.exposures`)."""
        return (
            row
            for row in self.own
            if row.kind == self.kind
            and row.exposed
            and row.has_unit
            and row.arm is not None
            and row.phase is not None
        )

    @property
    def has_late(self) -> bool:
        """Whether any of these was received after its unit was final."""
        return any(row.is_late for row in self.counted)

    def phases(self) -> list[tuple[str, int, int]]:
        """Phase, first time, last time of the experiment's exposures, those too that nobody counts.

        A kept arm or one of an earlier hop names the phase that chose it, so it does not tell what is in
        force.
        """
        seen: dict[str, tuple[int, int]] = {}
        for row in self.own:
            is_told = row.exposed is not None and row.reason not in {"cached", "carried"}
            if row.phase is None or not is_told or row.first is None or row.last is None:
                continue
            first, last = seen.get(row.phase, (row.first, row.last))
            seen[row.phase] = (min(first, row.first), max(last, row.last))
        return [(phase, *times) for phase, times in sorted(seen.items())]


def is_until(received: int | None, cut: int | None, *, is_due: bool) -> bool:
    """Whether rows were received before now, and before units of a cut were final."""
    return is_due and (cut is None or received is None or received < cut)


def read_tallies(engine: Engine, trial: Trial, now: int) -> Tallies:
    """Count the rows of `spans`.

    Args:
        engine: Has the view `spans`.
        trial: The experiment.
        now: Nanoseconds since 1970.
    """
    needed, summed = events_needed(trial.experiment.decision.metrics()), summed_of(trial)
    return Tallies(
        trial.experiment.id,
        trial.experiment.unit.kind,
        tuple(_exposures(row) for row in engine.rows(exposures_query(trial, now))),
        tuple(_outcomes(row) for row in engine.rows(outcomes_query(trial, now, needed, summed))),
        summed,
    )


def summed_of(trial: Trial) -> tuple[Events, ...]:
    """What is summed of outcomes."""
    needed = events_needed(trial.experiment.decision.metrics())
    return tuple(dict.fromkeys(e for e in needed if e.outcome is not None and e.field is not None))


def _exposures(row: Sequence[Any]) -> Exposures:
    experiment, key_id, kind, has_unit, arm, phase, cohort, exposed, reason, *rest = row
    received, is_due, is_late, is_ahead, count, *times = rest
    return Exposures(
        experiment,
        key_id,
        kind,
        bool(has_unit),
        arm,
        phase,
        cohort,
        _truth(exposed),
        reason,
        _whole(received),
        bool(is_due),
        bool(is_late),
        bool(is_ahead),
        int(count),
        *map(_whole, times),
    )


def _outcomes(row: Sequence[Any]) -> Outcomes:
    name, key_id, kind, has_unit, period, received, is_due, is_ahead, count, *lacking = row
    return Outcomes(
        name,
        key_id,
        kind,
        bool(has_unit),
        _whole(period),
        _whole(received),
        bool(is_due),
        bool(is_ahead),
        int(count),
        tuple(map(int, lacking)),
    )


def _whole(number: int | None) -> int | None:
    return None if number is None else int(number)


def _truth(number: int | None) -> bool | None:
    return None if number is None else bool(number)


def _came(trial: Trial) -> str:
    early = f"(Received - {trial.closing})"
    return f"{early} - {early} % {trial.period}"


def _due(now: int) -> str:
    return f"CASE WHEN Received IS NULL OR Received < {now} THEN 1 ELSE 0 END"


def exposures_query(trial: Trial, now: int) -> str:
    """Rows of `Exposures`."""
    own = f"Experiment = {quoted(trial.experiment.id)}"
    told = {
        "Kind": "UnitKind",
        "HasUnit": "CASE WHEN Unit IS NULL THEN 0 ELSE 1 END",
        "OfArm": "Arm",
        "OfPhase": "Phase",
        "OfCohort": "Cohort",
        "WasExposed": "CASE WHEN Exposed THEN 1 WHEN NOT Exposed THEN 0 END",
        "Because": "Reason",
        "Came": _came(trial),
        "Due": _due(now),
        "Late": f"CASE WHEN Received - Time > {trial.closing} THEN 1 ELSE 0 END",
        "Ahead": f"CASE WHEN Time - Received > {AHEAD} THEN 1 ELSE 0 END",
    }
    columns = ", ".join(f"CASE WHEN {own} THEN {value} END AS {name}" for name, value in told.items())
    keys = ", ".join(["Experiment", "KeyId", *told])
    return f"""
SELECT {keys}, count(*), min(Time), max(Time), max(Received) FROM (
  SELECT Experiment, KeyId, {columns}, Time, Received FROM spans WHERE SpanName = 'meshtrial.exposure'
) e GROUP BY {keys}
"""


def outcomes_query(trial: Trial, now: int, needed: Iterable[Events], summed: Sequence[Events]) -> str:
    """Rows of `Outcomes`, the lacking fields one by one."""
    names = sorted({events.outcome for events in needed if events.outcome is not None})
    own = f"Outcome IS NULL OR Outcome IN ({', '.join(map(quoted, names or ['']))})"
    told = {
        "Kind": "UnitKind",
        "HasUnit": "CASE WHEN Unit IS NULL THEN 0 ELSE 1 END",
        "Period": f"Time - Time % {trial.period}",
        "Came": _came(trial),
        "Due": _due(now),
        "Ahead": f"CASE WHEN Time - Received > {AHEAD} THEN 1 ELSE 0 END",
    }
    columns = ", ".join(f"CASE WHEN {own} THEN {value} END AS {name}" for name, value in told.items())
    keys = ", ".join(["Outcome", "KeyId", *told])
    lacks = [
        f"CASE WHEN Outcome = {quoted(e.outcome or '')} AND OutcomeValues[{quoted(e.field or '')}] IS NULL"
        " THEN 1 ELSE 0 END"
        for e in summed
    ]
    return f"""
SELECT {", ".join([keys, "count(*)", *(f"sum(L{i})" for i in range(len(lacks)))])} FROM (
  SELECT {", ".join(["Outcome", "KeyId", columns, *(f"{lack} AS L{i}" for i, lack in enumerate(lacks))])}
  FROM spans WHERE SpanName = 'meshtrial.outcome'
) o GROUP BY {keys}
"""
