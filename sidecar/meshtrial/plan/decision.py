"""An experiment's `decision`: when it is judged, and by what."""

from collections.abc import Mapping
from decimal import Decimal

from meshtrial.plan.cursor import Cursor, Fields
from meshtrial.plan.inference import Boundary, DecisionRule, Looks, Method, Metric, Shape
from meshtrial.plan.looks import read_boundary, read_looks, read_spending
from meshtrial.plan.problems import Rule
from meshtrial.plan.roles import Roles
from meshtrial.plan.scalars import read_duration, read_duration_or_0
from meshtrial.plan.traffic import Unit

REQUIRED = ("method", "alpha", "power", "planned_units", "minimum_duration", "primary")
GROUP_SEQUENTIAL = ("looks", "boundary", "spending", "futility")
"""Keys of the method of that name only."""
OPTIONAL = ("guardrails", "secondary", "lateness", "gatekeeping", *GROUP_SEQUENTIAL)
LATER = ("harm_alpha",)
DEFAULT_LATENESS = 3600
"""Seconds."""
DEFAULT_SPENDING = Boundary(Shape.OBRIEN_FLEMING)


def read_decision(
    cursor: Cursor, metrics: Mapping[str, Metric | None], unit: Unit | None
) -> DecisionRule | None:
    """Read the rule.

    Args:
        cursor: Its place.
        metrics: The document's by id, None for one with problems.
        unit: What is randomised; None where that has problems.
    """
    fields = cursor.fields(REQUIRED, OPTIONAL, LATER)
    method = fields.read("method", lambda c: c.choice(Method))
    alpha = fields.read("alpha", lambda c: c.between(Decimal(0), Decimal("0.5")))
    power = fields.read("power", lambda c: c.between(Decimal(0), Decimal(1)))
    units = fields.read("planned_units", lambda c: c.integer(2, 10**12))
    least = fields.read("minimum_duration", read_duration)
    roles = Roles(metrics)
    primary = fields.read("primary", roles.primaries)
    guardrails = fields.read("guardrails", roles.guardrails) or ()
    secondary = fields.read("secondary", roles.secondaries) or ()
    lateness = fields.read("lateness", read_duration_or_0) if "lateness" in fields else DEFAULT_LATENESS
    gatekeeping = fields.read("gatekeeping", Cursor.boolean) if "gatekeeping" in fields else False
    looks = fields.read("looks", read_looks)
    boundary = _boundary(fields, looks)
    futility = fields.read("futility", read_spending)
    if method is not None:
        _check_method(cursor, fields, method, unit)
    if method is None or alpha is None or power is None or units is None or least is None or not primary:
        return None
    if lateness is None or gatekeeping is None:
        return None
    return DecisionRule(
        method=method,
        alpha=alpha,
        power=power,
        planned_units=units,
        minimum_duration=least,
        primary=primary,
        guardrails=guardrails,
        secondary=secondary,
        lateness=lateness,
        gatekeeping=gatekeeping,
        looks=looks,
        boundary=boundary if method is Method.GROUP_SEQUENTIAL else None,
        futility=futility,
    )


def _boundary(fields: Fields, looks: Looks | None) -> Boundary:
    boundary = fields.read("boundary", read_boundary)
    spending = fields.read("spending", read_spending)
    if "boundary" in fields and "spending" in fields:
        message = "`boundary` and `spending` are two ways to share out alpha: write one"
        fields["boundary"].fail(Rule.BOUNDARY, message)
    if "boundary" in fields and looks is not None and looks.every is not None:
        message = "an exact boundary needs the number of looks beforehand: with `every`, take `spending`"
        fields["boundary"].fail(Rule.BOUNDARY, message)
    return boundary or spending or DEFAULT_SPENDING


def _check_method(cursor: Cursor, fields: Fields, method: Method, unit: Unit | None) -> None:
    if method is Method.GROUP_SEQUENTIAL:
        if "looks" not in fields:
            message = "`group_sequential` needs `looks`: when it is judged before all units are in"
            cursor.fail(Rule.KEY_MISSING, message)
    else:
        for key in GROUP_SEQUENTIAL:
            if key in fields:
                fields[key].fail(Rule.METHOD_KEY, f"`{key}` belongs to `method: group_sequential`")
    if unit is not None and unit.switchback is not None and method is not Method.FIXED:
        message = (
            "a switchback is judged once, `fixed`: its windows act on each other, and no method for looks "
            "at any time is known to hold for them"
        )
        fields["method"].fail(Rule.METHOD_UNIT, message)
