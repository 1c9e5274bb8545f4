"""Rules between experiments: one function a rule."""

from collections.abc import Callable, Sequence
from itertools import islice

from meshtrial.plan.audience import sources_of
from meshtrial.plan.claims import Claim, common_request
from meshtrial.plan.problems import Rule, shown
from meshtrial.plan.units import headers_of

MAX_EXPERIMENTS = 1000
"""Each is held against each other one when a plan is compiled."""


def salts_differ(one: Claim, other: Claim) -> tuple[Rule, str] | None:
    """Equal salts give both experiments the same buckets: their arms would be correlated."""
    if one.salt is None or one.salt != other.salt:
        return None
    return Rule.SALTS_EQUAL, f"has the same salt as {shown(one.id)}: their splits would be correlated"


def slices_are_apart(one: Claim, other: Claim) -> tuple[Rule, str] | None:
    """Slices of one layer never overlap: no unit is in two of its experiments."""
    if one.layer is None or one.layer != other.layer or one.slice is None or other.slice is None:
        return None
    if one.excludes(other):
        return None
    return Rule.SLICES_OVERLAP, f"its slice of layer `{one.layer}` overlaps that of {shown(one.id)}"


def one_chooses_the_cluster(one: Claim, other: Claim) -> tuple[Rule, str] | None:
    """A request has one cluster, so at most one experiment may choose it."""
    if not one.chooses() or not other.chooses() or one.excludes(other):
        return None
    example = common_request(one, other)
    if example is None:
        return None
    message = f"this and {shown(one.id)} could both choose the cluster of one request: {example}"
    return Rule.CLUSTER_CHOSEN_TWICE, message


def one_sets_a_header(one: Claim, other: Claim) -> tuple[Rule, str] | None:
    """A header has one value, so at most one experiment may set it."""
    both = one.headers() & other.headers()
    if not both or one.excludes(other):
        return None
    example = common_request(one, other)
    if example is None:
        return None
    message = f"this and {shown(one.id)} could both set `{min(both)}` on one request: {example}"
    return Rule.HEADER_SET_TWICE, message


def controls_agree(one: Claim, other: Claim) -> tuple[Rule, str] | None:
    """A unit outside the slices of two experiments goes to the control of both: it must be one."""
    if not one.excludes(other) or one.control is None or other.control is None:
        return None
    clusters = {one.control.cluster, other.control.cluster} - {None}
    ours, theirs = dict(one.control.headers), dict(other.control.headers)
    differing = [name for name in ours if name in theirs and ours[name] != theirs[name]]
    if len(clusters) < 2 and not differing:
        return None
    example = common_request(one, other)
    if example is None:
        return None
    what = f"`{min(differing)}`" if len(clusters) < 2 else "`cluster`"
    message = (
        f"the controls of this and {shown(one.id)} have another {what}, so a unit in neither slice of "
        f"layer `{one.layer}` would have two: {example}"
    )
    return Rule.CONTROLS_DIFFER, message


def what_is_read_is_not_set(one: Claim, other: Claim) -> tuple[Rule, str] | None:
    """The proxy drops a client's copy of what any arm sets: nothing would be left to read."""
    for reader, setter in ((one, other), (other, one)):
        both = reads(reader) & setter.headers()
        if both:
            who, whose = shown(setter.id), shown(reader.id)
            return Rule.UNIT_SET, f"`{min(both)}` is read by {whose}, so no arm of {who} may set it"
    return None


def reads(claim: Claim) -> frozenset[str]:
    """The request headers that decide who takes part, with which unit and stratum."""
    sources = [*sources_of(claim.audience), *claim.strata]
    matched = {name for name, _ in claim.match.headers} if claim.match else set()
    return claim.carriers.union(matched, *(headers_of(source) for source in sources))


PAIRWISE: tuple[Callable[[Claim, Claim], tuple[Rule, str] | None], ...] = (
    salts_differ,
    slices_are_apart,
    one_chooses_the_cluster,
    one_sets_a_header,
    controls_agree,
    what_is_read_is_not_set,
)


def check_pairs(claims: Sequence[Claim]) -> None:
    """Hold each experiment against the ones before it; of each rule its first conflict is noted."""
    for index, later in enumerate(claims):
        own = reads(later) & later.headers()
        if own - later.carriers:
            later.cursor.fail(Rule.UNIT_SET, f"`{min(own)}` is read here, so no arm may set it")
        for rule in PAIRWISE:
            conflict = next(
                (found for earlier in islice(claims, index) if (found := rule(earlier, later))), None
            )
            if conflict is not None:
                later.cursor.fail(*conflict)
