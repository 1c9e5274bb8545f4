"""Request and Plan -> Decision."""

from dataclasses import dataclass
from itertools import islice

from meshtrial.assign.audience import in_audience, in_cohort
from meshtrial.assign.baggage import Carried
from meshtrial.assign.bucket import arm_of, bucket_of
from meshtrial.assign.context import EMPTY, Context
from meshtrial.assign.matching import matches
from meshtrial.assign.request import Request
from meshtrial.assign.subject import Subject, in_washout, subject_of
from meshtrial.assign.unit import NoUnit, unusable, value_of
from meshtrial.names import Reason
from meshtrial.plan.model import Arm, Experiment, Mode, Plan, Split
from meshtrial.plan.traffic import Source

EXPOSED = frozenset([Reason.SPLIT, Reason.CACHED])
MAX_STRATUM_BYTES = 64
MAX_NEIGHBOURS = 100
"""Of those that a request names the first so many are recorded."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one experiment says about one request."""

    experiment: Experiment
    arm: Arm
    reason: Reason
    subject: Subject
    phase: str
    bucket: int | None = None
    """In 0..buckets-1; None where it decided nothing."""
    cohort: str = ""
    """Whose weights counted, where an experiment has weights by cohort."""
    strata: tuple[tuple[str, str], ...] = ()
    """Header and value, of those that the request has."""
    carried: Carried | None = None
    """What an earlier hop signed, where that decided."""
    neighbours: tuple[bytes, ...] = ()
    """Groups next to the request's own, of those that it names, each once."""

    @property
    def exposed(self) -> bool:
        """Whether the analysis may count the unit as having met its arm."""
        return self.reason in EXPOSED

    @property
    def takes_part(self) -> bool:
        """Whether it is recorded and named among the request's arms."""
        return self.reason is not Reason.OUTSIDE


Decision = tuple[Assignment, ...]
"""One assignment for each experiment whose match and audience hold, in order of their ids."""


def decide(request: Request, plan: Plan, context: Context = EMPTY) -> Decision:
    """Assign a request; total: every request has a decision, an empty one where nothing matches."""
    found = plan.index.candidates(request.route, request.host, request.path, request.headers)
    return tuple(
        assignment
        for experiment in found
        if matches(request, experiment.match)
        if (assignment := assign(request, experiment, plan, context)) is not None
    )


def assign(request: Request, experiment: Experiment, plan: Plan, context: Context) -> Assignment | None:
    """What an experiment says of a request that it matches; None where its audience does not hold.

    The order of the steps is the contract: audience, killed or paused, arm of another experiment of the layer
    that is forced or carried, forced arm, carried arm, unit, layer, kept arm, bucket.
    """
    subject = subject_of(request, experiment, context)
    audience = experiment.audience
    if audience and not in_audience(request, audience, experiment.id, subject.who):
        return None
    split = split_of(request, experiment, subject)
    chosen = _chosen(experiment, split, subject, plan, context)
    return Assignment(
        experiment,
        chosen.arm,
        chosen.reason,
        subject,
        chosen.phase or experiment.phase,
        chosen.bucket,
        split.id if len(experiment.splits) > 1 else "",
        _strata(request, experiment) if experiment.strata else (),
        chosen.carried,
        _neighbours(request, experiment.neighbours) if experiment.neighbours else (),
    )


@dataclass(frozen=True, slots=True)
class _Choice:
    arm: Arm
    reason: Reason
    bucket: int | None = None
    phase: str = ""
    carried: Carried | None = None


def _chosen(experiment: Experiment, split: Split, subject: Subject, plan: Plan, context: Context) -> _Choice:
    if experiment.mode is not Mode.RUNNING:
        return _Choice(experiment.control, Reason.DISABLED)
    if _taken_elsewhere(experiment, subject, plan, context):
        return _Choice(experiment.control, Reason.OUTSIDE)
    signed = _forced(experiment, context) or _carried(experiment, subject, context)
    if signed is not None:
        return signed
    hashed = subject.hashed
    if isinstance(hashed, NoUnit) or isinstance(subject.unit, NoUnit):
        return _Choice(experiment.control, Reason.DEFAULT)
    return _by_bucket(experiment, split, hashed, context)


