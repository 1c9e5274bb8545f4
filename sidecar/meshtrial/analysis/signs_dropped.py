"""A store -> what the analysis leaves out of it without looking further, counted by why."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from meshtrial.analysis.bounds import Bounds
from meshtrial.analysis.cells import Counts, Key
from meshtrial.analysis.units import SECOND, Trial, exposures
from meshtrial.analysis.variables import Variable, all_variables
from meshtrial.names import OUTCOME_VALUE_PREFIX
from meshtrial.plan.inference import Events
from meshtrial.store.engine import Engine, quoted

AHEAD: Final = 60 * SECOND
"""How much later than its receipt a span may begin before its clock is called wrong."""


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


def read_dropped(engine: Engine, trial: Trial, bounds: Bounds) -> Dropped:
    """Count what is left out; needs the table `units`."""
    until = bounds.until(trial.closing)
    sorted_out: dict[str, int] = {}
    unexposed: dict[str, int] = {}
    ahead, last = 0, None
    for why, reason, count, so_far_ahead, latest in engine.rows(_exposures(trial, until)):
        if why == "unexposed":
            unexposed[reason] = unexposed.get(reason, 0) + int(count)
            continue
        sorted_out[why] = sorted_out.get(why, 0) + int(count)
        ahead += int(so_far_ahead)
        if why == "counted":
            last = max(last or 0, int(latest))
    variables = all_variables(trial.experiment.decision.metrics())
    outcomes = engine.rows(_outcomes(trial, variables, until))
    return Dropped(
        exposures=sorted_out,
        unexposed=unexposed,
        late={
            Key(0, phase, cohort, arm): int(units)
            for phase, cohort, arm, units in engine.rows(_late(trial, bounds))
        },
        ahead=ahead,
        last_exposure=last,
        outcomes={why: int(count) for why, count, _ in outcomes},
        not_numbers=_not_numbers(engine, trial, until),
        outcomes_ahead=sum(int(ahead) for _, _, ahead in outcomes),
    )


def _exposures(trial: Trial, until: int) -> str:
    return f"""
SELECT CASE
    WHEN Exposed IS NULL AND Phase IS NULL THEN 'evaluation'
    WHEN Exposed IS NULL THEN 'time'
    WHEN NOT Exposed THEN 'unexposed'
    WHEN UnitKind IS NULL OR UnitKind <> {quoted(trial.experiment.unit.kind)} THEN 'kind'
    WHEN Unit IS NULL THEN 'unit'
    WHEN Arm IS NULL THEN 'arm'
    WHEN Phase IS NULL THEN 'phase'
    ELSE 'counted' END AS Why,
  coalesce(Reason, '') AS Because, count(*),
  sum(CASE WHEN Time - Received > {AHEAD} THEN 1 ELSE 0 END), max(Received)
FROM spans WHERE SpanName = 'meshtrial.exposure' AND Experiment = {quoted(trial.experiment.id)}
  AND (Received IS NULL OR Received < {until})
GROUP BY Why, Because ORDER BY Why, Because
"""


def _late(trial: Trial, bounds: Bounds) -> str:
    """By their latest exposure's phase, cohort and arm: they have one as a rule."""
    key = trial.unit_key
    return f"""
WITH late AS (
  SELECT {key}, min(Time) AS First, max(Phase) AS Phase, max(coalesce(Cohort, 'default')) AS Cohort,
    max(Arm) AS Arm
  FROM spans WHERE {exposures(trial)} AND Received - Time > {trial.closing} GROUP BY {key}
)
SELECT l.Phase, l.Cohort, l.Arm, count(*) FROM late l LEFT JOIN units u USING ({key})
WHERE u.Arm IS NULL AND {bounds.first_exposed(trial, "l.First")}
GROUP BY l.Phase, l.Cohort, l.Arm ORDER BY l.Phase, l.Cohort, l.Arm
"""


def _outcomes(trial: Trial, variables: tuple[Variable, ...], until: int) -> str:
    metrics = trial.experiment.decision.metrics()
    wanted = {v.events.outcome for v in variables} | {metric.events.outcome for metric in metrics}
    named = ", ".join(quoted(name) for name in sorted(name for name in wanted if name is not None)) or "''"
    return f"""
SELECT CASE
    WHEN Outcome IS NULL THEN 'time'
    WHEN UnitKind IS NULL OR UnitKind <> {quoted(trial.experiment.unit.kind)} THEN 'kind'
    WHEN Unit IS NULL THEN 'unit'
    ELSE 'counted' END AS Why,
  count(*), sum(CASE WHEN Time - Received > {AHEAD} THEN 1 ELSE 0 END)
FROM spans WHERE SpanName = 'meshtrial.outcome' AND (Outcome IS NULL OR Outcome IN ({named}))
  AND (Received IS NULL OR Received < {until})
GROUP BY Why ORDER BY Why
"""


def _not_numbers(engine: Engine, trial: Trial, until: int) -> Mapping[Events, int]:
    """The attributes are read only of outcomes that lack a field among their values."""
    metrics = trial.experiment.decision.metrics()
    summed = [events for m in metrics for events in (m.events, m.denominator) if events is not None]
    summed += [variable.events for variable in all_variables(metrics)]
    fields = dict.fromkeys(e for e in summed if e.outcome is not None and e.field is not None)
    found = {}
    for events in fields:
        lacks = f"""
SELECT count(*) FROM spans
WHERE SpanName = 'meshtrial.outcome' AND Outcome = {quoted(events.outcome or "")} AND Received < {until}
  AND OutcomeValues[{quoted(events.field or "")}] IS NULL
"""
        if engine.rows(lacks)[0][0]:
            sent = quoted(f"{OUTCOME_VALUE_PREFIX}{events.field}")
            found[events] = int(engine.rows(f"{lacks} AND SpanAttributes[{sent}] IS NOT NULL")[0][0])
    return {events: count for events, count in found.items() if count}
