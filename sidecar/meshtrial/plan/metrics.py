"""The `metrics` section: what is measured of a unit."""

from meshtrial.plan.cursor import Cursor, check_name
from meshtrial.plan.inference import Events, Metric, MetricKind, Window
from meshtrial.plan.problems import Rule
from meshtrial.plan.scalars import read_duration
from meshtrial.plan.tree import Mapping

REQUIRED = ("kind", "outcome", "window")
OPTIONAL = ("value",)
LATER = ("cap", "numerator", "denominator", "request", "q", "covariate")
LATER_WINDOW = ("start", "end")
LATER_KINDS = ("ratio", "quantile", "count")


def read_metrics(cursor: Cursor) -> dict[str, Metric | None]:
    """Read all metrics by id; None stands for one with problems."""
    return {key: _metric(key, entry) for key, entry in cursor.entries().items()}


def _metric(key: str, cursor: Cursor) -> Metric | None:
    fields = cursor.fields(REQUIRED, OPTIONAL, LATER)
    named = check_name(key, cursor)
    kind = fields.read("kind", lambda c: c.choice(MetricKind, LATER_KINDS))
    outcome = fields.read("outcome", Cursor.name)
    value = fields.read("value", Cursor.name)
    window = fields.read("window", _window)
    if kind is MetricKind.MEAN and "value" not in fields:
        cursor.fail(Rule.METRIC_VALUE, "a mean needs `value`: the field of the outcome that is summed")
    if kind is MetricKind.PROPORTION and "value" in fields:
        message = "a proportion asks whether the outcome happened: it takes no `value`"
        fields["value"].fail(Rule.METRIC_VALUE, message)
    if not named or kind is None or outcome is None or window is None:
        return None
    return Metric(key, kind, Events(outcome, value), Window(0, window))


def _window(cursor: Cursor) -> int | None:
    if isinstance(cursor.node, Mapping) and cursor.node.entries:
        cursor.fields([], later=LATER_WINDOW)
        return None
    return read_duration(cursor)
