"""What a trial is judged by: `primary`, `guardrails` and `secondary` metrics, each in one role."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from meshtrial.plan.cursor import Cursor, Fields
from meshtrial.plan.inference import (
    Direction,
    Guardrail,
    Margin,
    Metric,
    MetricKind,
    Primary,
    Scale,
    Secondary,
)
from meshtrial.plan.problems import Rule
from meshtrial.plan.scalars import EFFECT_FORM, effect
from meshtrial.plan.tree import Mapping as Tree

PRIMARY = ("metric", "direction", "minimum_effect")
OPTIONAL_PRIMARY = ("require_above",)
LATER_PRIMARY = ("harm_margin",)
GUARDRAIL = ("metric", "direction", "margin")
SECONDARY = (("metric",), ("direction",))

_Role = TypeVar("_Role", Primary, Guardrail, Secondary)


@dataclass(frozen=True, slots=True)
class Roles:
    """The metrics of a document, and which of them a decision has given a role."""

    metrics: Mapping[str, Metric | None]
    """By id; None for one with problems."""
    taken: dict[str, str] = field(default_factory=dict)
    """By id of a metric, the list that it stands in."""

    def primaries(self, cursor: Cursor) -> tuple[Primary, ...]:
        """Read `primary`; problems are noted."""
        return self._each(cursor, "primary", self._primary)

    def guardrails(self, cursor: Cursor) -> tuple[Guardrail, ...]:
        """Read `guardrails`; problems are noted."""
        return self._each(cursor, "guardrails", self._guardrail)

    def secondaries(self, cursor: Cursor) -> tuple[Secondary, ...]:
        """Read `secondary`; problems are noted."""
        return self._each(cursor, "secondary", self._secondary)

    def _each(self, cursor: Cursor, role: str, read: Callable[[Cursor], _Role | None]) -> tuple[_Role, ...]:
        found: list[_Role] = []
        for item in cursor.items():
            entry = read(item)
            if entry is None:
                continue
            name = entry.metric.id
            before = self.taken.get(name)
            if before == role:
                item.fail(Rule.METRIC_TWICE, f"the metric `{name}` stands twice in this list")
            elif before is not None:
                message = f"the metric `{name}` stands under `{before}` already: a metric has one role"
                item.fail(Rule.METRIC_TWICE, message)
            self.taken.setdefault(name, role)
            found.append(entry)
        return tuple(found)

    def _primary(self, cursor: Cursor) -> Primary | None:
        fields = cursor.fields(PRIMARY, OPTIONAL_PRIMARY, LATER_PRIMARY)
        metric = fields.read("metric", self._metric)
        direction = fields.read("direction", lambda c: c.choice(Direction))
        least = _margin(fields, "minimum_effect", metric)
        above = _margin(fields, "require_above", metric)
        if metric is None or direction is None or least is None:
            return None
        if above is not None and above.scale is least.scale and above.value >= least.value:
            message = "must be below `minimum_effect`: a trial cannot be sized to show more than is there"
            fields["require_above"].fail(Rule.EFFECT, message)
        return Primary(metric, direction, least, above)

    def _guardrail(self, cursor: Cursor) -> Guardrail | None:
        fields = cursor.fields(GUARDRAIL)
        metric = fields.read("metric", self._metric)
        direction = fields.read("direction", lambda c: c.choice(Direction))
        margin = _margin(fields, "margin", metric)
        if metric is None or direction is None or margin is None:
            return None
        return Guardrail(metric, direction, margin)

    def _secondary(self, cursor: Cursor) -> Secondary | None:
        if not isinstance(cursor.node, Tree):
            named = self._metric(cursor)
            return Secondary(named, None) if named is not None else None
        fields = cursor.fields(*SECONDARY)
        metric = fields.read("metric", self._metric)
        direction = fields.read("direction", lambda c: c.choice(Direction))
        if metric is None or ("direction" in fields and direction is None):
            return None
        return Secondary(metric, direction)

    def _metric(self, cursor: Cursor) -> Metric | None:
        metric_id = cursor.known(self.metrics, Rule.METRIC_UNDEFINED, "metric", "$.metrics")
        return self.metrics.get(metric_id) if metric_id is not None else None


def _margin(fields: Fields, key: str, metric: Metric | None) -> Margin | None:
    """The effect under a key, in a unit that the metric can be measured in."""
    found = fields.read(key, lambda c: c.parsed(effect, Rule.EFFECT, EFFECT_FORM))
    if found is None:
        return None
    margin, in_points = found
    if metric is not None and margin.scale is Scale.ABSOLUTE:
        problem = _unlike(metric.kind, margin.value, in_points=in_points)
        if problem is not None:
            fields[key].fail(Rule.EFFECT, problem)
    return margin


def _unlike(kind: MetricKind, value: float, *, in_points: bool) -> str | None:
    """Why a kind of metric cannot change by so much; None where it can. A ratio may be a share or not."""
    if kind is MetricKind.RATIO:
        return None
    if kind is not MetricKind.PROPORTION:
        if not in_points:
            return None
        return f"percentage points belong to a proportion: a {kind} takes a plain number or `5% relative`"
    if not in_points:
        return "a proportion takes `2pp` (percentage points) or `5% relative`"
    return "a proportion cannot change by more than 100pp" if value > 1 else None
