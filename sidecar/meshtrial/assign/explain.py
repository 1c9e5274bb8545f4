"""Experiment and unit -> every step from the unit to its arm, for a person to follow."""

from dataclasses import dataclass

from meshtrial.assign.bucket import Lane, arm_of, bucket_of, hashed_key, lanes, md5_of
from meshtrial.assign.decide import Assignment
from meshtrial.assign.mutation import Mutation, mutation_of
from meshtrial.names import Reason
from meshtrial.plan.model import Arm, Experiment, Plan


@dataclass(frozen=True, slots=True)
class Explanation:
    """The walk of one unit through one experiment."""

    experiment: Experiment
    unit: bytes
    key: bytes
    """What is hashed."""
    md5: str
    """Its MD5, 32 hex digits."""
    bucket: int
    """In 0..buckets-1."""
    lanes: tuple[Lane, ...]
    """All arms' buckets; control's come last."""
    arm: Arm
    mutation: Mutation
    """What the proxy changes in the request's headers."""

    def why(self) -> str:
        """The walk in a sentence."""
        lane = next(lane for lane in self.lanes if lane.arm is self.arm)
        return (
            f"the MD5 of the key, as one integer, leaves {self.bucket:,} when divided by "
            f"{self.experiment.buckets:,}; "
            f"the buckets {lane.start:,} to {lane.end - 1:,} belong to {self.arm.id}"
        )


def explain(plan: Plan, experiment: Experiment, unit: bytes) -> Explanation:
    """Walk a usable unit (see `assign.unit.unusable`) through an experiment that its request matches."""
    key = hashed_key(unit, experiment.salt)
    bucket = bucket_of(unit, experiment.salt, experiment.buckets)
    arm = arm_of(experiment, bucket)
    mutation = mutation_of((Assignment(experiment, arm, Reason.SPLIT, unit, bucket),), plan)
    owned = tuple(lanes(experiment))
    return Explanation(experiment, unit, key, md5_of(key).hex(), bucket, owned, arm, mutation)
