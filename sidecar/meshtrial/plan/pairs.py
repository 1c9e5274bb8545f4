"""Which experiments are held against which: few of the pairs of a large plan."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

from meshtrial.plan.claims import Claim
from meshtrial.plan.problems import Rule
from meshtrial.plan.rules import PAIRWISE, Pairwise

MAX_EXPERIMENTS = 1000
"""So that a plan compiles within two seconds, whatever is in it."""

_Set = int
"""Positions in the document as the bits of a whole number: a thousand of them are joined at once."""


def check_pairs(claims: Sequence[Claim]) -> None:
    """Hold each experiment against the ones before it; of each rule its first conflict is noted."""
    for claim in claims:
        own = claim.reads & claim.sets - claim.carriers
        if own:
            claim.cursor.fail(Rule.UNIT_SET, f"`{min(own)}` is read here, so no arm may set it")
        if clear := claim.strata & claim.carriers:
            message = f"`{min(clear)}` carries the unit, which no span may hold in clear as strata are"
            claim.cursor.fail(Rule.STRATA, message)
    meeting = _meeting(claims)
    for rule in PAIRWISE:
        _check(rule, claims, meeting)


def _check(rule: Pairwise, claims: Sequence[Claim], meeting: Sequence[_Set]) -> None:
    found: dict[Hashable, _Set] = {}
    for index, later in enumerate(claims):
        keys = [*rule.keys(later)]
        rivals = _union(found, keys)
        if rule.meeting:
            rivals &= meeting[index]
        conflicts = (rule.conflict(claims[rival], later) for rival in _members(rivals))
        if (conflict := next(filter(None, conflicts), None)) is not None:
            later.cursor.fail(*conflict)
        for key in keys:
            found[key] = found.get(key, 0) | 1 << index


def _meeting(claims: Sequence[Claim]) -> list[_Set]:
    """For each claim those before it that may take part in one request with it, and some that may not."""
    asking: dict[Hashable, _Set] = {}
    """Those that ask for one of certain values, by what the value is of."""
    taking: dict[Hashable, _Set] = {}
    paths: dict[str, _Set] = {}
    meeting: list[_Set] = []
    for index, claim in enumerate(claims):
        own = 1 << index
        met = own - 1
        for place, values in _asked(claim).items():
            other_values = asking.get(place, 0) & ~_union(taking, [(place, value) for value in values])
            met &= ~other_values
            asking[place] = asking.get(place, 0) | own
            for value in values:
                taking[place, value] = taking.get((place, value), 0) | own
        path = (claim.match.path_prefix if claim.match else None) or "/"
        along = 0
        for other, there in paths.items():
            if other.startswith(path) or path.startswith(other):
                along |= there
        meeting.append(met & along)
        paths[path] = paths.get(path, 0) | own
    return meeting


def _asked(claim: Claim) -> dict[Hashable, Iterable[str]]:
    match = claim.match
    fixed = {"route": match.route, "host": match.host, "method": match.method} if match else {}
    asked: dict[Hashable, Iterable[str]] = {key: (value,) for key, value in fixed.items() if value}
    asked |= claim.wanted.finite.items()
    return asked


def _union(sets: Mapping[Hashable, _Set], keys: Iterable[Hashable]) -> _Set:
    union = 0
    for key in keys:
        union |= sets.get(key, 0)
    return union


def _members(positions: _Set) -> Iterator[int]:
    return (index for index, bit in enumerate(reversed(f"{positions:b}")) if bit == "1")
