"""Request -> every step of its decision, for a person to follow.

The assignment that a walk ends with is the one that `assign` makes; the steps say how it came to it.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from meshtrial.assign.audience import holds
from meshtrial.assign.bucket import bucket_of, hash_of, hashed_key
from meshtrial.assign.context import Context
from meshtrial.assign.decide import Assignment, assign, split_of
from meshtrial.assign.matching import failing
from meshtrial.assign.mutation import Mutation, mutation_of
from meshtrial.assign.request import Request
from meshtrial.assign.subject import Subject, subject_of
from meshtrial.assign.unit import NoUnit, put_claim, value_of
from meshtrial.errors import SettingError
from meshtrial.names import Reason
from meshtrial.plan.model import DEFAULT_COHORT, Bucketing, Experiment, Hash, Mode, Plan
from meshtrial.plan.traffic import Carrier, Match
from meshtrial.plan.words import condition_words, match_words

_DIGITS = {Hash.MD5: 32, Hash.XXH64: 16, Hash.MURMUR2: 8}
_WHY = {
    Reason.SPLIT: "the bucket decides",
    Reason.CACHED: "the unit's first arm is kept",
    Reason.DEFAULT: "no usable unit, so control, and not exposed",
    Reason.DISABLED: "the experiment does not run, so control, and not exposed",
    Reason.TARGETING_MATCH: "a tester's signed header forces the arm; never analysed",
    Reason.HOLDOUT: "the unit is held out of the layer, so control, and not exposed",
    Reason.OUTSIDE: "the unit is not in this experiment's slice, so control, and not recorded",
    Reason.WASHOUT: "the bucket decides, in the part of the window that is not analysed",
    Reason.CARRIED: "an earlier hop signed the arm, and recorded it",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One question of the walk, and its answer."""

    name: str
    answer: str


@dataclass(frozen=True, slots=True)
class LaneShown:
    """Buckets that lead to one arm; several lanes may lead to control."""

    arm: str
    start: int
    end: int
    """Exclusive."""
    here: bool


@dataclass(frozen=True, slots=True)
class Walk:
    """One request through one experiment."""

    experiment: Experiment
    steps: tuple[Step, ...]
    assignment: Assignment | None
    """None where the experiment does not take part."""
    lanes: tuple[LaneShown, ...]
    """All buckets of the unit's split; empty where no bucket was asked for."""


def explain(request: Request, plan: Plan, context: Context) -> tuple[Walk, ...]:
    """The walk through each experiment of the plan, in order of their ids, also where it ends early."""
    return tuple(_walk(request, experiment, plan, context) for experiment in plan.experiments)


def explain_unit(unit: bytes, experiment: Experiment, plan: Plan, context: Context) -> Walk:
    """The walk of a unit (of a group, for a group), of which nothing else is known.

    Match and audience are taken to hold, which the walk says; cohorts that ask for more are not met.
    """
    open_to_all = replace(experiment, match=Match(), audience=())
    walk = _walk(request_of(unit, experiment, Request("/", "", {})), open_to_all, plan, context)
    matched = match_words(experiment.match)
    taken = (
        *([Step("match", f"taken to match: {matched}")] if experiment.match != Match() else walk.steps[:1]),
        *(Step("audience", f"taken to hold: {condition_words(asked)}") for asked in experiment.audience),
    )
    return replace(walk, steps=(*taken, *walk.steps[1:]))


def explain_request(
    unit: bytes, request: Request, experiment: Experiment, plan: Plan, context: Context
) -> Walk:
    """The walk of a request to which a unit (of a group, for a group) is added.

    Raises:
        SettingError: The request has another unit.
    """
    return _walk(request_of(unit, experiment, request), experiment, plan, context)


