"""Metrics and decisions of a canonical document."""

from decimal import Decimal

from meshtrial.plan.canonical_values import Json, Value, exact, plain, raw_number
from meshtrial.plan.decision import DEFAULT_LATENESS, DEFAULT_SPENDING
from meshtrial.plan.inference import (
    Boundary,
    Cap,
    Covariate,
    DecisionRule,
    Events,
    Guardrail,
    Looks,
    Margin,
    Metric,
    MetricKind,
    Primary,
    Scale,
    Secondary,
    Window,
)
from meshtrial.plan.looks import equal_shares


def metric_document(metric: Metric) -> Json:
    """A metric."""
    document: Json = {"kind": metric.kind.value, "window": _window(metric.window)}
    if metric.events.outcome is None:
        document["request"] = metric.events.field or ""
    elif metric.denominator is not None:
        document |= {"numerator": _events(metric.events), "denominator": _events(metric.denominator)}
    else:
        document |= _sum(metric.events)
    if metric.q is not None:
        document["q"] = raw_number(exact(metric.q))
    if metric.cap is not None:
        document["cap"] = _cap(metric.cap)
    own = [covariate.before for covariate in metric.covariates if covariate.events == metric.events]
    if own and len(metric.covariates) == 1:
        document["covariate"] = f"{own[0]}s"
    elif metric.covariates:
        document["covariates"] = [_covariate(covariate) for covariate in metric.covariates]
    return dict(sorted(document.items()))


def _window(window: Window) -> Value:
    end = f"{window.end}s"
    return {"end": end, "start": f"{window.start}s"} if window.start else end


def _sum(events: Events) -> Json:
    field: Json = {"value": events.field} if events.field else {}
    return {"outcome": events.outcome or "", **field}


def _events(events: Events) -> Value:
    return _sum(events) if events.field else events.outcome or ""


def _cap(cap: Cap) -> Value:
    return _percentage(cap.value) if cap.is_share else raw_number(exact(cap.value))


def _covariate(covariate: Covariate) -> Json:
    return {"before": f"{covariate.before}s", **_sum(covariate.events)}


def decision_document(rule: DecisionRule) -> Json:
    """A decision rule."""
    document: Json = {
        "alpha": raw_number(exact(rule.alpha)),
        "method": rule.method.value,
        "minimum_duration": f"{rule.minimum_duration}s",
        "planned_units": rule.planned_units,
        "power": raw_number(exact(rule.power)),
        "primary": [_primary(primary) for primary in rule.primary],
    }
    if rule.guardrails:
        document["guardrails"] = [_guardrail(guardrail) for guardrail in rule.guardrails]
    if rule.secondary:
        document["secondary"] = [_secondary(secondary) for secondary in rule.secondary]
    if rule.lateness != DEFAULT_LATENESS:
        document["lateness"] = f"{rule.lateness}s"
    if rule.gatekeeping:
        document["gatekeeping"] = True
    if rule.looks is not None:
        document["looks"] = looks_document(rule.looks)
    if rule.boundary is not None and rule.boundary != DEFAULT_SPENDING:
        document["spending" if rule.boundary.spending else "boundary"] = boundary_document(rule.boundary)
    if rule.futility is not None:
        document["futility"] = boundary_document(rule.futility)
    return dict(sorted(document.items()))


def looks_document(looks: Looks) -> Value:
    """When a group-sequential trial is looked at; equal shares as their number."""
    if looks.every is not None:
        return {"every": f"{looks.every}s"}
    if looks == equal_shares(len(looks.shares)):
        return len(looks.shares)
    return [_percentage(share) for share in looks.shares]


def boundary_document(boundary: Boundary) -> Value:
    """A boundary's or spending function's shape."""
    if boundary.parameter is None:
        return boundary.shape.value
    return {boundary.shape.value: raw_number(exact(boundary.parameter))}


def _primary(primary: Primary) -> Json:
    found: Json = {
        "direction": primary.direction.value,
        "metric": primary.metric.id,
        "minimum_effect": margin_document(primary.minimum_effect, primary.metric.kind),
    }
    if primary.require_above is not None:
        found["require_above"] = margin_document(primary.require_above, primary.metric.kind)
    return found


def _guardrail(guardrail: Guardrail) -> Json:
    return {
        "direction": guardrail.direction.value,
        "margin": margin_document(guardrail.margin, guardrail.metric.kind),
        "metric": guardrail.metric.id,
    }


def _secondary(secondary: Secondary) -> Value:
    if secondary.direction is None:
        return secondary.metric.id
    return {"direction": secondary.direction.value, "metric": secondary.metric.id}


def margin_document(margin: Margin, kind: MetricKind) -> Value:
    """An effect of a metric of this kind: `5% relative`, `2pp` of a proportion, else a number."""
    value = exact(margin.value)
    if margin.scale is Scale.RELATIVE:
        return f"{plain(value * 100)}% relative"
    return f"{plain(value * 100)}pp" if kind is MetricKind.PROPORTION else raw_number(value)


def _percentage(share: float) -> str:
    return f"{plain(exact(share) * Decimal(100))}%"
