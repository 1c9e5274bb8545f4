"""One entry of `experiments`: who takes part, how they are split, where they go."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from meshtrial.plan.arms import WeighedArm, read_arms
from meshtrial.plan.audience import Cohorts, read_audience
from meshtrial.plan.bucketing import HASHING, read_bucketing
from meshtrial.plan.claims import Claim, Taken, claim_of
from meshtrial.plan.cursor import Cursor, Fields, check_name
from meshtrial.plan.decision import read_decision
from meshtrial.plan.inference import Metric
from meshtrial.plan.layers import read_slice
from meshtrial.plan.matching import read_match
from meshtrial.plan.model import Experiment, Exposures, Layer, Mode
from meshtrial.plan.problems import Rule
from meshtrial.plan.scalars import percentage
from meshtrial.plan.sources import read_header
from meshtrial.plan.splits import phase_of, splits_of
from meshtrial.plan.traffic import REQUEST, Audience, Carrier, Cohort, Match, Source, Unit
from meshtrial.plan.units import headers_of, read_unit

REQUIRED = ("control", "arms", "decision")
OPTIONAL = (
    "unit", "layer", "slice", "match", "audience", "strata", *HASHING, "ramp", "sticky", "paused", "killed",
    "carry", "exposures", "outcomes", "neighbours",
)  # fmt: skip
LATER = ("rollout",)
NEIGHBOURS = ("header",)
MAX_STRATA = 8
_SECRET = frozenset(["authorization", "cookie", "proxy-authorization"])


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What else of the document an experiment refers to, each by id; None for one with problems."""

    metrics: Mapping[str, Metric | None]
    layers: Mapping[str, Layer | None]
    cohorts: Cohorts


@dataclass(frozen=True, slots=True)
class _Traffic:
    """Who takes part, as far as it could be read."""

    match: Match | None
    audience: Audience | None
    layer: Layer | None
    slice: tuple[int, int] | None
    unit: Unit | None
    strata: tuple[Source, ...] | None
    neighbours: Source | None


def read_experiment(key: str, cursor: Cursor, around: Surroundings) -> tuple[Experiment | None, Claim]:
    """Read one experiment; None, with the problems noted, where it is not valid, and its claim anyway."""
    fields = cursor.fields(REQUIRED, OPTIONAL, LATER)
    named = check_name(key, cursor)
    traffic = _traffic(cursor, fields, around)
    bucketing = read_bucketing(fields, default_salt=key)
    decision = fields.read("decision", lambda c: read_decision(c, around.metrics, traffic.unit))
    buckets = bucketing.buckets if bucketing else None
    carriers = _carriers(traffic.unit, traffic.neighbours)
    read = fields.read("arms", lambda c: read_arms(c, buckets, carriers, around.cohorts)) or {}
    control = fields.read("control", lambda c: _control(c, read))
    ramp = fields.read("ramp", _ramp) if "ramp" in fields else Fraction(1)
    exposures = fields.read("exposures", lambda c: c.choice(Exposures)) if "exposures" in fields else None
    mode = _mode(fields)
    sticky = _flag(fields, "sticky")
    _check_sticky(fields, traffic.unit, sticky=bool(sticky))
    carry = _flag(fields, "carry")
    _check_carry(fields, traffic.unit, carry=bool(carry))
    outcomes = fields.read("outcomes", _response_outcomes) if "outcomes" in fields else False
    arms = tuple(arm for arm in read.values() if arm is not None)
    weighed = _weighed(arms, around.cohorts)
    taken = Taken(
        match=traffic.match,
        audience=traffic.audience or (),
        unit=traffic.unit,
        layer=traffic.layer.id if traffic.layer else None,
        slice=traffic.slice,
        salt=bucketing.salt if bucketing else None,
        arms=tuple(arm.arm for arm in arms),
        control=control.arm if control else None,
        strata=traffic.strata or (),
        cohorts=weighed,
        carriers=carriers,
    )
    claim = claim_of(key, cursor, taken)
    if traffic.match is None or traffic.audience is None or traffic.unit is None or traffic.strata is None:
        return None, claim
    if traffic.slice is None or bucketing is None or decision is None or control is None:
        return None, claim
    if ramp is None or mode is None or sticky is None or carry is None or outcomes is None or not named:
        return None, claim
    if len(arms) != len(read) or ("exposures" in fields and exposures is None):
        return None, claim
    if "neighbours" in fields and traffic.neighbours is None:
        return None, claim
    experiment = Experiment(
        id=key,
        match=traffic.match,
        audience=traffic.audience,
        unit=traffic.unit,
        layer=traffic.layer,
        slice=traffic.slice,
        bucketing=bucketing,
        arms=tuple(arm.arm for arm in arms),
        control=control.arm,
        splits=splits_of(arms, control.arm, ramp, weighed),
        ramp=ramp,
        mode=mode,
        strata=traffic.strata,
        neighbours=traffic.neighbours,
        sticky=sticky,
        carry=carry,
        exposures=exposures or Exposures.FIRST,
        response_outcomes=outcomes,
        decision=decision,
        phase="",
    )
    return replace(experiment, phase=phase_of(experiment)), claim


