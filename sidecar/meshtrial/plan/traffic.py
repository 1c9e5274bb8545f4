"""What a plan asks of requests: where values stand, who is randomised, who takes part."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction


class Carrier(StrEnum):
    """What of a request carries a value."""

    HEADER = "header"
    COOKIE = "cookie"
    QUERY = "query"
    METADATA = "metadata"


@dataclass(frozen=True, slots=True)
class Source:
    """Where in a request a value stands."""

    carrier: Carrier
    name: str
    """Lower-case header, cookie, query parameter, or namespace of Envoy's dynamic metadata."""
    path: tuple[str, ...] = ()
    """Keys from the namespace down to a text; of metadata only."""

    def __str__(self) -> str:
        return ":".join([self.carrier.value, self.name, *([".".join(self.path)] if self.path else [])])


@dataclass(frozen=True, slots=True)
class Switchback:
    """Arms by windows of time: all requests of a key in one window have one arm."""

    window: int
    """Seconds."""
    offset: int
    """Seconds after a multiple of `window` since 1970 at which windows begin, 0..window-1."""
    washout: int
    """Seconds at the start of a window that are not analysed, 0..window-1."""
    carryover: int = 0
    """Seconds for which an arm may go on to act after its window has ended, 0 or more; assigns nobody."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What is randomised, and who is analysed."""

    source: Source
    """Carries what is hashed: the unit, the group, or the switchback's key."""
    member: Source | None = None
    """Of a group: carries who is analysed; every member has its group's arm."""
    mint: int | None = None
    """Of a cookie: seconds that one lives which the sidecar gives to whoever has none."""
    switchback: Switchback | None = None

    @property
    def kind(self) -> str:
        """Kind of the unit that is recorded and that outcomes join on: `header:x-user-id`, `request`."""
        return _kind(self.member or self.source)

    @property
    def group_kind(self) -> str | None:
        """Kind of the group, None where units are randomised one by one."""
        return _kind(self.source) if self.member else None


def _kind(source: Source) -> str:
    return "request" if source == REQUEST else str(source)


REQUEST = Source(Carrier.HEADER, "x-request-id")
"""The unit of a split by request."""


class Operator(StrEnum):
    """How a condition tests a value."""

    IN = "in"
    NOT_IN = "not_in"
    EXISTS = "exists"
    PREFIX = "prefix"
    REGEX = "regex"
    SEMVER = "semver"
    LESS_THAN = "less_than"
    GREATER_THAN = "greater_than"


@dataclass(frozen=True, slots=True)
class ValueTest:
    """A condition on one value of the request."""

    source: Source
    operator: Operator
    operand: tuple[str, ...] | bool | str | Decimal
    """Texts for `in` and `not_in`, a boolean for `exists`, a number for the comparisons, else text."""


@dataclass(frozen=True, slots=True)
class Percentage:
    """Holds for this share of units, by a bucket of its own."""

    share: Fraction


@dataclass(frozen=True, slots=True)
class InCohort:
    """Holds for requests of a named cohort."""

    cohort: "Cohort"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Holds where at least one of its conditions does."""

    conditions: tuple["Condition", ...]


Condition = ValueTest | Percentage | InCohort | AnyOf
Audience = tuple[Condition, ...]
"""All must hold; an empty one is everybody."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """A named audience."""

    id: str
    audience: Audience


@dataclass(frozen=True, slots=True)
class Match:
    """Which requests take part; a condition that is None or empty holds for every request."""

    route: str | None = None
    """Envoy's route name, exactly."""
    host: str | None = None
    """The authority without its port, lower case, exactly."""
    path_prefix: str | None = None
    """What the path (without the query) begins with, as Envoy's `prefix`."""
    method: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    """Values that headers have exactly; lower-case names, sorted."""

    def meets(self, other: "Match") -> bool:
        """Whether some request holds for both."""
        pairs = ((self.route, other.route), (self.host, other.host), (self.method, other.method))
        if any(one is not None and two is not None and one != two for one, two in pairs):
            return False
        shorter, longer = sorted((self.path_prefix or "/", other.path_prefix or "/"), key=len)
        fixed = dict(self.headers)
        return longer.startswith(shorter) and all(fixed.get(n, v) == v for n, v in other.headers)
