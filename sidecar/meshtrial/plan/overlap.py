"""The request that two experiments would both take: what makes a conflict real, and shows it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from meshtrial.plan.traffic import (
    Audience,
    Carrier,
    InCohort,
    Match,
    Operator,
    Source,
    ValueTest,
)

_PRESENT = frozenset(Operator) - {Operator.IN, Operator.NOT_IN, Operator.EXISTS}
"""Operators that no missing value passes."""
_OPAQUE = _PRESENT - {Operator.PREFIX}
"""Operators whose values are not worked out here."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an experiment asks of the values in a request."""

    finite: Mapping[Source, frozenset[str]]
    """Where one of these values must stand."""
    tests: Mapping[Source, tuple[ValueTest, ...]]
    """Every condition besides; those within `any` are left out, as if they always held."""


@dataclass(frozen=True, slots=True)
class Example:
    """A request that two experiments both match."""

    path: str = "/"
    route: str | None = None
    host: str | None = None
    method: str | None = None
    values: Mapping[Source, str] = field(default_factory=dict)
    """Headers, cookies, parameters and claims that it brings."""
    some: tuple[Source, ...] = ()
    """What it brings too, with a value that is not worked out here."""

    def __str__(self) -> str:
        parts = [f"{self.method or ''} path {self.path}".strip()]
        parts += [f"host {self.host}"] if self.host else []
        parts += [f"on route {self.route}"] if self.route else []
        parts += [f"{source} = {value}" for source, value in sorted(_by_name(self.values).items())]
        parts += [f"some {source}" for source in sorted(map(str, self.some))]
        return ", ".join(parts)


def _by_name(values: Mapping[Source, str]) -> dict[str, str]:
    return {str(source): value for source, value in values.items()}


def wanted_of(match: Match, audience: Audience) -> Wanted:
    """What a match and an audience ask of values, those of cohorts that it names included."""
    finite = {Source(Carrier.HEADER, name): frozenset([value]) for name, value in match.headers}
    tests: dict[Source, tuple[ValueTest, ...]] = {}
    for test in _value_tests(audience):
        if test.operator is Operator.IN and isinstance(test.operand, tuple):
            values = frozenset(test.operand)
            finite[test.source] = finite.get(test.source, values) & values
        else:
            tests[test.source] = (*tests.get(test.source, ()), test)
    for source, values in finite.items():
        finite[source] = frozenset(v for v in values if _passes_all(v, tests.get(source, ())))
    return Wanted(finite, tests)


def _value_tests(audience: Audience) -> Iterable[ValueTest]:
    for condition in audience:
        if isinstance(condition, ValueTest):
            yield condition
        elif isinstance(condition, InCohort):
            yield from _value_tests(condition.cohort.audience)


def common_request(one: Match, first: Wanted, other: Match, second: Wanted) -> Example | None:
    """A request that both match; None where there is none.

    `in`, `not_in`, `exists` and `prefix` are held against each other and against the headers of a match. Of
    every other pair of conditions it is taken for granted that some value satisfies both, and of `any` and
    `percentage` that they hold.
    """
    path = _longer_path(one, other)
    if path is None or _differ(one, other) or _apart(first, second):
        return None
    values: dict[Source, str] = {}
    some: list[Source] = []
    for source in {*first.finite, *second.finite, *first.tests, *second.tests}:
        tests = (*first.tests.get(source, ()), *second.tests.get(source, ()))
        allowed = first.finite.get(source, second.finite.get(source))
        if allowed is not None:
            allowed &= second.finite.get(source, allowed)
        options = _options(allowed, tests)
        if not options:
            return None
        if options[0] is not None:
            values[source] = options[0]
        elif _is_needed(tests):
            some.append(source)
    route, host = one.route or other.route, one.host or other.host
    return Example(path, route, host, one.method or other.method, values, tuple(some))


def _longer_path(one: Match, other: Match) -> str | None:
    path, shorter = one.path_prefix or "/", other.path_prefix or "/"
    if len(path) < len(shorter):
        path, shorter = shorter, path
    return path if path.startswith(shorter) else None


def _differ(one: Match, other: Match) -> bool:
    if one.route and other.route and one.route != other.route:
        return True
    if one.host and other.host and one.host != other.host:
        return True
    return bool(one.method and other.method and one.method != other.method)


def _apart(first: Wanted, second: Wanted) -> bool:
    """Whether some value would have to be two: the quick answer for most pairs of a large plan."""
    return any(
        source in second.finite and values.isdisjoint(second.finite[source])
        for source, values in first.finite.items()
    )


def _passes_all(value: str, tests: Iterable[ValueTest]) -> bool:
    """Whether a value passes all tests that are held against values here."""
    return all(_passes(value, test) for test in tests)


def _passes(value: str, test: ValueTest) -> bool:
    match test:
        case ValueTest(operator=Operator.NOT_IN, operand=tuple(banned)):
            return value not in banned
        case ValueTest(operator=Operator.EXISTS, operand=bool(exists)):
            return exists
        case ValueTest(operator=Operator.PREFIX, operand=str(prefix)):
            return value.startswith(prefix)
    return True


def _is_needed(tests: Iterable[ValueTest]) -> bool:
    """Whether no request without a value passes."""
    return any(test.operator in _PRESENT or test.operand is True for test in tests)


def _options(allowed: frozenset[str] | None, tests: Sequence[ValueTest]) -> list[str | None]:
    """Values that pass; None for no value, or one that is not worked out; empty where nothing passes."""
    if allowed is not None:
        return [value for value in sorted(allowed) if _passes_all(value, tests)]
    if not _is_needed(tests):
        return [None]
    if any(test.operand is False for test in tests):
        return []
    prefixes = [test.operand for test in tests if test.operator is Operator.PREFIX]
    value = max(map(str, prefixes), key=len, default="x")
    if not all(value.startswith(str(prefix)) for prefix in prefixes):
        return []
    if any(test.operator in _OPAQUE for test in tests):
        return [None]
    while not _passes_all(value, tests):
        value += "x"
    return [value]
