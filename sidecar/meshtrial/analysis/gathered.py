"""Aggregates -> counts and cells by metric; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from meshtrial.analysis.aggregates import Aggregates, Numbers, Scale
from meshtrial.analysis.cells import Cells, Counts, Key
from meshtrial.analysis.marks import Asked, Kept, asked_of
from meshtrial.analysis.units import Trial
from meshtrial.analysis.values import capped, pairs_among, pairs_of
from meshtrial.analysis.variables import Variable, all_variables, variables_of
from meshtrial.plan.inference import Metric
from meshtrial.stats.joint import Joint


@dataclass(frozen=True, slots=True)
class Gathered:
    """What one pass over a store tells of an experiment."""

    exposed: Counts
    """Units first exposed, of every phase, whatever became of them."""
    by_strata: Counts
    """The same, by the values of the plan's strata too."""
    analysed: Counts
    """Of these, the units whose arm stayed theirs until their windows closed."""
    cells: Mapping[str, Cells]
    """By metric id, of the units analysed; none of a quantile."""
    kept: Mapping[Asked, Mapping[Key, Kept]]
    """Units analysed that have outcomes."""
    caps: Mapping[str, float]
    """By metric id: what a value counted as at most, where the plan gives a share."""
    columns: Mapping[Variable, str]
    """What each variable is in SQL, from the tables `analysed` and `unit_values`."""


def gathered_of(trial: Trial, aggregates: Aggregates, scale: Scale) -> Gathered:
    """The experiment's counts and cells."""
    metrics = trial.experiment.decision.metrics()
    variables = all_variables(metrics)
    limits = dict(zip(variables, scale.limits, strict=True))
    caps = {
        metric.id: limit
        for metric in metrics
        if metric.cap is not None and metric.cap.is_share
        for variable in variables_of(metric)[:1]
        if (limit := limits[variable]) is not None
    }
    return Gathered(
        exposed=_without_strata(aggregates.exposed),
        by_strata={key: round(numbers[0]) for key, numbers in aggregates.exposed.items()},
        analysed=_without_strata(aggregates.analysed),
        cells={metric.id: _cells(metrics, metric, aggregates, scale) for metric in metrics},
        kept=_kept(metrics, aggregates),
        caps=caps,
        columns=dict(zip(variables, capped(variables, scale.limits), strict=True)),
    )


def _without_strata(counts: Mapping[Key, Numbers]) -> Counts:
    found: dict[Key, int] = {}
    for key, numbers in counts.items():
        bare = key._replace(strata=())
        found[bare] = found.get(bare, 0) + round(numbers[0])
    return found


def _cells(metrics: Sequence[Metric], metric: Metric, aggregates: Aggregates, scale: Scale) -> Cells:
    index = {variable: i for i, variable in enumerate(all_variables(metrics))}
    numbers, pairs = [index[variable] for variable in variables_of(metric)], pairs_of(metrics)
    if not numbers:
        return {}
    places = [1 + len(index) + pairs.index(pair) for pair in pairs_among(numbers)]
    shifts = tuple(scale.shifts[i] for i in numbers)
    return {
        key: Joint(
            shifts,
            round(sums[0]),
            tuple(float(sums[1 + i]) for i in numbers),
            tuple(float(sums[place]) for place in places),
        )
        for key, sums in aggregates.analysed.items()
    }


def _kept(metrics: Sequence[Metric], aggregates: Aggregates) -> Mapping[Asked, Mapping[Key, Kept]]:
    asked = asked_of(metrics)
    begin = 1 + len(all_variables(metrics)) + len(pairs_of(metrics))
    size = len(Kept._fields)
    return {
        one: {
            key: Kept(*map(round, sums[begin + size * number : begin + size * (number + 1)]))
            for key, sums in aggregates.analysed.items()
            if any(sums[begin:])
        }
        for number, one in enumerate(asked)
    }
