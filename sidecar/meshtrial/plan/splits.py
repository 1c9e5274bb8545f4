"""Arms and weights -> lanes of buckets, and the digest of the whole allocation."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from fractions import Fraction

import msgspec

from meshtrial.plan.arms import WeighedArm
from meshtrial.plan.canonical_traffic import audience_document
from meshtrial.plan.model import DEFAULT_COHORT, Arm, Bucketing, Experiment, Lane, Split
from meshtrial.plan.traffic import Cohort, Unit


def splits_of(
    arms: Sequence[WeighedArm], control: Arm, ramp: Fraction, cohorts: Iterable[Cohort]
) -> tuple[Split, ...]:
    """The default split, then one for each cohort that has weights of its own, in the order given."""
    return tuple(Split(cohort, _lanes(arms, control, ramp, cohort)) for cohort in (None, *cohorts))


def _lanes(
    arms: Sequence[WeighedArm], control: Arm, ramp: Fraction, cohort: Cohort | None
) -> tuple[Lane, ...]:
    lanes: list[Lane] = []
    start = 0
    for weighed in arms:
        if weighed.arm is control:
            continue
        width = weighed.widths.get(cohort.id if cohort else DEFAULT_COHORT, weighed.widths[DEFAULT_COHORT])
        live = start + int(width * ramp)  # rounded down: both are at least 0
        lanes.append(Lane(weighed.arm, start, live, start + width))
        start += width
    return tuple(lanes)


def phase_of(experiment: Experiment) -> str:
    """Digest of what moves units between arms, and of what the arms are: one phase, one comparison."""
    allocation: list[object] = [
        _randomised(experiment.unit),
        _hashing(experiment.bucketing),
        experiment.control.id,
        [[arm.id, arm.cluster, arm.headers] for arm in sorted(experiment.arms, key=lambda arm: arm.id)],
        [_allocated(split) for split in experiment.splits],
    ]
    layer = experiment.layer
    if layer is not None:
        allocation.append([_hashing(layer.bucketing), layer.holdout, *experiment.slice])
    return hashlib.sha256(json.dumps(allocation, ensure_ascii=False).encode()).hexdigest()[:16]


def comparison_of(experiment: Experiment) -> tuple[object, ...]:
    """What two phases have in common where their units may be compared as one trial.

    Who is randomised and how it is hashed, what the arms are and which is control, and the share of the
    layer: all of the allocation but cohorts, weights and ramp.
    """
    layer = experiment.layer
    arms = sorted((arm.id, arm.cluster, arm.headers) for arm in experiment.arms)
    return (
        _randomised(experiment.unit),
        experiment.bucketing,
        experiment.control.id,
        arms,
        (layer.bucketing, layer.holdout, experiment.slice) if layer else None,
    )


def _allocated(split: Split) -> list[object]:
    """Who is in a cohort decides which weights count."""
    cohort = audience_document(split.cohort.audience) if split.cohort else []
    lanes = [[lane.arm.id, lane.start, lane.live] for lane in split.lanes]
    return [split.id, msgspec.json.encode(cohort).decode(), lanes]


def _randomised(unit: Unit) -> list[object]:
    window = unit.switchback
    return [unit.kind, unit.group_kind, *([window.window, window.offset] if window else [])]


def _hashing(bucketing: Bucketing) -> list[object]:
    return [bucketing.hash.value, bucketing.buckets, bucketing.salt]
