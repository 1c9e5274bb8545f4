"""A store -> what the analysis leaves out of it without looking further, counted by why."""

from collections.abc import Mapping
from dataclasses import dataclass

from meshtrial.analysis.bounds import Bounds
from meshtrial.analysis.cells import Counts, Key
from meshtrial.analysis.events import events_needed
from meshtrial.analysis.tallies import Exposures, Tallies, is_until
from meshtrial.analysis.units import Trial, exposures
from meshtrial.names import OUTCOME_VALUE_PREFIX
from meshtrial.plan.inference import Events
from meshtrial.store.engine import Engine, quoted


@dataclass(frozen=True, slots=True)
class Dropped:
    """What has no part in the analysis, and when data came."""

    exposures: Mapping[str, int]
    """Exposures by why: `time`, `evaluation`, `kind`, `unit`, `arm`, `phase`; those that count, `counted`."""
    unexposed: Mapping[str, int]
    """Requests that meet no arm by the plan's own rules, by the reason that was recorded."""
    late: Counts
    """Units all of whose exposures came after they were final, where they would have been counted."""
    ahead: int
    """Exposures that begin long after they were received."""
    last_exposure: int | None
    """When the latest exposure came, nanoseconds since 1970."""
    outcomes: Mapping[str, int]
    """Outcomes by why: `time` (or no name), and of the names that the plan asks for `kind` and `unit`; those
    looked at are `counted`."""
    not_numbers: Mapping[Events, int]
    """By what is summed: outcomes whose field is there, and no number that can be stored."""
    outcomes_ahead: int
    """Outcomes that begin long after they were received."""


def read_dropped(engine: Engine, trial: Trial, bounds: Bounds, tallies: Tallies) -> Dropped:
    """Count what is left out; needs the table `units`."""
    sorted_out: dict[str, int] = {}
    unexposed: dict[str, int] = {}
    ahead, last = 0, None
    for row in tallies.own:
        if not is_until(row.received, bounds.cut, is_due=row.is_due):
            continue
        why = _why(row, tallies.kind)
        if why == "unexposed":
            unexposed[row.reason or ""] = unexposed.get(row.reason or "", 0) + row.rows
            continue
        sorted_out[why] = sorted_out.get(why, 0) + row.rows
        ahead += row.rows if row.is_ahead else 0
        if why == "counted" and row.latest is not None:
            last = max(last or 0, row.latest)
    outcomes, outcomes_ahead = _outcomes(trial, bounds, tallies)
    is_late = any(row.is_late for row in tallies.counted)
    return Dropped(
        exposures=dict(sorted(sorted_out.items())),
        unexposed=dict(sorted(unexposed.items())),
        late={
            Key(0, phase, cohort, arm): int(units)
            for phase, cohort, arm, units in (engine.rows(_late(trial, bounds)) if is_late else ())
        },
        ahead=ahead,
        last_exposure=last,
        outcomes=outcomes,
        not_numbers=_not_numbers(engine, trial, bounds, tallies),
        outcomes_ahead=outcomes_ahead,
    )


def _why(row: Exposures, kind: str) -> str:
    if row.exposed is None:
        return "evaluation" if row.phase is None else "time"
    if not row.exposed:
        return "unexposed"
    if row.kind != kind:
        return "kind"
    if not row.has_unit:
        return "unit"
    if row.arm is None:
        return "arm"
    return "phase" if row.phase is None else "counted"


def _late(trial: Trial, bounds: Bounds) -> str:
    """By their latest exposure's phase, cohort and arm: they have one as a rule."""
    key = trial.unit_key
    return f"""
WITH late AS (
  SELECT {key}, min(Time) AS First, max(Phase) AS InPhase, max(coalesce(Cohort, 'default')) AS InCohort,
    max(Arm) AS InArm
  FROM spans WHERE {exposures(trial)} AND Received - Time > {trial.closing} GROUP BY {key}
)
SELECT l.InPhase, l.InCohort, l.InArm, count(*) FROM late l LEFT JOIN units u USING ({key})
WHERE u.Arm IS NULL AND {bounds.first_exposed(trial, "l.First")}
GROUP BY l.InPhase, l.InCohort, l.InArm ORDER BY l.InPhase, l.InCohort, l.InArm
"""


def _outcomes(trial: Trial, bounds: Bounds, tallies: Tallies) -> tuple[dict[str, int], int]:
    """By why, and how many are ahead."""
    wanted = {events.outcome for events in events_needed(trial.experiment.decision.metrics())}
    found: dict[str, int] = {}
    ahead = 0
    for row in tallies.outcomes:
        is_asked = row.name is None or row.name in wanted
        if not is_asked or not is_until(row.received, bounds.cut, is_due=row.is_due):
            continue
        why = "counted" if row.has_unit else "unit"
        why = why if row.kind == tallies.kind else "kind"
        why = why if row.name is not None else "time"
        found[why] = found.get(why, 0) + row.rows
        ahead += row.rows if row.is_ahead else 0
    return dict(sorted(found.items())), ahead


def _not_numbers(engine: Engine, trial: Trial, bounds: Bounds, tallies: Tallies) -> Mapping[Events, int]:
    """The attributes are read only of outcomes that lack a field among their values."""
    until = bounds.until(trial.closing)
    found: dict[Events, int] = {}
    for place, events in enumerate(tallies.summed):
        lacking = sum(
            row.lacking[place]
            for row in tallies.outcomes
            if is_until(row.received, bounds.cut, is_due=row.is_due)
        )
        if lacking:
            sent = quoted(f"{OUTCOME_VALUE_PREFIX}{events.field}")
            [(found[events],)] = engine.rows(f"""
SELECT count(*) FROM spans
WHERE SpanName = 'meshtrial.outcome' AND Outcome = {quoted(events.outcome or "")} AND Received < {until}
  AND OutcomeValues[{quoted(events.field or "")}] IS NULL AND SpanAttributes[{sent}] IS NOT NULL
""")
    return {events: int(count) for events, count in found.items() if count}
