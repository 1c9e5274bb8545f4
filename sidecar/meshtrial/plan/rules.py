"""Rules between experiments: one function a rule."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

from meshtrial.plan.claims import Claim
from meshtrial.plan.problems import Rule, shown

_Conflict = tuple[Rule, str]


@dataclass(frozen=True, slots=True)
class Pairwise:
    """A rule between two experiments, `one` being the earlier in the document.

    Only those are held against each other that share a key, since most rules concern few pairs of many.
    """

    conflict: Callable[[Claim, Claim], _Conflict | None]
    keys: Callable[[Claim], Iterable[Hashable]]
    """What an experiment is found by; two that can be in conflict share a key."""
    meeting: bool = False
    """Whether only experiments that some request takes part in together can be in conflict."""


def salts_differ(one: Claim, other: Claim) -> _Conflict | None:
    """Equal salts give both experiments the same buckets: their arms would be correlated."""
    if one.salt is None or one.salt != other.salt:
        return None
    return Rule.SALTS_EQUAL, f"has the same salt as {shown(one.id)}: their splits would be correlated"


def slices_are_apart(one: Claim, other: Claim) -> _Conflict | None:
    """Slices of one layer never overlap: no unit is in two of its experiments."""
    if one.excludes(other) or one.slice is None or other.slice is None:
        return None
    return Rule.SLICES_OVERLAP, f"its slice of layer `{one.layer}` overlaps that of {shown(one.id)}"


def one_chooses_the_cluster(one: Claim, other: Claim) -> _Conflict | None:
    """A request has one cluster, so at most one experiment may choose it."""
    if _share_a_layer(one, other) or (example := one.common_request(other)) is None:
        return None
    message = f"this and {shown(one.id)} could both choose the cluster of one request: {example}"
    return Rule.CLUSTER_CHOSEN_TWICE, message


def one_sets_a_header(one: Claim, other: Claim) -> _Conflict | None:
    """A header has one value, so at most one experiment may set it."""
    if _share_a_layer(one, other) or (example := one.common_request(other)) is None:
        return None
    name = min(one.sets & other.sets)
    message = f"this and {shown(one.id)} could both set `{name}` on one request: {example}"
    return Rule.HEADER_SET_TWICE, message


def controls_agree(one: Claim, other: Claim) -> _Conflict | None:
    """A unit outside the slices of two experiments goes to the control of both: it must be one."""
    if one.control is None or other.control is None or not one.excludes(other):
        return None
    clusters = {one.control.cluster, other.control.cluster} - {None}
    theirs = dict(other.control.headers)
    differing = [name for name, value in one.control.headers if theirs.get(name, value) != value]
    if (len(clusters) < 2 and not differing) or (example := one.common_request(other)) is None:
        return None
    what = f"`{min(differing)}`" if len(clusters) < 2 else "`cluster`"
    message = (
        f"the controls of this and {shown(one.id)} differ in {what}, and a unit in neither slice of "
        f"layer `{one.layer}` goes to both: {example}"
    )
    return Rule.CONTROLS_DIFFER, message


def what_is_read_is_not_set(one: Claim, other: Claim) -> _Conflict | None:
    """The proxy drops a client's copy of what any arm sets: nothing would be left to read."""
    for reader, setter in ((one, other), (other, one)):
        if both := reader.reads & setter.sets:
            who, whose = shown(setter.id), shown(reader.id)
            return Rule.UNIT_SET, f"`{min(both)}` is read by {whose}, so no arm of {who} may set it"
    return None


def strata_hide_units(one: Claim, other: Claim) -> _Conflict | None:
    """Strata are recorded in clear, units never."""
    for reader, owner in ((one, other), (other, one)):
        if both := reader.strata & owner.carriers:
            who, whose = shown(reader.id), shown(owner.id)
            message = f"`{min(both)}` carries the unit of {whose}, so {who} may not record it in clear"
            return Rule.STRATA, message
    return None


def mints_agree(one: Claim, other: Claim) -> _Conflict | None:
    """A browser keeps one cookie of a name, so experiments that mint it give it one age."""
    if one.unit is None or other.unit is None or one.unit.mint == other.unit.mint:
        return None
    message = f"mints the cookie `{one.unit.source.name}` with another `max_age` than {shown(one.id)}"
    return Rule.MINTS_DIFFER, message


def _share_a_layer(one: Claim, other: Claim) -> bool:
    """Whether their slices see to it that no unit is in both."""
    return one.layer is not None and one.layer == other.layer


def _layer(claim: Claim) -> Iterable[Hashable]:
    return () if claim.layer is None else (claim.layer,)


def _cookie(claim: Claim) -> Iterable[Hashable]:
    return () if claim.unit is None or claim.unit.mint is None else (claim.unit.source.name,)


PAIRWISE = (
    Pairwise(salts_differ, lambda claim: (claim.salt,)),
    Pairwise(slices_are_apart, _layer),
    Pairwise(one_chooses_the_cluster, lambda claim: (True,) if claim.chooses else (), meeting=True),
    Pairwise(one_sets_a_header, lambda claim: claim.sets, meeting=True),
    Pairwise(controls_agree, _layer, meeting=True),
    Pairwise(what_is_read_is_not_set, lambda claim: claim.reads | claim.sets),
    Pairwise(strata_hide_units, lambda claim: claim.strata | claim.carriers),
    Pairwise(mints_agree, _cookie),
)
