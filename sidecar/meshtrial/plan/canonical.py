"""Plan -> canonical document: the same text for every plan that means the same.

It is JSON, and so a plan itself: loading it gives the same plan. Keys are sorted, except that arms
keep their order, which assigns them their buckets. Durations are in seconds. A key whose value is
its default is left out, so that a key added by a later version changes no digest.
"""

from decimal import Decimal

import msgspec

from meshtrial.plan.experiments import DEFAULT_BUCKETS
from meshtrial.plan.model import Arm, Experiment, Metric, MetricKind, MinimumEffect, Primary, Scale, Unit

_Json = dict[str, "str | int | bool | msgspec.Raw | _Json | list[_Json]"]


def canonical_text(metrics: tuple[Metric, ...], experiments: tuple[Experiment, ...]) -> str:
    """The canonical document, in UTF-8 JSON without spaces."""
    document: _Json = {
        "apiVersion": "meshtrial/v1",
        "experiments": {e.id: _experiment(e) for e in experiments},
        "metrics": {m.id: _metric(m) for m in metrics},
    }
    return msgspec.json.encode(document).decode()


def _experiment(experiment: Experiment) -> _Json:
    rule = experiment.decision
    document: _Json = {
        "arms": {arm.id: _arm(arm, experiment.buckets) for arm in experiment.arms},
        "control": experiment.control.id,
        "decision": {
            "alpha": _number(_exact(rule.alpha)),
            "method": "fixed",
            "minimum_duration": f"{rule.minimum_duration}s",
            "planned_units": rule.planned_units,
            "power": _number(_exact(rule.power)),
            "primary": [_primary(primary) for primary in rule.primary],
        },
        "unit": _unit(experiment.unit),
    }
    if experiment.buckets != DEFAULT_BUCKETS:
        document["buckets"] = experiment.buckets
    if experiment.salt != experiment.id:
        document["salt"] = experiment.salt
    conditions = {"path_prefix": experiment.match.path_prefix, "route": experiment.match.route}
    if any(value is not None for value in conditions.values()):
        document["match"] = {key: value for key, value in conditions.items() if value is not None}
    return dict(sorted(document.items()))


def _unit(unit: Unit) -> _Json:
    return {"request": True} if unit.kind == "request" else {"header": unit.header}


def _arm(arm: Arm, buckets: int) -> _Json:
    document: _Json = {"cluster": arm.cluster}
    if arm.headers:
        document["headers"] = dict(arm.headers)
    document["weight"] = _number(Decimal(arm.width) * 100 / buckets)
    return document


def _metric(metric: Metric) -> _Json:
    document: _Json = {"kind": metric.kind.value, "outcome": metric.outcome}
    if metric.kind is MetricKind.MEAN and metric.value:
        document["value"] = metric.value
    document["window"] = f"{metric.window}s"
    return document


def _primary(primary: Primary) -> _Json:
    effect = _effect(primary.minimum_effect, proportion=primary.metric.kind is MetricKind.PROPORTION)
    return {"direction": primary.direction.value, "metric": primary.metric.id, "minimum_effect": effect}


def _effect(effect: MinimumEffect, *, proportion: bool) -> str | msgspec.Raw:
    value = _exact(effect.value)
    if effect.scale is Scale.RELATIVE:
        return f"{_plain(value * 100)}% relative"
    return f"{_plain(value * 100)}pp" if proportion else _number(value)


def _exact(value: float) -> Decimal:
    """The shortest decimal that reads back as this float."""
    return Decimal(repr(value))


def _number(value: Decimal) -> msgspec.Raw:
    return msgspec.Raw(_plain(value).encode())


def _plain(value: Decimal) -> str:
    """Without an exponent, which YAML 1.1 would take for text."""
    return f"{value.normalize():f}"