def _traffic(cursor: Cursor, fields: Fields, around: Surroundings) -> _Traffic:
    match = fields.read("match", read_match) if "match" in fields else Match()
    audience: Audience | None = ()
    if "audience" in fields:
        audience = fields.read("audience", lambda c: read_audience(c, around.cohorts))
    strata = fields.read("strata", _strata) if "strata" in fields else ()
    layer, unit, slice_ = None, None, None
    if "layer" in fields:
        layer = fields.read("layer", lambda c: _layer(c, around.layers))
        unit = layer.unit if layer else None
        if layer is not None:
            slice_ = (layer.holdout, layer.bucketing.buckets)
            if "slice" in fields:
                slice_ = read_slice(fields["slice"], layer)
        own = fields.read("unit", read_unit)
        if own is not None and unit is not None and own != unit:
            message = "an experiment of a layer has the layer's unit: leave `unit` out"
            fields["unit"].fail(Rule.LAYER_UNIT, message)
    else:
        slice_ = (0, 0)
        if "slice" in fields:
            fields["slice"].fail(Rule.SLICE, "a slice is a share of a `layer`, which is not named")
        if "unit" in fields:
            unit = fields.read("unit", read_unit)
        else:
            cursor.fail(Rule.KEY_MISSING, "the key `unit` is required, or `layer`, whose unit it then has")
    neighbours = fields.read("neighbours", lambda c: _neighbours(c, unit))
    return _Traffic(match, audience, layer, slice_, unit, strata, neighbours)


def _layer(cursor: Cursor, layers: Mapping[str, Layer | None]) -> Layer | None:
    name = cursor.known(layers, Rule.LAYER_UNDEFINED, "layer", "$.layers")
    return layers.get(name) if name is not None else None


def _carriers(unit: Unit | None, neighbours: Source | None) -> frozenset[str]:
    sources = (unit.source, unit.member, neighbours) if unit else (neighbours,)
    return frozenset[str]().union(*map(headers_of, sources))


def _weighed(arms: Iterable[WeighedArm], cohorts: Cohorts) -> tuple[Cohort, ...]:
    """The cohorts that have weights of their own, in document order of `cohorts`."""
    named = {cohort for arm in arms for cohort in arm.widths}
    return tuple(cohort for cohort in cohorts.values() if cohort is not None and cohort.id in named)


def _control(cursor: Cursor, arms: Mapping[str, WeighedArm | None]) -> WeighedArm | None:
    name = cursor.known(arms, Rule.CONTROL_UNDEFINED, "arm", "`arms`") if arms else cursor.name()
    return arms.get(name) if name is not None else None


def _ramp(cursor: Cursor) -> Fraction | None:
    share = cursor.parsed(percentage, Rule.PERCENTAGE, "a percentage such as 10%")
    if share is not None and share > 1:
        cursor.fail(Rule.PERCENTAGE, "a ramp is at most 100%")
        return None
    return Fraction(share) if share is not None else None


def _mode(fields: Fields) -> Mode | None:
    paused, killed = _flag(fields, "paused"), _flag(fields, "killed")
    if paused is None or killed is None:
        return None
    if killed:
        return Mode.KILLED
    return Mode.PAUSED if paused else Mode.RUNNING


def _flag(fields: Fields, key: str) -> bool | None:
    return fields.read(key, Cursor.boolean) if key in fields else False


def _check_sticky(fields: Fields, unit: Unit | None, *, sticky: bool) -> None:
    if unit is None or not sticky:
        return
    if unit.switchback is not None or unit.source == REQUEST:
        message = "a unit of a request or a window of time does not come again: it has no first arm to keep"
        fields["sticky"].fail(Rule.STICKY, message)


def _check_carry(fields: Fields, unit: Unit | None, *, carry: bool) -> None:
    if carry and unit is not None and unit.kind == "request":
        message = (
            "the next proxy gives a request an id of its own: an arm bound to this one is of no use there"
        )
        fields["carry"].fail(Rule.CARRY, message)


def _response_outcomes(cursor: Cursor) -> bool | None:
    fields = cursor.fields(("response_header",))
    return fields.read("response_header", Cursor.boolean)


def _neighbours(cursor: Cursor, unit: Unit | None) -> Source | None:
    name = cursor.fields(NEIGHBOURS).read("header", read_header)
    if unit is None or name is None:
        return None
    if unit.group_kind is None:
        cursor.fail(Rule.NEIGHBOURS, "neighbours are groups: the experiment's unit must be a `group`")
        return None
    if name in _carriers(unit, None):
        cursor.fail(
            Rule.NEIGHBOURS, f"`{name}` carries the unit: its neighbours stand in a header of their own"
        )
        return None
    return Source(Carrier.HEADER, name)


def _strata(cursor: Cursor) -> tuple[Source, ...] | None:
    items = list(cursor.items())
    names = [read_header(item) for item in items]
    found = [Source(Carrier.HEADER, name) for name in names if name is not None]
    for item, name in zip(items, names, strict=True):
        if name in _SECRET:
            item.fail(Rule.STRATA, f"`{name}` holds secrets: strata are recorded in clear")
    if len(set(found)) < len(found) or len(items) > MAX_STRATA:
        cursor.fail(Rule.STRATA, f"strata are at most {MAX_STRATA} headers, each once")
        return None
    return tuple(sorted(found, key=str)) if found and len(found) == len(items) else None