def request_of(unit: bytes, experiment: Experiment, request: Request) -> Request:
    """A request, and a unit of an experiment in it; a group has some member.

    Raises:
        SettingError: The request has another unit.
    """
    wanted = {experiment.unit.source: unit}
    if experiment.unit.member is not None:
        wanted[experiment.unit.member] = b"member"
    there = {source: value_of(request, source) for source in wanted}
    if there[experiment.unit.source] not in {NoUnit.MISSING, unit}:
        raise SettingError(
            f"the request has another {experiment.unit.source} than UNIT: leave one of the two out"
        )
    sources = {source: value for source, value in wanted.items() if there[source] is NoUnit.MISSING}
    headers: dict[str, list[bytes]] = {name: [*values] for name, values in request.headers.items()}
    metadata: dict[str, Any] = copy.deepcopy(dict(request.metadata))
    query: list[str] = []
    for source, value in sources.items():
        match source.carrier:
            case Carrier.HEADER:
                headers[source.name] = [value]
            case Carrier.COOKIE:
                headers.setdefault("cookie", []).append(source.name.encode() + b"=" + value)
            case Carrier.QUERY:
                query.append(f"{quote(source.name)}={quote(value)}")
            case Carrier.METADATA:
                put_claim(metadata, source, value)
    path, mark, rest = request.path.partition("?")
    if query:
        path = f"{path}?{'&'.join([*query, *([rest] if rest else [])])}"
    else:
        path += mark + rest
    if ":path" in headers:
        headers[":path"] = [path.encode("latin-1")]
    return Request(path, request.route, headers, metadata)


def mutation_walked(walks: tuple[Walk, ...], plan: Plan) -> Mutation:
    """What the proxy changes in the headers of a request that took these walks."""
    return mutation_of(tuple(walk.assignment for walk in walks if walk.assignment is not None), plan)


def _walk(request: Request, experiment: Experiment, plan: Plan, context: Context) -> Walk:
    failed = failing(request, experiment.match)
    if failed is not None:
        answer = f"no: {match_words(experiment.match)}, and the request's {failed} differs"
        return Walk(experiment, (Step("match", answer),), None, ())
    assignment = assign(request, experiment, plan, context)
    subject = subject_of(request, experiment, context)
    steps = tuple(_steps(request, experiment, subject, assignment))
    lanes = tuple(_lanes(experiment, assignment)) if assignment and assignment.bucket is not None else ()
    return Walk(experiment, steps, assignment, lanes)


def _steps(
    request: Request, experiment: Experiment, subject: Subject, assignment: Assignment | None
) -> Iterator[Step]:
    yield Step("match", f"yes: {match_words(experiment.match)}")
    for condition in experiment.audience:
        held = holds(request, condition, experiment.id, subject.who)
        yield Step("audience", f"{'yes' if held else 'no'}: {condition_words(condition)}")
        if not held:
            return
    if assignment is None:
        return
    if experiment.mode is not Mode.RUNNING:
        yield Step("mode", experiment.mode.value)
    yield from _unit_steps(experiment, subject)
    decided_by_unit = not isinstance(subject.hashed, NoUnit) and not isinstance(subject.unit, NoUnit)
    if decided_by_unit and assignment.reason not in {Reason.DISABLED, Reason.TARGETING_MATCH, Reason.CARRIED}:
        yield from _bucket_steps(request, experiment, subject, assignment)
    yield Step("arm", f"{assignment.arm.id}, reason `{assignment.reason.value}`: {_WHY[assignment.reason]}")


def _unit_steps(experiment: Experiment, subject: Subject) -> Iterator[Step]:
    unit = experiment.unit
    if unit.member is not None:
        yield Step("group", f"{unit.group_kind}: {_shown(subject.hashed)}")
    note = " (minted: the request has no such cookie)" if subject.minted else ""
    yield Step("unit", f"{unit.kind}: {_shown(subject.unit)}{note}")
    if subject.window is not None and unit.switchback is not None:
        yield Step("window", f"number {subject.window:,} of {unit.switchback.window:,} seconds each")


