"""One experiment before and after -> the share of its units that has another place, exact.

Nothing is counted in data: shares are of all units that an experiment may meet, by the hashes alone.
"""

from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction

from meshtrial.names import Reason
from meshtrial.plan.joint import Parts, joint, keeps_buckets
from meshtrial.plan.model import DEFAULT_COHORT, Bucketing, Experiment, Hash, Mode

_NO_LAYER = Bucketing(Hash.MD5, "", 1)


@dataclass(frozen=True, slots=True)
class Place:
    """What a unit gets, and why: as `decide` says it."""

    arm: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Move:
    """Units of one cohort that have another place in the new plan."""

    cohort: str
    old: Place | None
    """None where the old plan has no such experiment."""
    new: Place | None
    share: Fraction
    """Of the cohort's units, above 0."""
    of_place: Fraction
    """Of those that have the old place, above 0."""


def reassigned(old: Experiment, new: Experiment) -> bool:
    """Whether hash, salt, unit or number of buckets differ, so that all are assigned anew as if at random."""
    if not keeps_buckets(_arms(old, DEFAULT_COHORT), _arms(new, DEFAULT_COHORT)):
        return True
    return old.layer is not None and new.layer is not None and not keeps_buckets(_layer(old), _layer(new))


def moves_of(old: Experiment | None, new: Experiment | None) -> tuple[Move, ...] | None:
    """The moves of each cohort, the default first, the largest first; for one of them None: not in that plan.

    None where one plan's layer hashes as the other's arms: the two are then not independent, and the shares
    are not told.
    """
    if old is not None and new is not None and _crossed(old, new):
        return None
    cohorts = {split.id: None for e in (old, new) if e is not None for split in e.splits}
    return tuple(move for cohort in cohorts for move in _of_cohort(cohort, old, new))


def _crossed(old: Experiment, new: Experiment) -> bool:
    if new.layer is not None and _arms(old, DEFAULT_COHORT).hashed() == _layer(new).hashed():
        return True
    return old.layer is not None and _layer(old).hashed() == _arms(new, DEFAULT_COHORT).hashed()


def _of_cohort(cohort: str, old: Experiment | None, new: Experiment | None) -> list[Move]:
    shares = _places(cohort, old, new)
    held: dict[Place | None, Fraction] = defaultdict(Fraction)
    for (place, _), share in shares.items():
        held[place] += share
    return [
        Move(cohort, place, other, share, share / held[place])
        for (place, other), share in sorted(shares.items(), key=lambda item: -item[1])
        if place != other and (_takes_part(place) or _takes_part(other))
    ]


def _takes_part(place: Place | None) -> bool:
    return place is not None and place.reason is not Reason.OUTSIDE


def _places(
    cohort: str, old: Experiment | None, new: Experiment | None
) -> dict[tuple[Place | None, Place | None], Fraction]:
    """Share of a cohort's units by their old and new place; the sum is 1."""
    one, other = old or new, new or old
    if one is None or other is None:
        return {}
    layers, arms = joint(_layer(one), _layer(other)), joint(_arms(one, cohort), _arms(other, cohort))
    shares: dict[tuple[Place | None, Place | None], Fraction] = defaultdict(Fraction)
    for (out, then_out), share in layers.items():
        for (arm, then_arm), of_arms in arms.items():
            before = _place(old, out, arm) if old else None
            after = _place(new, then_out, then_arm) if new else None
            shares[before, after] += share * of_arms
    return shares


def _place(experiment: Experiment, outside: Reason | None, arm: str) -> Place:
    if experiment.mode is not Mode.RUNNING:
        return Place(experiment.control.id, Reason.DISABLED)
    return Place(experiment.control.id, outside) if outside else Place(arm, Reason.SPLIT)


def _layer(experiment: Experiment) -> Parts[Reason | None]:
    """The buckets of its layer by why a unit is not in its slice; None for one that is."""
    layer = experiment.layer
    if layer is None:
        return Parts(experiment.unit, _NO_LAYER, ((0, 1, None),))
    start, end = max(experiment.slice[0], layer.holdout), experiment.slice[1]
    stretches = (
        (0, layer.holdout, Reason.HOLDOUT),
        (layer.holdout, start, Reason.OUTSIDE),
        (start, end, None),
        (end, layer.bucketing.buckets, Reason.OUTSIDE),
    )
    return Parts(layer.unit, layer.bucketing, stretches)


def _arms(experiment: Experiment, cohort: str) -> Parts[str]:
    """Its buckets by arm, ramp included."""
    stretches: list[tuple[int, int, str]] = []
    end = 0
    for lane in experiment.split(cohort).lanes:
        stretches += [(lane.start, lane.live, lane.arm.id), (lane.live, lane.end, experiment.control.id)]
        end = lane.end
    stretches.append((end, experiment.bucketing.buckets, experiment.control.id))
    return Parts(experiment.unit, experiment.bucketing, tuple(stretches))
