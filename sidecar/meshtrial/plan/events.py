"""Events of a unit, as a metric names them: `click`, `{outcome: purchase, value: amount}`."""

from meshtrial.plan.cursor import Cursor
from meshtrial.plan.inference import Covariate, Events, Window
from meshtrial.plan.problems import Rule
from meshtrial.plan.scalars import read_duration, read_duration_or_0
from meshtrial.plan.tree import Mapping

SUM = (("outcome",), ("value",))
"""Keys, required and optional, of events that are counted, or summed by a field."""
COVARIATE = ("outcome", "before")
WINDOW = ("start", "end")
MAX_COVARIATES = 10


def read_events(cursor: Cursor) -> Events | None:
    """An outcome's name, or a mapping that may name a field to sum, too."""
    if not isinstance(cursor.node, Mapping):
        name = cursor.name()
        return Events(name, None) if name is not None else None
    fields = cursor.fields(*SUM)
    outcome = fields.read("outcome", Cursor.name)
    field = fields.read("value", Cursor.name)
    return None if outcome is None or ("value" in fields and field is None) else Events(outcome, field)


def read_window(cursor: Cursor) -> Window | None:
    """`7d`, or `{start: 1d, end: 7d}`."""
    if not isinstance(cursor.node, Mapping):
        end = read_duration(cursor)
        return Window(0, end) if end is not None else None
    fields = cursor.fields(WINDOW)
    start = fields.read("start", read_duration_or_0)
    end = fields.read("end", read_duration)
    if start is None or end is None:
        return None
    if start >= end:
        fields["end"].fail(Rule.DURATION, "`end` must be above `start`: both are since the first exposure")
        return None
    return Window(start, end)


def read_covariates(cursor: Cursor) -> tuple[Covariate, ...]:
    """A list of what units did before; problems are noted."""
    found: dict[Covariate, None] = {}
    items = list(cursor.items())
    if len(items) > MAX_COVARIATES:
        cursor.fail(Rule.COVARIATE, f"at most {MAX_COVARIATES} covariates, not {len(items):,}")
        return ()
    for item in items:
        covariate = _covariate(item)
        if covariate is not None and covariate in found:
            item.fail(Rule.COVARIATE, "this covariate stands twice in this list")
        if covariate is not None:
            found[covariate] = None
    return tuple(found)


def _covariate(cursor: Cursor) -> Covariate | None:
    fields = cursor.fields(COVARIATE, ("value",))
    outcome = fields.read("outcome", Cursor.name)
    field = fields.read("value", Cursor.name)
    before = fields.read("before", read_duration)
    if outcome is None or before is None or ("value" in fields and field is None):
        return None
    return Covariate(Events(outcome, field), before)
