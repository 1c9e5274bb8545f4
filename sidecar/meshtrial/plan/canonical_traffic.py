"""Units, matches and audiences of a canonical document."""

from decimal import Decimal

from meshtrial.plan.canonical_values import Json, Value, percent, raw_number
from meshtrial.plan.traffic import (
    REQUEST,
    AnyOf,
    Audience,
    Carrier,
    Condition,
    InCohort,
    Match,
    Percentage,
    Source,
    Unit,
)


def unit_document(unit: Unit) -> Json:
    """A unit."""
    if unit.switchback is not None:
        window = unit.switchback
        found: Json = {"key": _source(unit.source), "window": f"{window.window}s"}
        for key, seconds in (
            ("offset", window.offset),
            ("washout", window.washout),
            ("carryover", window.carryover),
        ):
            if seconds:
                found[key] = f"{seconds}s"
        return {"switchback": dict(sorted(found.items()))}
    if unit.member is not None:
        return {"group": _source(unit.source), "members": _source(unit.member)}
    found = _source(unit.source)
    if unit.mint is not None:
        found["mint"] = {"max_age": f"{unit.mint}s"}
    return found


def match_document(match: Match) -> Json:
    """A match; empty where it has no condition."""
    found = {
        "headers": dict(match.headers) or None,
        "host": match.host,
        "method": match.method,
        "path_prefix": match.path_prefix,
        "route": match.route,
    }
    return {key: value for key, value in found.items() if value is not None}


def audience_document(audience: Audience) -> list[Value]:
    """An audience, its conditions in document order."""
    return [_condition(condition) for condition in audience]


def _condition(condition: Condition) -> Json:
    match condition:
        case AnyOf(conditions=conditions):
            return {"any": audience_document(conditions)}
        case Percentage(share=share):
            return {"percentage": percent(share)}
        case InCohort(cohort=cohort):
            return {"cohort": cohort.id}
    operand = condition.operand
    value: Value = raw_number(operand) if isinstance(operand, Decimal) else operand
    return dict(sorted({**_source(condition.source), condition.operator.value: value}.items()))


def _source(source: Source) -> Json:
    if source == REQUEST:
        return {"request": True}
    if source.carrier is Carrier.METADATA:
        return {"metadata": {"namespace": source.name, "path": list(source.path)}}
    return {source.carrier.value: source.name}
