"""What an experiment takes for itself, and the request that two of them would both take."""

from collections.abc import Iterable
from dataclasses import dataclass

from meshtrial.plan.cursor import Cursor
from meshtrial.plan.model import Arm
from meshtrial.plan.traffic import Audience, Match, Operator, Source, ValueTest


@dataclass(frozen=True, slots=True)
class Claim:
    """None for what has problems of its own.

    An experiment that is not valid elsewhere still has its claim, so that its conflicts with others
    are reported together with its other problems.
    """

    id: str
    cursor: Cursor
    match: Match | None
    audience: Audience
    layer: str | None
    slice: tuple[int, int] | None
    salt: str | None
    carriers: frozenset[str]
    """Headers that carry its unit."""
    strata: tuple[Source, ...]
    arms: tuple[Arm, ...]
    control: Arm | None

    def headers(self) -> frozenset[str]:
        """Headers that its arms set."""
        return frozenset(name for arm in self.arms for name, _ in arm.headers)

    def chooses(self) -> bool:
        """Whether it chooses the cluster."""
        return any(arm.cluster is not None for arm in self.arms)

    def excludes(self, other: "Claim") -> bool:
        """Whether no unit can be in both: disjoint slices of one layer."""
        if self.layer is None or self.layer != other.layer or self.slice is None or other.slice is None:
            return False
        return self.slice[1] <= other.slice[0] or other.slice[1] <= self.slice[0]


def common_request(one: Claim, other: Claim) -> str | None:
    """A request that both match, described; None where there is none.

    Conditions with `in` and `not_in` are held against each other, and a value that a match fixes; of any
    other pair of conditions it is taken for granted that some value satisfies both.
    """
    first, second = one.match, other.match
    if first is None or second is None:
        return None
    for a, b in ((first.route, second.route), (first.host, second.host), (first.method, second.method)):
        if a is not None and b is not None and a != b:
            return None
    paths = first.path_prefix or "/", second.path_prefix or "/"
    path = max(paths, key=len)
    if not path.startswith(min(paths, key=len)):
        return None
    headers = _headers(first, second)
    values = None if headers is None else _values(headers, (*one.audience, *other.audience))
    if values is None:
        return None
    parts = [f"{first.method or second.method or ''} path {path}".strip()]
    parts += [f"host {host}" for host in [first.host or second.host] if host]
    parts += [f"on route {route}" for route in [first.route or second.route] if route]
    parts += [f"{source} = {value}" for source, value in sorted(values.items())]
    return ", ".join(parts)


def _headers(one: Match, other: Match) -> dict[str, str] | None:
    headers = dict(one.headers)
    for name, value in other.headers:
        if headers.setdefault(name, value) != value:
            return None
    return headers


def _values(fixed: dict[str, str], conditions: Iterable[object]) -> dict[str, str] | None:
    """Values by source that satisfy what is fixed and every `in` and `not_in`; None where none do."""
    allowed: dict[str, list[str]] = {f"header:{name}": [value] for name, value in fixed.items()}
    banned: dict[str, set[str]] = {}
    for condition in conditions:
        if not isinstance(condition, ValueTest) or not isinstance(condition.operand, tuple):
            continue
        name = str(condition.source)
        if condition.operator is Operator.IN:
            known = allowed.setdefault(name, list(condition.operand))
            allowed[name] = [value for value in known if value in condition.operand]
        else:
            banned.setdefault(name, set()).update(condition.operand)
    left = {name: [v for v in values if v not in banned.get(name, ())] for name, values in allowed.items()}
    return {name: values[0] for name, values in left.items()} if all(left.values()) else None