def _by_bucket(experiment: Experiment, split: Split, hashed: bytes, context: Context) -> _Choice:
    """What the layer says of a unit, then its kept arm, then its bucket."""
    outside = outside_layer(experiment, hashed)
    if outside is not None:
        return _Choice(experiment.control, outside)
    bucket = bucket_of(hashed, experiment.bucketing)
    kept = context.kept(experiment, hashed) if experiment.sticky else None
    arm = experiment.arm(kept.arm) if kept else None
    if kept is not None and arm is not None:
        return _Choice(arm, Reason.CACHED, bucket, kept.phase)
    switchback = experiment.unit.switchback
    washed = switchback is not None and in_washout(switchback, context.now)
    return _Choice(arm_of(experiment, split, bucket), Reason.WASHOUT if washed else Reason.SPLIT, bucket)


def _forced(experiment: Experiment, context: Context) -> _Choice | None:
    """The arm that a tester's signed header asks for."""
    arm = experiment.arm(context.forced[experiment.id]) if experiment.id in context.forced else None
    return _Choice(arm, Reason.TARGETING_MATCH) if arm else None


def split_of(request: Request, experiment: Experiment, subject: Subject) -> Split:
    """The split of the first cohort, in document order, that holds and has weights of its own."""
    for split in experiment.splits[1:]:
        cohort = split.cohort
        if cohort is not None and in_cohort(request, cohort, subject.who):
            return split
    return experiment.splits[0]


def outside_layer(experiment: Experiment, hashed: bytes) -> Reason | None:
    """Why a unit has no part in an experiment of a layer; None where it has."""
    layer = experiment.layer
    if layer is None:
        return None
    bucket = bucket_of(hashed, layer.bucketing)
    if bucket < layer.holdout:
        return Reason.HOLDOUT
    start, end = experiment.slice
    return None if start <= bucket < end else Reason.OUTSIDE


def _taken_elsewhere(experiment: Experiment, subject: Subject, plan: Plan, context: Context) -> bool:
    """Whether another experiment of the layer has the unit, by an arm that is forced, else carried.

    Whatever the slices are: an earlier hop may have chosen by another plan, and a unit is never in two
    experiments of a layer. So also on requests that the other one does not match, since a slice is one of
    units, not of requests. Of several the first by id has it.
    """
    if experiment.layer is None or not (context.forced or context.carried):
        return False
    asked = [
        other
        for signed in sorted(context.forced.keys() | context.carried.keys())
        if (other := plan.experiment(signed)) is not None
        and other.layer == experiment.layer
        and other.mode is Mode.RUNNING
    ]
    takers = [other for other in asked if _forced(other, context)]
    takers = takers or [other for other in asked if _carried(other, subject, context)]
    return bool(takers) and takers[0].id != experiment.id


def _carried(experiment: Experiment, subject: Subject, context: Context) -> _Choice | None:
    """The arm that an earlier hop chose for this unit, or for a request that names no unit here."""
    carried = context.carried.get(experiment.id) if experiment.carry else None
    if carried is None:
        return None
    arm = experiment.arm(carried.arm)
    if arm is None or carried.kind != experiment.unit.kind:
        return None
    own = subject.unit
    if (
        not isinstance(own, NoUnit)
        and not subject.minted
        and context.pseudonym(carried.kind, own) != carried.unit
    ):
        return None
    return _Choice(arm, Reason.CARRIED, None, carried.phase, carried)


def _strata(request: Request, experiment: Experiment) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for source in experiment.strata:
        value = value_of(request, source)
        if not isinstance(value, NoUnit) and len(value) <= MAX_STRATUM_BYTES:
            found.append((source.name, value.decode("utf-8", "replace")))
    return tuple(found)


def _neighbours(request: Request, source: Source) -> tuple[bytes, ...]:
    """The members of a list with commas between them; several headers are one list (RFC 9110, section 5.3).

    What could be no unit is left out.
    """
    members = b",".join(request.headers.get(source.name, ())).split(b",")
    named = dict.fromkeys(member.strip(b" \t") for member in members)
    return tuple(islice((name for name in named if unusable(name) is None), MAX_NEIGHBOURS))
