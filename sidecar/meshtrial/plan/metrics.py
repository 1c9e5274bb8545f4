"""The `metrics` section: what is measured of a unit."""

from decimal import Decimal

from meshtrial.plan.cursor import Cursor, Fields, check_name
from meshtrial.plan.events import read_covariates, read_events, read_window
from meshtrial.plan.inference import REQUESTS, Cap, Covariate, Events, Metric, MetricKind, RequestField
from meshtrial.plan.problems import Rule
from meshtrial.plan.scalars import percentage, read_duration
from meshtrial.plan.tree import Scalar

REQUIRED = ("kind", "window")
OPTIONAL = (
    "outcome", "value", "request", "numerator", "denominator", "q", "cap", "covariate", "covariates",
)  # fmt: skip

_P, _M, _C, _R, _Q = MetricKind
_REFUSED: tuple[tuple[set[str], set[MetricKind], Rule, str], ...] = (
    (
        {"value"}, {_P}, Rule.METRIC_VALUE,
        "a proportion asks whether the outcome happened: it takes no `value`",
    ),
    (
        {"value"}, {_C}, Rule.METRIC_VALUE,
        "a count asks how often the outcome happened: it takes no `value`",
    ),
    (
        {"outcome", "value"}, {_R}, Rule.METRIC_KEY,
        "the `{key}` of a ratio stands in its numerator or denominator: `{{outcome: order, value: amount}}`",
    ),
    ({"numerator", "denominator"}, {_P, _M, _C, _Q}, Rule.METRIC_KEY, "`{key}` belongs to a ratio"),
    ({"q"}, {_P, _M, _C, _R}, Rule.METRIC_KEY, "`q` belongs to a quantile"),
    (
        {"request"}, {_M, _C}, Rule.METRIC_REQUEST,
        "a {kind} adds up all requests of a unit, and an arm may change how many it makes: take a ratio",
    ),
    (
        {"cap"}, {_P, _R, _Q}, Rule.CAP,
        "a cap cuts down what one unit adds to a mean or a count: a {kind} takes none",
    ),
    (
        {"covariate", "covariates"}, {_Q}, Rule.COVARIATE,
        "a quantile is no mean: a covariate cannot make it more precise",
    ),
    (
        {"covariates"}, {_R}, Rule.COVARIATE,
        "a ratio takes `covariate` alone: its own numerator and denominator before exposure",
    ),
)  # fmt: skip
"""Which keys no metric of these kinds takes, and why."""
_FIELDS = {
    _P: {RequestField.ERROR, RequestField.GRPC_ERROR},
    _R: {*RequestField},
    _Q: {RequestField.DURATION_MS},
}
"""What of requests a kind makes sense of."""


def read_metrics(cursor: Cursor) -> dict[str, Metric | None]:
    """Read all metrics by id; None stands for one with problems."""
    return {key: _metric(key, entry) for key, entry in cursor.entries().items()}


def _metric(key: str, cursor: Cursor) -> Metric | None:
    fields = cursor.fields(REQUIRED, OPTIONAL)
    named = check_name(key, cursor)
    kind = fields.read("kind", lambda c: c.choice(MetricKind))
    window = fields.read("window", read_window)
    q = fields.read("q", lambda c: c.between(Decimal(0), Decimal(1)))
    cap = fields.read("cap", _cap)
    measured = _measured(cursor, fields, kind)
    covariates = _covariates(fields, measured[0] if measured else None)
    if kind is not None:
        _check_keys(fields, kind)
    if kind is _Q and "q" not in fields:
        cursor.fail(Rule.KEY_MISSING, "a quantile needs `q`: 0.5 is the median")
    if not named or kind is None or window is None or measured is None:
        return None
    return Metric(key, kind, measured[0], window, measured[1], q, cap, covariates)


def _check_keys(fields: Fields, kind: MetricKind) -> None:
    """Each key that stands must be one that the kind takes."""
    for key, place in fields.present.items():
        refusal = _refusal(key, kind)
        if refusal is not None:
            place.fail(*refusal)
    if "covariate" in fields and "covariates" in fields:
        message = "`covariate` and `covariates` are two ways to say it: write one"
        fields["covariates"].fail(Rule.COVARIATE, message)


def _refusal(key: str, kind: MetricKind) -> tuple[Rule, str] | None:
    """Why a kind does not take a key; None where it does."""
    for keys, kinds, rule, message in _REFUSED:
        if key in keys and kind in kinds:
            return rule, message.format(key=key, kind=kind)
    return None


def _measured(cursor: Cursor, fields: Fields, kind: MetricKind | None) -> tuple[Events, Events | None] | None:
    """The events, of a ratio the numerator's, and its denominator's; None where they could not be read."""
    outcome = fields.read("outcome", Cursor.name)
    value = fields.read("value", Cursor.name)
    request = fields.read("request", lambda c: c.choice(RequestField))
    numerator = fields.read("numerator", read_events)
    denominator = fields.read("denominator", read_events)
    if kind is None:
        return None
    if "request" in fields:
        _check_request(fields, kind, request)
        return (Events(None, request.value), REQUESTS if kind is _R else None) if request else None
    if kind is _R:
        for key in ("numerator", "denominator"):
            if key not in fields:
                cursor.fail(Rule.KEY_MISSING, f"a ratio needs `{key}`, or `request`")
        return (numerator, denominator) if numerator and denominator else None
    if "outcome" not in fields:
        instead = "" if kind in {_M, _C} else ", or `request`"
        cursor.fail(Rule.KEY_MISSING, f"a {kind} needs `outcome`{instead}")
    if kind in {_M, _Q} and "value" not in fields:
        verb = "summed" if kind is _M else "compared"
        message = f"a {kind} needs `value`: the field of the outcome that is {verb}"
        cursor.fail(Rule.METRIC_VALUE, message)
    return (Events(outcome, value), None) if outcome else None


def _check_request(fields: Fields, kind: MetricKind, request: RequestField | None) -> None:
    for key in ("outcome", "value", "numerator", "denominator"):
        if key in fields and _refusal(key, kind) is None:
            message = f"a metric is of requests or of outcomes: `{key}` cannot stand beside `request`"
            fields[key].fail(Rule.METRIC_KEY, message)
    if request is not None and request not in _FIELDS.get(kind, {*RequestField}):
        allowed = " or ".join(f"`{field}`" for field in RequestField if field in _FIELDS[kind])
        fields["request"].fail(Rule.METRIC_REQUEST, f"a {kind} over requests is of {allowed}")


def _cap(cursor: Cursor) -> Cap | None:
    share = percentage(cursor.node.text) if isinstance(cursor.node, Scalar) else None
    if share is None:
        if not isinstance(cursor.node, Scalar) or cursor.node.kind == "str":
            cursor.fail(Rule.CAP, "expected a number such as 500, or a share of units such as `99.9%`")
            return None
        number = cursor.number()
        if number is not None and number <= 0:
            cursor.fail(Rule.CAP, f"a cap is above 0, not {number}")
            return None
        return Cap(float(number), is_share=False) if number is not None else None
    if not Decimal("0.5") < share < 1:
        cursor.fail(Rule.CAP, "a cap by share is above 50% and below 100%: so many units stay as they are")
        return None
    return Cap(float(share), is_share=True)


def _covariates(fields: Fields, own: Events | None) -> tuple[Covariate, ...]:
    before = fields.read("covariate", read_duration)
    several = fields.read("covariates", read_covariates)
    if before is not None and own is not None:
        return (Covariate(own, before),)
    return several or ()
