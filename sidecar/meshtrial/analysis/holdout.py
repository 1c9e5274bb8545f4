"""Units held out of a layer against all others: what its experiments did together, tried and launched.

Everybody is compared on one experiment's requests: a unit that an experiment of the layer has in its slice is
seen on that one's requests, and a held-out unit on those of all of them, so that units seen anywhere would
not be alike. Each unit counts on one experiment, chosen by its pseudonym, which is chance, and so no unit is
in two; there it counts from its first sight on, held out or exposed, within days of first sights. Units seen
before the first held-out one was are left out, on either side.

Metrics have no covariates here: what a unit did before its first sight may be an earlier experiment's doing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from meshtrial.analysis.caps import unsettled
from meshtrial.analysis.cells import Cells, Key
from meshtrial.analysis.contrasts import measured_of
from meshtrial.analysis.gathered import Gathered
from meshtrial.analysis.history import FOREVER
from meshtrial.analysis.shown import Shown
from meshtrial.analysis.strata import strata_of
from meshtrial.analysis.told import Telling, Told
from meshtrial.analysis.units import Trial
from meshtrial.analysis.values import capped, summed_columns, values_query
from meshtrial.analysis.variables import all_variables, variables_of
from meshtrial.names import Reason
from meshtrial.plan.inference import Metric, MetricKind
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.joint import Joint
from meshtrial.store.engine import quoted

HELD: Final = "holdout"
OTHERS: Final = "everyone else"
_HELD_OUT: Final = f"Reason = {quoted(Reason.HOLDOUT)}"


@dataclass(frozen=True, slots=True)
class Holdout:
    """One layer, up to now."""

    experiments: tuple[str, ...]
    """Those on whose requests units are compared."""
    moved: int
    """Units that were seen on both sides, as the holdout changed; they count by their first sight."""
    effects: Mapping[str, Told]
    """By metric id: the effect is everyone else's value less that of who is held out. By a confidence
    sequence, as a holdout is looked at again and again."""


def first_held(shown: Shown, mates: Sequence[str]) -> Mapping[str, int]:
    """When the first unit was seen held out, by experiment: of the layer's, those that have one; in order.

    Args:
        shown: One of its experiments.
        mates: Ids of the layer's other experiments.
    """
    named = ", ".join(quoted(name) for name in sorted({shown.experiment.id, *mates}))
    rows = shown.engine.rows(f"""
SELECT Experiment, min(Time) FROM spans
WHERE SpanName = 'meshtrial.exposure' AND UnitKind = {quoted(shown.experiment.unit.kind)}
  AND Unit IS NOT NULL AND Exposed IS NOT NULL AND {_HELD_OUT} AND Experiment IN ({named})
GROUP BY Experiment ORDER BY Experiment
""")
    return {name: int(first) for name, first in rows}


def holdout_of(shown: Shown, since: Mapping[str, int]) -> Holdout:
    """Compare who is held out with everyone else, on the primaries.

    Args:
        shown: An experiment that randomises units one by one, in a layer; its cut is one of first sights.
        since: As `first_held` has it; one experiment or more.
    """
    rule, layer, clock = shown.experiment.decision, shown.experiment.layer, shown.clock
    shown.engine.keep("sights", _sights(shown.trial, since))
    [(moved,)] = shown.engine.rows(f"SELECT count(*) FROM sights WHERE Moved = 1 AND Period < {shown.cut}")
    metrics = [replace(primary.metric, covariates=()) for primary in rule.primary]
    refused = {metric.id: reason for metric in metrics if (reason := _refused(metric, shown)) is not None}
    plain = [metric for metric in metrics if metric.id not in refused]
    share = layer.holdout / layer.bucketing.buckets if layer else 0.0
    telling = Telling(rule.alpha / len(metrics), max(1.0, rule.planned_units * share * (1 - share)))
    effects = {name: Told(0, 0, reason) for name, reason in refused.items()}
    for metric, cells in _cells(shown, plain).items():
        counts = {key: cell.units for key, cell in cells.items()}
        strata = strata_of(counts, HELD, OTHERS, clock)
        effects[metric.id] = telling.of(measured_of(metric, cells, strata, (HELD, OTHERS), clock))
    return Holdout(tuple(since), int(moved), effects)


def _refused(metric: Metric, shown: Shown) -> NotEstimable | None:
    if metric.kind is MetricKind.QUANTILE:
        return NotEstimable("quantiles are not compared with a holdout")
    parts = [metric.events, *([metric.denominator] if metric.denominator else [])]
    if any(events.outcome is None for events in parts):
        return NotEstimable("requests are those of one experiment: they are not compared with a holdout")
    return unsettled(metric, shown.gathered, shown.cut)


def _sights(trial: Trial, since: Mapping[str, int]) -> str:
    """Units on the experiment that they count on, from their first sight on."""
    own = " OR ".join(
        f"(Unit % {len(since)} = {number} AND Experiment = {quoted(name)})"
        for number, name in enumerate(since)
    )
    begun = " ".join(f"WHEN {quoted(name)} THEN {first}" for name, first in since.items())
    return f"""
