"""Metric -> the variables of a unit that it is made of; pure.

| kind | variables |
|---|---|
| proportion | whether it had an event, then covariates |
| mean, count | sum or number of its events, then covariates |
| ratio | sums of numerator and denominator, then both before the first exposure where there is a covariate |

A quantile is of events, not of units, and has none (`analysis.quantiles`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from meshtrial.plan.inference import Cap, Covariate, Events, Metric, MetricKind


@dataclass(frozen=True, slots=True)
class Variable:
    """One number a unit, from its events."""

    events: Events
    start: int
    """Seconds after its first exposure from which events count; negative for those before."""
    end: int
    """Seconds after its first exposure up to which they count, exclusive."""
    binary: bool
    """Whether there was any event is what counts, as 0 or 1; of requests with a field, any that is not 0."""
    cap: Cap | None = None
    """What is more counts as much as this."""


def variables_of(metric: Metric) -> tuple[Variable, ...]:
    """The variables of a metric in the order in which `stats` takes them; none of a quantile."""
    if metric.kind is MetricKind.QUANTILE:
        return ()
    binary = metric.kind is MetricKind.PROPORTION
    window = metric.window
    own = [metric.events, *([metric.denominator] if metric.denominator else [])]
    now = [Variable(events, window.start, window.end, binary, metric.cap) for events in own]
    return (*now, *_before(metric, own, binary=binary))


def _before(metric: Metric, own: Iterable[Events], *, binary: bool) -> list[Variable]:
    if metric.denominator is not None:
        spans = [covariate.before for covariate in metric.covariates]
        return [Variable(events, -before, 0, binary=False) for before in spans for events in own]
    return [_covariate(c, binary=binary and c.events == metric.events) for c in metric.covariates]


def _covariate(covariate: Covariate, *, binary: bool) -> Variable:
    return Variable(covariate.events, -covariate.before, 0, binary)


def all_variables(metrics: Iterable[Metric]) -> tuple[Variable, ...]:
    """The variables of several metrics, each once, in the order met."""
    return tuple(dict.fromkeys(v for metric in metrics for v in variables_of(metric)))
