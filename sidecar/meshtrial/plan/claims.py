"""What an experiment takes for itself, for the rules between experiments."""

from collections.abc import Iterable
from dataclasses import dataclass

from meshtrial.plan.audience import sources_of
from meshtrial.plan.cursor import Cursor
from meshtrial.plan.model import Arm
from meshtrial.plan.overlap import Example, Wanted, common_request, wanted_of
from meshtrial.plan.traffic import Audience, Cohort, Match, Source, Unit
from meshtrial.plan.units import headers_of


@dataclass(frozen=True, slots=True)
class Claim:
    """None for what has problems of its own.

    An experiment that is not valid elsewhere still has its claim, so that its conflicts with others
    are reported together with its other problems.
    """

    id: str
    cursor: Cursor
    match: Match | None
    wanted: Wanted
    unit: Unit | None
    layer: str | None
    slice: tuple[int, int] | None
    salt: str | None
    control: Arm | None
    chooses: bool
    """Whether it chooses the cluster."""
    sets: frozenset[str]
    """Headers that its arms set."""
    carriers: frozenset[str]
    """Headers that carry its unit, or the groups next to it."""
    strata: frozenset[str]
    """Headers that it records in clear."""
    reads: frozenset[str]
    """Headers that decide who takes part, with which unit, weights and stratum."""

    def excludes(self, other: "Claim") -> bool:
        """Whether no unit can be in both: disjoint slices of one layer."""
        if self.layer is None or self.layer != other.layer or self.slice is None or other.slice is None:
            return False
        return self.slice[1] <= other.slice[0] or other.slice[1] <= self.slice[0]

    def common_request(self, other: "Claim") -> Example | None:
        """A request that both match; None where there is none, or where a match has problems."""
        if self.match is None or other.match is None:
            return None
        return common_request(self.match, self.wanted, other.match, other.wanted)


@dataclass(frozen=True, slots=True)
class Taken:
    """What of a document's experiment could be read, whether or not all of it is valid."""

    match: Match | None
    audience: Audience
    unit: Unit | None
    layer: str | None
    slice: tuple[int, int] | None
    salt: str | None
    arms: tuple[Arm, ...]
    control: Arm | None
    strata: tuple[Source, ...]
    cohorts: tuple[Cohort, ...]
    """Those that have weights of their own."""
    carriers: frozenset[str]
    """Headers that carry its unit, or the groups next to it."""


def claim_of(key: str, cursor: Cursor, taken: Taken) -> Claim:
    """The claim of the experiment at this place."""
    match = taken.match
    audiences = [taken.audience, *(cohort.audience for cohort in taken.cohorts)]
    sources = {*taken.strata}.union(*(sources_of(audience) for audience in audiences))
    matched = {name for name, _ in match.headers} if match else set()
    return Claim(
        id=key,
        cursor=cursor,
        match=match,
        wanted=wanted_of(match or Match(), taken.audience),
        unit=taken.unit,
        layer=taken.layer,
        slice=taken.slice,
        salt=taken.salt,
        control=taken.control,
        chooses=any(arm.cluster is not None for arm in taken.arms),
        sets=frozenset(name for arm in taken.arms for name, _ in arm.headers),
        carriers=taken.carriers,
        strata=frozenset(source.name for source in taken.strata),
        reads=taken.carriers.union(matched, _carrying(sources)),
    )


def _carrying(sources: Iterable[Source]) -> frozenset[str]:
    return frozenset(name for source in sources for name in headers_of(source))
