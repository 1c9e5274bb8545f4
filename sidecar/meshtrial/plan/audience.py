"""`audience` lists and the named ones under `cohorts`: who takes part."""

from collections.abc import Mapping
from fractions import Fraction

import re2
import semver

from meshtrial.plan.cursor import Cursor, check_name
from meshtrial.plan.model import DEFAULT_COHORT
from meshtrial.plan.problems import Rule, shown
from meshtrial.plan.scalars import percentage
from meshtrial.plan.sources import CARRIERS, read_source
from meshtrial.plan.traffic import (
    AnyOf,
    Audience,
    Cohort,
    Condition,
    InCohort,
    Operator,
    Percentage,
    Source,
    ValueTest,
)

OPERATORS = tuple(operator.value for operator in Operator)
ALONE = ("any", "percentage", "cohort")
"""Conditions that take no operator; `cohort` not within a cohort."""
MAX_REGEX = 256
"""Characters of one regular expression."""
MAX_REGEXES = 10_000
"""Characters of all different ones of a document: at worst each costs 0.1 ms to compile."""
_REGEX_MEMORY = 256 * 1024
"""Bytes that one may compile to."""
PERCENTAGE_BUCKETS = 10_000
"""A percentage falls on hundredths of a percent."""

Cohorts = Mapping[str, Cohort | None]
"""By id, in document order; None for one with problems."""


def read_cohorts(cursor: Cursor) -> dict[str, Cohort | None]:
    """All cohorts by id, in document order."""
    return {key: _cohort(key, entry) for key, entry in cursor.entries().items()}


def _cohort(key: str, cursor: Cursor) -> Cohort | None:
    named = check_name(key, cursor)
    if key == DEFAULT_COHORT:
        cursor.fail(Rule.NAME, f"`{DEFAULT_COHORT}` is whoever is in no cohort: choose another name")
    audience = read_audience(cursor, None)
    return Cohort(key, audience) if named and audience is not None else None


def read_audience(cursor: Cursor, cohorts: Cohorts | None) -> Audience | None:
    """A list of conditions, all of which must hold.

    Args:
        cursor: The list.
        cohorts: Those that a condition may name; None where none may be.
    """
    read = [_condition(item, cohorts) for item in cursor.items()]
    found = tuple(condition for condition in read if condition is not None)
    return found if found and len(found) == len(read) else None


def _condition(cursor: Cursor, cohorts: Cohorts | None) -> Condition | None:
    whole = ALONE if cohorts is not None else ALONE[:-1]
    fields = cursor.fields([], (*CARRIERS, *OPERATORS, *whole))
    subjects = [key for key in fields.present if key in CARRIERS or key in whole]
    operators = [key for key in fields.present if key in OPERATORS]
    if len(subjects) != 1 or len(operators) != (subjects[0] in CARRIERS):
        if fields.sound:
            message = (
                f"a condition is one of {', '.join(CARRIERS)} with one of {', '.join(OPERATORS)}, "
                f"or one of {', '.join(whole)} alone; found {', '.join(fields.present) or 'nothing'}"
            )
            cursor.fail(Rule.CONDITION, message)
        return None
    match subjects[0]:
        case "any":
            inner = read_audience(fields["any"], cohorts)
            return AnyOf(inner) if inner is not None else None
        case "percentage":
            return _percentage(fields["percentage"])
        case "cohort":
            return _in_cohort(fields["cohort"], cohorts or {})
    source = read_source(fields)
    operand = _OPERANDS[Operator(operators[0])](fields[operators[0]])
    return None if source is None or operand is None else ValueTest(source, Operator(operators[0]), operand)


def _percentage(cursor: Cursor) -> Percentage | None:
    share = cursor.parsed(percentage, Rule.PERCENTAGE, "a percentage such as 12.5%")
    if share is None:
        return None
    if not 0 < share < 1 or share * PERCENTAGE_BUCKETS % 1:
        message = "a percentage of units is above 0% and below 100%, in hundredths of a percent"
        cursor.fail(Rule.PERCENTAGE, message)
        return None
    return Percentage(Fraction(share))


def _in_cohort(cursor: Cursor, cohorts: Cohorts) -> InCohort | None:
    name = cursor.known(cohorts, Rule.COHORT_UNDEFINED, "cohort", "$.cohorts")
    cohort = cohorts.get(name) if name is not None else None
    return InCohort(cohort) if cohort is not None else None


def _texts(cursor: Cursor) -> tuple[str, ...] | None:
    read = [item.line_of_text() for item in cursor.items()]
    texts = [text for text in read if text is not None]
    return tuple(sorted(set(texts))) if texts and len(texts) == len(read) else None


def _some_text(cursor: Cursor) -> str | None:
    text = cursor.line_of_text()
    if text == "":
        cursor.fail(Rule.EMPTY, "an empty text holds for everybody")
        return None
    return text


def _regex(cursor: Cursor) -> str | None:
    text = cursor.line_of_text(MAX_REGEX)
    if text is None:
        return None
    if not cursor.problems.affords(text, MAX_REGEXES):
        message = f"the regular expressions of a plan have at most {MAX_REGEXES:,} characters together"
        cursor.fail(Rule.REGEX, message)
        return None
    try:
        re2.compile(text, bounded())
    except re2.error as error:
        why = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error.args[0])
        cursor.fail(Rule.REGEX, f"{shown(text)} is no regular expression of RE2: {why}")
        return None
    return text


def bounded() -> "re2.Options":
    """Options that bound an expression's memory and keep RE2 from writing to stderr."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _REGEX_MEMORY
    return options


def _semver(cursor: Cursor) -> str | None:
    text = cursor.line_of_text()
    if text is None:
        return None
    try:
        for part in text.split():
            semver.Version.parse("1.0.0").match(part)
        sound = bool(text.split())
    except ValueError:
        sound = False
    if sound:
        return " ".join(text.split())
    message = f"expected comparisons such as `>=1.2.0 <2.0.0` (https://semver.org), found {shown(text)}"
    cursor.fail(Rule.SEMVER, message)
    return None


_OPERANDS = {
    Operator.IN: _texts,
    Operator.NOT_IN: _texts,
    Operator.EXISTS: Cursor.boolean,
    Operator.PREFIX: _some_text,
    Operator.REGEX: _regex,
    Operator.SEMVER: _semver,
    Operator.LESS_THAN: Cursor.number,
    Operator.GREATER_THAN: Cursor.number,
}


def sources_of(audience: Audience) -> set[Source]:
    """Everything of a request that an audience reads."""
    found: set[Source] = set()
    for condition in audience:
        match condition:
            case ValueTest(source=source):
                found.add(source)
            case AnyOf(conditions=conditions):
                found |= sources_of(conditions)
            case InCohort(cohort=cohort):
                found |= sources_of(cohort.audience)
    return found
