"""Rules between experiments: one function a rule."""

from collections.abc import Callable
from itertools import combinations

from meshtrial.plan.cursor import Cursor
from meshtrial.plan.model import Experiment, Match
from meshtrial.plan.problems import Rule


def salts_differ(one: Experiment, other: Experiment, cursor: Cursor) -> None:
    """Equal salts give both experiments the same buckets: their arms would be correlated."""
    if one.salt == other.salt:
        cursor.fail(Rule.SALTS_EQUAL, f"has the same salt as `{one.id}`: their splits would be correlated")


def one_chooses_the_cluster(one: Experiment, other: Experiment, cursor: Cursor) -> None:
    """A request has one cluster, so at most one experiment may choose it."""
    example = common_request(one.match, other.match)
    if example:
        message = f"this and `{one.id}` could both choose the cluster of one request: {example}"
        cursor.fail(Rule.CLUSTER_CHOSEN_TWICE, message)


PAIRWISE: tuple[Callable[[Experiment, Experiment, Cursor], None], ...] = (
    salts_differ,
    one_chooses_the_cluster,
)


def check_pairs(experiments: dict[str, tuple[Experiment, Cursor]]) -> None:
    """Apply each rule to each pair; the problem is noted at the later one."""
    for (one, _), (other, cursor) in combinations(experiments.values(), 2):
        for rule in PAIRWISE:
            rule(one, other, cursor)


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
