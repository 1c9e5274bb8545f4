"""An experiment's `decision`: when it is judged, and by what."""

from collections.abc import Mapping
from decimal import Decimal

from meshtrial.plan.cursor import Cursor
from meshtrial.plan.inference import (
    DecisionRule,
    Direction,
    Method,
    Metric,
    MetricKind,
    Primary,
    Scale,
)
from meshtrial.plan.problems import Rule
from meshtrial.plan.scalars import EFFECT_FORM, effect, read_duration

REQUIRED = ("method", "alpha", "power", "planned_units", "minimum_duration", "primary")
LATER = ("guardrails", "secondary", "lateness", "gatekeeping", "harm_alpha")
LATER_METHODS = ("sequential", "group_sequential")
PRIMARY = ("metric", "direction", "minimum_effect")
LATER_PRIMARY = ("require_above", "harm_margin")


def read_decision(cursor: Cursor, metrics: Mapping[str, Metric | None]) -> DecisionRule | None:
    """Read the rule; `metrics` are the document's by id, None for one with problems."""
    fields = cursor.fields(REQUIRED, later=LATER)
    method = fields.read("method", lambda c: c.choice(Method, LATER_METHODS))
    alpha = fields.read("alpha", lambda c: _between(c, Decimal(0), Decimal("0.5")))
    power = fields.read("power", lambda c: _between(c, Decimal(0), Decimal(1)))
    units = fields.read("planned_units", lambda c: c.integer(2, 10**12))
    least = fields.read("minimum_duration", read_duration)
    primary = fields.read("primary", lambda c: _primaries(c, metrics))
    if method is None or alpha is None or power is None or units is None or least is None or not primary:
        return None
    return DecisionRule(method, alpha, power, units, least, primary)


def _between(cursor: Cursor, low: Decimal, high: Decimal) -> float | None:
    number = cursor.number()
    if number is None:
        return None
    if not low < number < high:
        cursor.fail(Rule.RANGE, f"must be above {low} and below {high}, not {number}")
        return None
    return float(number)


def _primaries(cursor: Cursor, metrics: Mapping[str, Metric | None]) -> tuple[Primary, ...]:
    primaries: dict[str, Primary] = {}
    for item in cursor.items():
        primary = _primary(item, metrics)
        if primary is None:
            continue
        if primary.metric.id in primaries:
            item.fail(Rule.METRIC_TWICE, f"the metric `{primary.metric.id}` stands twice in this list")
        primaries[primary.metric.id] = primary
    return tuple(primaries.values())


def _primary(cursor: Cursor, metrics: Mapping[str, Metric | None]) -> Primary | None:
    fields = cursor.fields(PRIMARY, later=LATER_PRIMARY)
    metric = fields.read("metric", lambda c: _metric(c, metrics))
    direction = fields.read("direction", lambda c: c.choice(Direction))
    minimum = fields.read("minimum_effect", lambda c: c.parsed(effect, Rule.EFFECT, EFFECT_FORM))
    if metric is None or direction is None or minimum is None:
        return None
    least, in_points = minimum
    is_proportion = metric.kind is MetricKind.PROPORTION
    if in_points and not is_proportion:
        message = "percentage points belong to a proportion: a mean takes a plain number or `5% relative`"
        fields["minimum_effect"].fail(Rule.EFFECT, message)
    if is_proportion and not in_points and least.scale is Scale.ABSOLUTE:
        message = "a proportion takes `2pp` (percentage points) or `5% relative`"
        fields["minimum_effect"].fail(Rule.EFFECT, message)
    if is_proportion and in_points and least.value > 1:
        fields["minimum_effect"].fail(Rule.EFFECT, "a proportion cannot change by more than 100pp")
    return Primary(metric, direction, least)


def _metric(cursor: Cursor, metrics: Mapping[str, Metric | None]) -> Metric | None:
    metric_id = cursor.known(metrics, Rule.METRIC_UNDEFINED, "metric", "$.metrics")
    return metrics.get(metric_id) if metric_id is not None else None