def _bucket_steps(
    request: Request, experiment: Experiment, subject: Subject, assignment: Assignment
) -> Iterator[Step]:
    hashed = subject.hashed
    if isinstance(hashed, NoUnit):
        return
    layer = experiment.layer
    if layer is not None:
        bucket = bucket_of(hashed, layer.bucketing)
        start, end = experiment.slice
        yield Step(
            "layer",
            f"{layer.id}: {_bucketed(hashed, layer.bucketing)}; 0 to {layer.holdout - 1:,} are held out"
            if bucket < layer.holdout
            else f"{layer.id}: {_bucketed(hashed, layer.bucketing)}; the slice is {start:,} to {end - 1:,}",
        )
    if assignment.bucket is None:
        return
    if len(experiment.splits) > 1:
        cohort = split_of(request, experiment, subject).id
        yield Step("cohort", "none that has weights of its own" if cohort == DEFAULT_COHORT else cohort)
    yield Step("bucket", _bucketed(hashed, experiment.bucketing))
    if experiment.ramp != 1:
        yield Step("ramp", f"{float(experiment.ramp) * 100:g}% of each lane is live")


def _bucketed(hashed: bytes, bucketing: Bucketing) -> str:
    key = hashed_key(hashed, bucketing.salt)
    digest = f"{hash_of(key, bucketing.hash):0{_DIGITS[bucketing.hash]}x}"
    bucket = bucket_of(hashed, bucketing)
    return (
        f"{bucketing.hash.value}({key.decode()!r}) = {digest} -> bucket {bucket:,} of {bucketing.buckets:,}"
    )


def _lanes(experiment: Experiment, assignment: Assignment) -> Iterator[LaneShown]:
    bucket = assignment.bucket or 0
    edges: list[tuple[str, int, int]] = []
    for lane in experiment.split(assignment.cohort or DEFAULT_COHORT).lanes:
        edges += [(lane.arm.id, lane.start, lane.live), (experiment.control.id, lane.live, lane.end)]
    last = edges[-1][2] if edges else 0
    edges.append((experiment.control.id, last, experiment.bucketing.buckets))
    for arm, start, end in edges:
        if start < end:
            yield LaneShown(arm, start, end, start <= bucket < end)


def _shown(value: bytes | NoUnit) -> str:
    return f"none ({value.value.replace('_', ' ')})" if isinstance(value, NoUnit) else value.decode()


def walks_document(walks: tuple[Walk, ...], plan: Plan) -> dict[str, Any]:
    """Walks as JSON: `meshtrial explain --json` and `GET /v1/explain`."""
    mutation = mutation_walked(walks, plan)
    return {
        "plan": plan.digest,
        "walks": [_document(walk) for walk in walks],
        "headers": {"set": dict(mutation.set), "remove": list(mutation.remove)},
    }


def _document(walk: Walk) -> dict[str, Any]:
    assignment, experiment = walk.assignment, walk.experiment
    document: dict[str, Any] = {
        "experiment": experiment.id,
        "takes_part": assignment is not None and assignment.takes_part,
        "steps": [{"step": step.name, "answer": step.answer} for step in walk.steps],
        "lanes": [
            {"arm": lane.arm, "start": lane.start, "end": lane.end, "here": lane.here} for lane in walk.lanes
        ],
    }
    if assignment is None:
        return document
    hashed, unit = assignment.subject.hashed, assignment.subject.unit
    return document | {
        "arm": assignment.arm.id,
        "control": assignment.arm is experiment.control,
        "cluster": assignment.arm.cluster,
        "reason": assignment.reason.value,
        "exposed": assignment.exposed,
        "phase": assignment.phase,
        "unit_kind": experiment.unit.kind,
        "unit": None if isinstance(unit, NoUnit) else unit.decode(),
        "no_unit": unit.value if isinstance(unit, NoUnit) else None,
        "key": None if isinstance(hashed, NoUnit) else hashed_key(hashed, experiment.bucketing.salt).decode(),
        "hash": experiment.bucketing.hash.value,
        "buckets": experiment.bucketing.buckets,
        "bucket": assignment.bucket,
        "cohort": assignment.cohort or None,
        "layer": experiment.layer.id if experiment.layer else None,
    }
