"""A decision rule in a few lines, for people."""

from collections.abc import Iterator

from meshtrial.cli.wording import days
from meshtrial.plan.canonical_inference import margin_document
from meshtrial.plan.decision import DEFAULT_LATENESS
from meshtrial.plan.inference import (
    Boundary,
    DecisionRule,
    Guardrail,
    Looks,
    Margin,
    Method,
    Metric,
    Scale,
    Secondary,
    Shape,
)

_SHAPES = {
    Shape.OBRIEN_FLEMING: "O'Brien-Fleming",
    Shape.POCOCK: "Pocock",
    Shape.WANG_TSIATIS: "Wang-Tsiatis",
    Shape.HWANG_SHIH_DECANI: "Hwang-Shih-DeCani",
}


def rule_words(rule: DecisionRule) -> Iterator[str]:
    """When it is judged, by which primaries, guardrails and secondaries, a line each."""
    metrics = ", ".join(primary.metric.id for primary in rule.primary)
    planned = f"{rule.planned_units:,} units over at least {days(rule.minimum_duration)}"
    order = ", in this order" if rule.gatekeeping else ""
    match rule.method:
        case Method.FIXED:
            yield f"judged once on {metrics}{order}, after {planned}"
        case Method.SEQUENTIAL:
            yield f"judged at any time on {metrics}{order}, planned for {planned}"
        case Method.GROUP_SEQUENTIAL:
            yield f"judged {_looks(rule.looks)} on {metrics}{order}, at the latest after {planned}"
            yield from _boundaries(rule)
    above = [
        f"{primary.metric.id} by {margin_words(primary.require_above, primary.metric)}"
        for primary in rule.primary
        if primary.require_above is not None
    ]
    if above:
        yield f"must surpass control in {', '.join(above)}"
    if rule.guardrails:
        yield f"guardrails: {', '.join(_guardrail(guardrail) for guardrail in rule.guardrails)}"
    if rule.secondary:
        yield f"looked at too: {', '.join(_secondary(secondary) for secondary in rule.secondary)}"
    if rule.lateness != DEFAULT_LATENESS:
        late = days(rule.lateness) if rule.lateness else "0 seconds"
        yield f"outcomes count until {late} after a window's end"


def _looks(looks: Looks | None) -> str:
    if looks is None:  # the loader requires them
        return "at its looks"
    if looks.every is not None:
        return f"every {days(looks.every)}"
    shares = ", ".join(f"{share * 100:.4g}%" for share in looks.shares)
    return f"at {len(looks.shares)} looks ({shares} of the units)"


def _boundaries(rule: DecisionRule) -> Iterator[str]:
    if rule.boundary is not None:
        what = "alpha spent as" if rule.boundary.spending else "boundary of"
        yield f"{what} {_boundary(rule.boundary)}"
    if rule.futility is not None:
        yield f"stops early for futility: beta spent as {_boundary(rule.futility)}"


def _boundary(boundary: Boundary) -> str:
    name = _SHAPES[boundary.shape]
    return name if boundary.parameter is None else f"{name} {boundary.parameter:g}"


def _guardrail(guardrail: Guardrail) -> str:
    margin = margin_words(guardrail.margin, guardrail.metric)
    better = f"({guardrail.direction} is better)"
    return f"{guardrail.metric.id} {better} may be worse by less than {margin}"


def _secondary(secondary: Secondary) -> str:
    return f"{secondary.metric.id} ({secondary.direction})" if secondary.direction else secondary.metric.id


def margin_words(margin: Margin, metric: Metric) -> str:
    """An effect or margin of a metric: `2pp`, `5%` of control's value, `0.25`."""
    found = margin_document(margin, metric.read_as)
    if margin.scale is Scale.RELATIVE:
        return str(found).removesuffix(" relative") + " of control's value"
    return found if isinstance(found, str) else f"{margin.value:g}"
