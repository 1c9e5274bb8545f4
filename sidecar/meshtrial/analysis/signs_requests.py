"""A store -> what the proxy's access log tells that exposures do not: who was routed, and who failed open.

An exposure is what the sidecar recorded, a request what the proxy did. Where both were recorded, a unit that
is in one and not in the other was lost on the way, or never met its arm.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from meshtrial.analysis.bounds import Bounds
from meshtrial.analysis.tallies import Tallies
from meshtrial.analysis.units import Trial, exposures
from meshtrial.store.engine import Engine, quoted


class Place(NamedTuple):
    """Which units."""

    phase: str
    arm: str


class Lost(NamedTuple):
    """Units of a place."""

    lost: int
    units: int
    """The lost ones included."""


class Hour(NamedTuple):
    """Requests that began in one hour, on one route."""

    start: int
    """Nanoseconds since 1970."""
    route: str
    """The proxy's name, "" where it told none."""
    failed: int
    """Failed open: they went on without a decision, to control."""
    requests: int
    """These, and those that the experiment took."""


@dataclass(frozen=True, slots=True)
class Requests:
    """What the access log says of one experiment."""

    hours: tuple[Hour, ...]
    """Every hour and route, in order; of routes that the experiment has requests on, of all where none."""
    count: int
    """The experiment's requests."""
    untimed: int
    """Of these, the ones without a duration."""
    unrecorded: Mapping[Place, Lost]
    """Units that were routed by the experiment: those without an exposure in their arm. Empty where there are
    no requests, or no exposures."""
    unrouted: Mapping[Place, Lost]
    """Units that were exposed to an arm: those without a request to it. At a proxy while the log was on; all
    of them where a metric reads the log."""


def read_requests(engine: Engine, trial: Trial, bounds: Bounds, tallies: Tallies) -> Requests:
    """Hold the access log against the exposures."""
    began = min((row.first for row in tallies.counted if row.first is not None), default=None)
    until = bounds.until(trial.closing)
    hours = tuple(Hour(*row) for row in engine.rows(_hours(trial, began or 0, until)))
    count = engine.rows(f"SELECT count(*) FROM spans WHERE {_of(trial)}")[0][0]
    untimed = engine.rows(f"SELECT count(*) FROM spans WHERE {_of(trial)} AND Duration = 0")[0][0]
    span = engine.rows(f"SELECT min(Time), max(Time) FROM spans WHERE {_of(trial)} AND Exposed")[0]
    if began is None or (span[0] is None and not _is_measured(trial)):
        return Requests(hours, int(count), int(untimed), {}, {})
    engine.keep("recorded", _recorded(trial, span))
    engine.keep("routed", _routed(trial))
    seen = engine.rows("SELECT min(First), max(Last) FROM recorded")[0]
    return Requests(
        hours,
        int(count),
        int(untimed),
        _lost(engine, trial, bounds, "routed", f"First >= {seen[0]} AND First <= {seen[1]}"),
        _lost(engine, trial, bounds, "recorded", "InRange IS NOT NULL"),
    )


_HOUR = 3600 * 10**9


def _of(trial: Trial) -> str:
    """The condition on `spans` that holds for requests that the experiment took."""
    return f"SpanName = 'meshtrial.request' AND Experiment = {quoted(trial.experiment.id)}"


def _hours(trial: Trial, began: int, until: int) -> str:
    own = f"Experiment = {quoted(trial.experiment.id)}"
    return f"""
WITH routes AS (
  SELECT DISTINCT coalesce(Route, '') AS OwnRoute FROM spans WHERE {_of(trial)}
), requests AS (
  SELECT Time - Time % {_HOUR} AS Hour, coalesce(Route, '') AS Name,
    CASE WHEN coalesce(FailedOpen, 1 = 0) THEN 1 ELSE 0 END AS Failed,
    CASE WHEN {own} THEN 1 ELSE 0 END AS Own
  FROM spans WHERE SpanName = 'meshtrial.request' AND Time >= {began} AND Time < {until}
)
SELECT Hour, Name, CAST(sum(Failed) AS BIGINT), CAST(count(*) AS BIGINT) FROM requests
WHERE Own = 1 OR Failed = 1 AND (
  Name IN (SELECT OwnRoute FROM routes) OR (SELECT count(*) FROM routes) = 0
)
GROUP BY Hour, Name ORDER BY Hour, Name
"""


def _routed(trial: Trial) -> str:
    return f"""
SELECT Unit, Arm, min(Phase) AS InPhase, min(Time) AS First FROM spans
WHERE {_of(trial)} AND UnitKind = {quoted(trial.experiment.unit.kind)}
  AND Exposed AND Unit IS NOT NULL AND Arm IS NOT NULL AND Phase IS NOT NULL
GROUP BY Unit, Arm
"""


def _is_measured(trial: Trial) -> bool:
    """Whether a metric reads the log: a unit that is not in it would count as one without errors."""
    metrics = trial.experiment.decision.metrics()
    return any(metric.events.outcome is None for metric in metrics)


def _recorded(trial: Trial, logged: tuple[int | None, int | None]) -> str:
    """Units and arms with exposures; `InRange` of those that the log should have.

    Args:
        trial: The experiment.
        logged: When its first and last request in the log began: what a proxy recorded between them is in
            range, and where a metric reads the log, everything.
    """
    within = f"Plane = 'ext_proc' AND Time >= {logged[0]} AND Time <= {logged[1]}"
    if _is_measured(trial):
        within = "1 = 1"
    return f"""
SELECT Unit, Arm, min(Phase) AS InPhase, min(Time) AS First, max(Time) AS Last,
  max(CASE WHEN {within} THEN 1 END) AS InRange
FROM spans WHERE {exposures(trial)} GROUP BY Unit, Arm
"""


def _lost(engine: Engine, trial: Trial, bounds: Bounds, table: str, within: str) -> Mapping[Place, Lost]:
    """Rows of one table that the other one lacks, among all of a place."""
    other = "recorded" if table == "routed" else "routed"
    rows = engine.rows(f"""
SELECT t.InPhase, t.Arm, sum(CASE WHEN o.Unit IS NULL THEN 1 ELSE 0 END), count(*)
FROM (
  SELECT * FROM {table} WHERE {within} AND {bounds.first_exposed(trial, "First")}
) t LEFT JOIN {other} o ON o.Unit = t.Unit AND o.Arm = t.Arm
GROUP BY t.InPhase, t.Arm ORDER BY t.InPhase, t.Arm
""")
    return {Place(phase, arm): Lost(int(lost), int(units)) for phase, arm, lost, units in rows}