SELECT Unit, Experiment, First, First - First % {trial.period} AS Period,
  CASE WHEN FirstHeld < FirstMet THEN '{HELD}' ELSE '{OTHERS}' END AS Side,
  CASE WHEN FirstHeld < {FOREVER} AND FirstMet < {FOREVER} THEN 1 ELSE 0 END AS Moved
FROM (
  SELECT Unit, Experiment, min(Time) AS First,
    min(CASE WHEN {_HELD_OUT} THEN Time ELSE {FOREVER} END) AS FirstHeld,
    min(CASE WHEN {_HELD_OUT} THEN {FOREVER} ELSE Time END) AS FirstMet
  FROM spans
  WHERE SpanName = 'meshtrial.exposure' AND UnitKind = {quoted(trial.experiment.unit.kind)}
    AND Unit IS NOT NULL AND Exposed IS NOT NULL AND ({_HELD_OUT} OR Exposed AND Arm IS NOT NULL)
    AND Received - Time <= {trial.closing} AND ({own})
  GROUP BY Unit, Experiment
) s
WHERE First >= CASE Experiment {begun} END
"""


def _cells(shown: Shown, metrics: Sequence[Metric]) -> Mapping[Metric, Cells]:
    """By day of the first sight, experiment and side; from the table `sights`."""
    if not metrics:
        return {}
    variables = all_variables(metrics)
    shown.engine.keep("sight_values", values_query(shown.trial, variables, "sights"))
    limits = {v: _limit(shown.gathered, metric) for metric in metrics for v in variables_of(metric)}
    columns = dict(zip(variables, capped(variables, [limits[v] for v in variables]), strict=True))
    found: dict[Metric, Cells] = {}
    for metric in metrics:
        own = variables_of(metric)
        pairs = [(i, j) for i in range(len(own)) for j in range(i, len(own))]
        shifts = _shifts(shown, [columns[v] for v in own], binary=own[0].binary)
        sums = ", ".join(summed_columns([columns[v] for v in own], shifts, pairs))
        rows = shown.engine.rows(f"""
SELECT Period - Period % {shown.clock.day} AS Came, Experiment, Side, count(*), {sums}
FROM sights LEFT JOIN sight_values USING (Unit) WHERE Period < {shown.cut} GROUP BY Came, Experiment, Side
""")
        found[metric] = {
            Key(int(came), experiment, "", side): Joint(
                tuple(shifts),
                int(units),
                tuple(map(float, numbers[: len(own)])),
                tuple(map(float, numbers[len(own) :])),
            )
            for came, experiment, side, units, *numbers in rows
        }
    return found


def _limit(gathered: Gathered, metric: Metric) -> float | None:
    """What a value counts as at most, as in the trial itself."""
    if metric.cap is None or not metric.cap.is_share:
        return metric.cap.value if metric.cap else None
    return gathered.caps.get(metric.id)


def _shifts(shown: Shown, columns: Sequence[str], *, binary: bool) -> list[float]:
    """Near the means, so that sums keep their digits; 0 of a proportion, which is counted."""
    if binary:
        return [0.0] * len(columns)
    means = ", ".join(f"coalesce(avg({column}), 0.0)" for column in columns)
    query = f"SELECT {means} FROM sights LEFT JOIN sight_values USING (Unit) WHERE Period < {shown.cut}"
    return [float(mean) for mean in shown.engine.rows(query)[0]]
