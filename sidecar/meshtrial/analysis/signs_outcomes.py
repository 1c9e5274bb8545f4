"""A store -> how many units of each arm have outcomes that no value holds, and when outcomes came."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from meshtrial.analysis.bounds import Bounds
from meshtrial.analysis.cells import Key
from meshtrial.analysis.units import SECOND, Trial
from meshtrial.analysis.values import amount_of, events_of, is_of
from meshtrial.plan.inference import Events, Metric
from meshtrial.store.engine import Engine, quoted


class Kept(NamedTuple):
    """Final units of one phase, cohort and arm that have outcomes of some metric."""

    before: int
    """With an outcome before the exposure."""
    between: int
    """With one after the exposure and before the window."""
    within: int
    """With one within the window, late ones included."""
    left_out: int
    """With one within the window that came too late, or lacks what is summed."""


class Asked(NamedTuple):
    """What a metric takes of outcomes."""

    metric: str
    """Id."""
    events: Events
    start: int
    """Of the window, seconds after the exposure."""
    end: int
    uses_before: bool
    """Outcomes before the exposure are for a covariate."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of outcomes."""

    kept: Mapping[Asked, Mapping[Key, Kept]]
    """By phase, cohort and arm (the keys' period is 0); of a switchback none."""
    by_period: Mapping[str, Mapping[int, int]]
    """Outcomes of each name the plan asks for, by the start of the period in which they happened."""


def asked_of(metrics: tuple[Metric, ...]) -> tuple[Asked, ...]:
    """What the metrics take of outcomes, of a ratio twice."""
    return tuple(
        dict.fromkeys(
            Asked(metric.id, events, metric.window.start, metric.window.end, bool(metric.covariates))
            for metric in metrics
            for events in (metric.events, metric.denominator)
            if events is not None and events.outcome is not None
        )
    )


def read_outcomes(engine: Engine, trial: Trial, bounds: Bounds) -> Outcomes:
    """One pass over the outcomes of analysed units, and one over all; needs the table `analysed`."""
    asked = asked_of(trial.experiment.decision.metrics())
    if not asked:
        return Outcomes({}, {})
    by_period: dict[str, dict[int, int]] = {}
    for name, period, count in engine.rows(_by_period(trial, asked, bounds)):
        by_period.setdefault(name, {})[int(period)] = int(count)
    kept: dict[Asked, dict[Key, Kept]] = {one: {} for one in asked}
    if trial.experiment.unit.switchback is None:
        for phase, cohort, arm, *counts in engine.rows(_kept(trial, asked, bounds)):
            for number, one in enumerate(asked):
                kept[one][Key(0, phase, cohort, arm)] = Kept(*map(int, counts[4 * number : 4 * number + 4]))
    return Outcomes(kept, by_period)


def _kept(trial: Trial, asked: tuple[Asked, ...], bounds: Bounds) -> str:
    flags = [flag for one in asked for flag in _flags(trial, one)]
    per_unit = ", ".join(f"max(CASE WHEN {flag} THEN 1 ELSE 0 END) AS F{i}" for i, flag in enumerate(flags))
    sums = ", ".join(f"sum(F{i})" for i in range(len(flags)))
    return f"""
SELECT Phase, Cohort, Arm, {sums} FROM (
  SELECT u.Unit, u.Phase AS Phase, u.Cohort AS Cohort, u.Arm AS Arm, {per_unit}
  FROM spans e JOIN analysed u ON e.Unit = u.Unit
  WHERE {events_of(trial, [one.events for one in asked])} AND {bounds.first_exposed(trial, "u.First")}
  GROUP BY u.Unit, u.Phase, u.Cohort, u.Arm
) f GROUP BY Phase, Cohort, Arm ORDER BY Phase, Cohort, Arm
"""


def _flags(trial: Trial, one: Asked) -> tuple[str, str, str, str]:
    """Conditions of an event that are the fields of `Kept`, in order."""
    own = is_of(one.events)
    start, end, age = one.start * SECOND, one.end * SECOND, "e.Time - u.First"  # a sum could overflow
    within = f"{own} AND {age} >= {start} AND {age} < {end}"
    late = f"e.Received - u.First > {trial.closing}"
    lacks = f"({amount_of(one.events)}) IS NULL" if one.events.field is not None else "1 = 0"
    return (
        f"{own} AND {age} < 0",
        f"{own} AND {age} >= 0 AND {age} < {start}",
        within,
        f"{within} AND ({late} OR {lacks})",
    )


def _by_period(trial: Trial, asked: tuple[Asked, ...], bounds: Bounds) -> str:
    named = ", ".join(quoted(name) for name in sorted({str(one.events.outcome) for one in asked}))
    return f"""
SELECT Outcome, Time - Time % {trial.period} AS Period, count(*) FROM spans
WHERE SpanName = 'meshtrial.outcome' AND Outcome IN ({named})
  AND UnitKind = {quoted(trial.experiment.unit.kind)}
  AND Time IS NOT NULL AND Received < {bounds.until(trial.closing)}
GROUP BY Outcome, Period ORDER BY Outcome, Period
"""
