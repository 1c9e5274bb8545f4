"""Whether a request is in an audience."""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import lru_cache

import re2
import semver

from meshtrial.assign.bucket import bucket_of
from meshtrial.assign.request import Request
from meshtrial.assign.unit import MAX_UNIT_BYTES, NoUnit, value_of
from meshtrial.plan.audience import PERCENTAGE_BUCKETS, bounded
from meshtrial.plan.model import Bucketing, Hash
from meshtrial.plan.traffic import (
    AnyOf,
    Audience,
    Cohort,
    Condition,
    InCohort,
    Operator,
    Percentage,
    ValueTest,
)

_MAX_NUMBER = 64
"""Characters of a value that is compared as a number or a version."""


def in_audience(request: Request, audience: Audience, owner: str, unit: bytes | NoUnit) -> bool:
    """Whether all conditions hold.

    Args:
        request: As received.
        audience: The conditions.
        owner: Whose they are, an experiment's id or `owner_of` a cohort: salts its percentages.
        unit: Whom a percentage is of; without one it does not hold.
    """
    return all(holds(request, condition, owner, unit) for condition in audience)


def in_cohort(request: Request, cohort: Cohort, unit: bytes | NoUnit) -> bool:
    """Whether a cohort's conditions hold."""
    return in_audience(request, cohort.audience, owner_of(cohort), unit)


def owner_of(cohort: Cohort) -> str:
    """Whose a cohort's percentages are: no experiment's, whatever its id."""
    return f"cohort:{cohort.id}"


def percentage_bucketing(owner: str) -> Bucketing:
    """How a percentage buckets units: by a salt of its owner, unlike the salt of the owner's own split."""
    return Bucketing(Hash.MD5, f"{owner}/percentage", PERCENTAGE_BUCKETS)


def holds(request: Request, condition: Condition, owner: str, unit: bytes | NoUnit) -> bool:
    """Whether one condition holds; arguments as of `in_audience`."""
    match condition:
        case ValueTest():
            return _passes(request, condition)
        case Percentage(share=share):
            if isinstance(unit, NoUnit):
                return False
            bucket = bucket_of(unit, percentage_bucketing(owner))
            return bucket * share.denominator < share.numerator * PERCENTAGE_BUCKETS
        case InCohort(cohort=cohort):
            return in_cohort(request, cohort, unit)
        case AnyOf(conditions=conditions):
            return any(holds(request, inner, owner, unit) for inner in conditions)


def _passes(request: Request, test: ValueTest) -> bool:
    value = value_of(request, test.source)
    if isinstance(value, NoUnit):
        missing = value is NoUnit.MISSING
        if test.operator is Operator.EXISTS:
            return test.operand is not missing
        return missing and test.operator is Operator.NOT_IN
    if test.operator is Operator.EXISTS:
        return test.operand is True
    if len(value) > MAX_UNIT_BYTES:
        return False
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return False
    return _OPERATORS[test.operator](text, test.operand)


def _in(text: str, operand: object) -> bool:
    return isinstance(operand, tuple) and text in operand


def _not_in(text: str, operand: object) -> bool:
    return isinstance(operand, tuple) and text not in operand


def _prefix(text: str, operand: object) -> bool:
    return isinstance(operand, str) and text.startswith(operand)


def _regex(text: str, operand: object) -> bool:
    return isinstance(operand, str) and _pattern(operand).fullmatch(text) is not None


@lru_cache(maxsize=4096)
def _pattern(regex: str) -> "re2._Regexp":
    return re2.compile(regex, bounded())


def _semver(text: str, operand: object) -> bool:
    if not isinstance(operand, str) or len(text) > _MAX_NUMBER:
        return False
    try:
        version = semver.Version.parse(text)
    except ValueError:
        return False
    return all(version.match(part) for part in operand.split())


def _number(text: str) -> Decimal | None:
    if len(text) > _MAX_NUMBER or text.strip("+-0123456789."):
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def _less(text: str, operand: object) -> bool:
    number = _number(text)
    return number is not None and isinstance(operand, Decimal) and number < operand


def _greater(text: str, operand: object) -> bool:
    number = _number(text)
    return number is not None and isinstance(operand, Decimal) and number > operand


_OPERATORS: dict[Operator, Callable[[str, object], bool]] = {
    Operator.IN: _in,
    Operator.NOT_IN: _not_in,
    Operator.PREFIX: _prefix,
    Operator.REGEX: _regex,
    Operator.SEMVER: _semver,
    Operator.LESS_THAN: _less,
    Operator.GREATER_THAN: _greater,
}
