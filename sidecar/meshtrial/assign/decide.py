"""Request and Plan -> Decision."""

from dataclasses import dataclass

from meshtrial.assign.bucket import arm_of, bucket_of
from meshtrial.assign.request import Request
from meshtrial.assign.unit import NoUnit, unit_of
from meshtrial.names import Reason
from meshtrial.plan.model import Arm, Experiment, Match, Plan


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one experiment says about one request."""

    experiment: Experiment
    arm: Arm
    reason: Reason
    unit: bytes | NoUnit
    """The unit, or why there is none: then the arm is control."""
    bucket: int | None
    """In 0..buckets-1; None without a unit."""

    @property
    def exposed(self) -> bool:
        """Whether the analysis may count the unit as having met its arm."""
        return self.reason is Reason.SPLIT


Decision = tuple[Assignment, ...]
"""One assignment for each experiment that takes part, in order of their ids."""


def decide(request: Request, plan: Plan) -> Decision:
    """Assign a request; total: every request has a decision, an empty one where nothing matches."""
    return tuple(_assign(request, e) for e in plan.experiments if matches(request, e.match))


def matches(request: Request, match: Match) -> bool:
    """Whether a request takes part: all conditions of the match hold."""
    if match.route is not None and request.route != match.route:
        return False
    # A prefix holds neither ? nor #, so it can only match before the query, as Envoy's `prefix` does.
    return match.path_prefix is None or request.path.startswith(match.path_prefix)


def _assign(request: Request, experiment: Experiment) -> Assignment:
    unit = unit_of(request, experiment.unit)
    if isinstance(unit, NoUnit):
        return Assignment(experiment, experiment.control, Reason.DEFAULT, unit, None)
    bucket = bucket_of(unit, experiment.salt, experiment.buckets)
    return Assignment(experiment, arm_of(experiment, bucket), Reason.SPLIT, unit, bucket)
