"""Rules between experiments: one function a rule."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from meshtrial.plan.cursor import Cursor
from meshtrial.plan.model import Match
from meshtrial.plan.problems import Rule, shown

MAX_EXPERIMENTS = 1000
"""A request is held against each experiment, and each experiment against each other one."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What an experiment takes for itself: None for what has problems of its own.

    An experiment that is not valid elsewhere still has its claim, so that its conflicts with others
    are reported together with its other problems.
    """

    id: str
    cursor: Cursor
    match: Match | None
    unit_header: str | None
    salt: str | None
    headers: frozenset[str]
    """Headers that its arms set."""


def salts_differ(one: Claim, other: Claim) -> tuple[Rule, str] | None:
    """Equal salts give both experiments the same buckets: their arms would be correlated."""
    if one.salt is None or one.salt != other.salt:
        return None
    return Rule.SALTS_EQUAL, f"has the same salt as {shown(one.id)}: their splits would be correlated"


def one_chooses_the_cluster(one: Claim, other: Claim) -> tuple[Rule, str] | None:
    """A request has one cluster, so at most one experiment may choose it."""
    example = common_request(one.match, other.match) if one.match and other.match else None
    if example is None:
        return None
    message = f"this and {shown(one.id)} could both choose the cluster of one request: {example}"
    return Rule.CLUSTER_CHOSEN_TWICE, message


def units_are_not_set(one: Claim, other: Claim) -> tuple[Rule, str] | None:
    """The proxy drops a client's copy of what any arm sets: no unit would be left in it."""
    for owner, setter in ((one, other), (other, one)):
        if owner.unit_header in setter.headers:
            header, whose, who = owner.unit_header, shown(owner.id), shown(setter.id)
            return Rule.UNIT_SET, f"`{header}` carries the unit of {whose}, so {who} may not set it"
    return None


PAIRWISE: tuple[Callable[[Claim, Claim], tuple[Rule, str] | None], ...] = (
    salts_differ,
    one_chooses_the_cluster,
    units_are_not_set,
)


def check_pairs(claims: Sequence[Claim]) -> None:
    """Hold each experiment against the ones before it; of each rule its first conflict is noted."""
    for index, later in enumerate(claims):
        for rule in PAIRWISE:
            conflict = next(
                (found for earlier in islice(claims, index) if (found := rule(earlier, later))), None
            )
            if conflict is not None:
                later.cursor.fail(*conflict)


def common_request(one: Match, other: Match) -> str | None:
    """A request that both match, described; None where there is none."""
    if one.route is not None and other.route is not None and one.route != other.route:
        return None
    first, second = one.path_prefix or "/", other.path_prefix or "/"
    if not first.startswith(second) and not second.startswith(first):
        return None
    path = max(first, second, key=len)
    route = one.route or other.route
    return f"path {path}" + (f" on route {route}" if route else "")
