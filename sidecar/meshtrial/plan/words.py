"""Matches, audiences and units in a few words, for people."""

from collections.abc import Iterable

from meshtrial.plan.traffic import AnyOf, Condition, InCohort, Match, Operator, Percentage, Source, ValueTest

_WORDS = {
    Operator.IN: "is one of",
    Operator.NOT_IN: "is none of",
    Operator.PREFIX: "begins with",
    Operator.REGEX: "matches",
    Operator.SEMVER: "is a version",
    Operator.LESS_THAN: "is less than",
    Operator.GREATER_THAN: "is greater than",
}


def match_words(match: Match) -> str:
    """`requests on route recommend with method GET`."""
    parts = [
        f"on route {match.route}" if match.route is not None else "",
        f"for host {match.host}" if match.host is not None else "",
        f"whose path begins with {match.path_prefix}" if match.path_prefix is not None else "",
        f"with method {match.method}" if match.method is not None else "",
        *(f"with {name}: {value}" for name, value in match.headers),
    ]
    found = [part for part in parts if part]
    return "requests " + ", ".join(found) if found else "every request"


def audience_words(audience: Iterable[Condition]) -> str:
    """All conditions, joined by `and`."""
    return " and ".join(condition_words(condition) for condition in audience)


def condition_words(condition: Condition) -> str:
    """`header x-country is one of IN, US`."""
    match condition:
        case Percentage(share=share):
            return f"{float(share) * 100:g}% of units"
        case InCohort(cohort=cohort):
            return f"cohort {cohort.id}"
        case AnyOf(conditions=conditions):
            return f"({' or '.join(condition_words(inner) for inner in conditions)})"
        case ValueTest(operator=Operator.EXISTS):
            return f"{source_words(condition.source)} {'exists' if condition.operand else 'is absent'}"
    operand = condition.operand
    shown = ", ".join(operand) if isinstance(operand, tuple) else str(operand)
    return f"{source_words(condition.source)} {_WORDS[condition.operator]} {shown}"


def source_words(source: Source) -> str:
    """`header x-user-id`, `metadata envoy.filters.http.jwt_authn payload.sub`."""
    return " ".join([source.carrier.value, source.name, *([".".join(source.path)] if source.path else [])])
