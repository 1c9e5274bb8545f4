"""Outcomes that no unit's value holds, and those that lack what is summed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from meshtrial.analysis.aggregates import Numbers
from meshtrial.analysis.events import Kinds, counted
from meshtrial.analysis.tallies import Tallies
from meshtrial.analysis.units import SECOND
from meshtrial.plan.inference import Metric


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


def stray_columns(metrics: Sequence[Metric], kinds: Kinds) -> list[str]:
    """Five sums over `events e` for each metric of outcomes: of any unit, before, after, late, lacking."""
    return [
        f"sum(CASE WHEN {what} THEN 1 ELSE 0 END)"
        for metric in of_outcomes(metrics)
        for what in _stray(metric, kinds)
    ]


def of_outcomes(metrics: Sequence[Metric]) -> list[Metric]:
    """Those that are told by outcomes, not requests."""
    return [metric for metric in metrics if metric.events.outcome is not None]


def _stray(metric: Metric, kinds: Kinds) -> list[str]:
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


def strays_of(metrics: Sequence[Metric], counts: Numbers, tallies: Tallies) -> Mapping[str, Stray]:
    """By metric id; of a ratio the numerator's. Outcomes of no unit are what is left of all."""
    strays = {}
    for number, metric in enumerate(of_outcomes(metrics)):
        joined, *others = map(int, counts[5 * number : 5 * number + 5] or (0,) * 5)
        outcomes = (
            row.rows
            for row in tallies.outcomes
            if row.name == metric.events.outcome and row.kind == tallies.kind
        )
        strays[metric.id] = Stray(sum(outcomes) - joined, *others)
    return strays
