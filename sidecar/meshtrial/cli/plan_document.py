"""A plan -> what `meshtrial check --json` says of it."""

from typing import Any

from meshtrial.plan.canonical_inference import metric_document
from meshtrial.plan.canonical_traffic import audience_document, unit_document
from meshtrial.plan.inference import Boundary, DecisionRule, Margin
from meshtrial.plan.model import Bucketing, Experiment, Layer, Plan, Split
from meshtrial.plan.owners import owners_of


def plan_document(plan: Plan) -> dict[str, Any]:
    """Metrics, layers, cohorts and experiments; metrics, units and conditions are written as in a plan."""
    return {
        "metrics": [{"metric": metric.id, **metric_document(metric)} for metric in plan.metrics],
        "layers": [_layer(layer, plan) for layer in plan.layers],
        "cohorts": [{"cohort": c.id, "audience": audience_document(c.audience)} for c in plan.cohorts],
        "experiments": [_experiment(experiment) for experiment in plan.experiments],
    }


def _layer(layer: Layer, plan: Plan) -> dict[str, Any]:
    return {
        "layer": layer.id,
        "unit": layer.unit.kind,
        "unit_definition": unit_document(layer.unit),
        **_bucketing(layer.bucketing),
        "buckets_owned": [
            {
                "experiments": list(owned.experiments),
                "holdout": owned.holdout,
                "start": owned.start,
                "end": owned.end,
                "share": float(owned.share),
            }
            for owned in owners_of(layer, plan)
        ],
    }


def _experiment(experiment: Experiment) -> dict[str, Any]:
    e = experiment
    match = {"route": e.match.route, "host": e.match.host, "path_prefix": e.match.path_prefix}
    return {
        "experiment": e.id,
        "match": {**match, "method": e.match.method, "headers": dict(e.match.headers)},
        "audience": audience_document(e.audience),
        "unit": e.unit.kind,
        "unit_definition": unit_document(e.unit),
        "layer": e.layer.id if e.layer else None,
        "slice": {"start": e.slice[0], "end": e.slice[1]} if e.layer else None,
        **_bucketing(e.bucketing),
        "phase": e.phase,
        "mode": e.mode.value,
        "ramp": float(e.ramp),
        "sticky": e.sticky,
        "carry": e.carry,
        "exposures": e.exposures.value,
        "response_outcomes": e.response_outcomes,
        "strata": [str(source) for source in e.strata],
        "neighbours": str(e.neighbours) if e.neighbours else None,
        "arms": [
            {**arm, "cluster": of.cluster, "headers": dict(of.headers)}
            for arm, of in zip(_shares(e, e.splits[0]), e.arms, strict=True)
        ],
        "splits": [{"cohort": split.id, "arms": _shares(e, split)} for split in e.splits],
        "decision": _decision(e.decision),
    }


def _bucketing(bucketing: Bucketing) -> dict[str, Any]:
    return {"hash": bucketing.hash.value, "buckets": bucketing.buckets, "salt": bucketing.salt}


def _shares(experiment: Experiment, split: Split) -> list[dict[str, Any]]:
    """`share` is what an arm gets under the ramp, `buckets` what its weight gives it."""
    return [
        {
            "arm": arm.id,
            "control": arm is experiment.control,
            "share": float(experiment.share(arm, split.id)),
            "buckets": experiment.width(arm, split),
        }
        for arm in experiment.arms
    ]


def _decision(rule: DecisionRule) -> dict[str, Any]:
    return {
        "method": rule.method.value,
        "alpha": rule.alpha,
        "power": rule.power,
        "planned_units": rule.planned_units,
        "minimum_duration": rule.minimum_duration,
        "primary": [
            {
                "metric": primary.metric.id,
                "direction": primary.direction.value,
                "minimum_effect": primary.minimum_effect.value,
                "scale": primary.minimum_effect.scale.value,
                "window": primary.metric.window.end,
                "require_above": _margin(primary.require_above) if primary.require_above else None,
            }
            for primary in rule.primary
        ],
        "guardrails": [
            {
                "metric": guardrail.metric.id,
                "direction": guardrail.direction.value,
                "margin": guardrail.margin.value,
                "scale": guardrail.margin.scale.value,
            }
            for guardrail in rule.guardrails
        ],
        "secondary": [
            {
                "metric": secondary.metric.id,
                "direction": secondary.direction.value if secondary.direction else None,
            }
            for secondary in rule.secondary
        ],
        "lateness": rule.lateness,
        "gatekeeping": rule.gatekeeping,
        "looks": {"shares": list(rule.looks.shares), "every": rule.looks.every} if rule.looks else None,
        "boundary": _boundary(rule.boundary) if rule.boundary else None,
        "futility": _boundary(rule.futility) if rule.futility else None,
    }


def _margin(margin: Margin) -> dict[str, Any]:
    return {"value": margin.value, "scale": margin.scale.value}


def _boundary(boundary: Boundary) -> dict[str, Any]:
    return {
        "shape": boundary.shape.value,
        "parameter": boundary.parameter,
        "spending": boundary.spending,
    }
