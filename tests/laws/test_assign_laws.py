"""What holds of every assignment."""

import math
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from meshtrial.assign.baggage import Carried
from meshtrial.assign.bucket import arm_of, bucket_of, hash_of, hashed_key
from meshtrial.assign.decide import Assignment, Decision, decide
from meshtrial.assign.mutation import arms_text, mutation_of
from meshtrial.assign.request import Request
from meshtrial.assign.unit import NoUnit
from meshtrial.names import Reason
from meshtrial.plan.bucketing import MAX_BUCKETS, MAX_MURMUR_BUCKETS
from meshtrial.plan.model import Bucketing, Experiment, Hash, Mode
from proof import often
from small_plans import Document, contexts, documents, loaded, pseudonym, requests

SLOW = settings(
    max_examples=often(50, 2000),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    deadline=None,
)
BY_UNIT = {Reason.SPLIT, Reason.WASHOUT, Reason.CACHED}
TO_CONTROL = {Reason.DISABLED, Reason.DEFAULT, Reason.HOLDOUT, Reason.OUTSIDE}


@SLOW
@given(documents(), st.data())
def test_every_request_has_a_decision_and_the_same_one_each_time(document: Document, data: Any) -> None:
    plan = loaded(document)
    request, context = data.draw(requests()), data.draw(contexts(plan))
    decision = decide(request, plan, context)

    assert decision == decide(replace(request), loaded(document), context)
    assert [a.experiment.id for a in decision] == sorted({a.experiment.id for a in decision})
    for assignment in decision:
        assert assignment.arm in assignment.experiment.arms
        assert (assignment.bucket is not None) == (assignment.reason in BY_UNIT)
        if assignment.reason in TO_CONTROL:
            assert assignment.arm is assignment.experiment.control
        if assignment.reason in BY_UNIT:
            assert isinstance(assignment.subject.hashed, bytes)
            assert assignment.bucket in range(assignment.experiment.bucketing.buckets)
        assert assignment.exposed == (assignment.reason in {Reason.SPLIT, Reason.CACHED})
        assert assignment.exposed <= assignment.takes_part


@SLOW
@given(documents(), st.data())
def test_at_most_one_experiment_chooses_a_requests_cluster_and_it_is_that_ones(
    document: Document, data: Any
) -> None:
    plan = loaded(document)
    request, context = data.draw(requests()), data.draw(contexts(plan))
    decision = decide(request, plan, context)
    leading = [a for a in decision if a.arm.cluster is not None]
    choosing = [a for a in leading if a.reason not in TO_CONTROL]
    controls = {a.arm.cluster for a in leading if a.reason in TO_CONTROL}

    assert len(choosing) <= 1
    assert len(controls) <= 1
    expected = choosing[0].arm.cluster if choosing else next(iter(controls), None)
    assert dict(mutation_of(decision, plan).set).get("x-meshtrial-cluster") == expected


@SLOW
@given(documents(), st.data())
def test_no_header_that_arms_set_keeps_the_clients_own_value(document: Document, data: Any) -> None:
    plan = loaded(document)
    decision = decide(data.draw(requests()), plan, data.draw(contexts(plan)))
    mutation = mutation_of(decision, plan)
    if not decision:
        assert (mutation.set, mutation.remove) == ((), ())
        return
    client = dict.fromkeys(("meshtrial-force", *plan.owned_headers), "the client's")
    kept = {name: value for name, value in client.items() if name not in mutation.remove}

    assert not {name for name, _ in mutation.set} & set(mutation.remove)
    assert "the client's" not in {**kept, **dict(mutation.set)}.values()
    for assignment in decision:
        if assignment.reason not in TO_CONTROL:
            assert dict(assignment.arm.headers).items() <= dict(mutation.set).items()


# RFC 8941, 3.1.2 (key), 3.2 (dictionary) and 3.3.4 (token), without parameters.
MEMBER = r"[a-z*][a-z0-9_.*-]*=[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*"


@SLOW
@given(documents(), st.data())
def test_the_arms_header_is_an_rfc_8941_dictionary_of_what_is_recorded(document: Document, data: Any) -> None:
    plan = loaded(document)
    decision = decide(data.draw(requests()), plan, data.draw(contexts(plan)))
    text = arms_text(decision)

    assert text == "" or re.fullmatch(rf"{MEMBER}(, {MEMBER})*", text)
    assert text.count("=") == sum(a.reason is not Reason.OUTSIDE for a in decision)


# Lanes, ramps, slices ---------------------------------------------------------------------------------


@SLOW
@given(documents())
def test_lanes_part_the_buckets_exactly_and_shares_are_counts_of_buckets(document: Document) -> None:
    for found in loaded(document).experiments:
        buckets = found.bucketing.buckets
        for split in found.splits:
            edges = [0, *(lane.end for lane in split.lanes)]
            assert [lane.start for lane in split.lanes] == edges[:-1]
            assert all(lane.start <= lane.live <= lane.end <= buckets for lane in split.lanes)
            counts = Counter(arm_of(found, split, bucket).id for bucket in range(buckets))
            for arm in found.arms:
                assert counts[arm.id] == found.share(arm, split.id) * buckets


@SLOW
@given(documents(), st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)).map(sorted))
def test_a_growing_ramp_only_moves_units_from_control_to_an_arm(document: Document, ramps: list[int]) -> None:
    small, large = (loaded(ramped(document, hundredths)) for hundredths in ramps)

    for before, after in zip(small.experiments, large.experiments, strict=True):
        for one, other in zip(before.splits, after.splits, strict=True):
            for bucket in range(before.bucketing.buckets):
                was, now = arm_of(before, one, bucket), arm_of(after, other, bucket)
                assert now.id == was.id or was is before.control


def ramped(document: Document, hundredths: int) -> Document:
    share = f"{hundredths // 100}.{hundredths % 100:02}%"
    found = {name: {**body, "ramp": share} for name, body in document["experiments"].items()}
    return {**document, "experiments": found}


@SLOW
@given(documents())
def test_no_bucket_of_a_layer_has_two_owners(document: Document) -> None:
    plan = loaded(document)
    for layer in plan.layers:
        mine = [found for found in plan.experiments if found.layer == layer]
        owners: list[list[str]] = [[] for _ in range(layer.bucketing.buckets)]
        for found in mine:
            start, end = found.slice
            for bucket in range(max(start, layer.holdout), end):
                owners[bucket].append(found.id)

        assert all(owned == [] for owned in owners[: layer.holdout])
        assert all(len(owned) <= 1 for owned in owners)


@given(st.text(min_size=1, max_size=20).filter(str.isprintable), st.sampled_from(["md5", "xxh64", "murmur2"]))
def test_a_unit_is_held_out_or_in_exactly_one_slice_of_a_layer(unit: str, hash_: str) -> None:
    layer = {"unit": {"header": "x-user-id"}, "holdout": "7%", "buckets": 100, "hash": hash_}
    slices = [("0%", "31%"), ("31%", "32%"), ("32%", "100%")]
    found = {f"e{n}": layered([start, end]) for n, (start, end) in enumerate(slices)}
    decision = decide(of_user(unit), loaded(with_layer(layer, found)))
    reasons = Counter(assignment.reason for assignment in decision)

    assert reasons in ({Reason.HOLDOUT: 3}, {Reason.SPLIT: 1, Reason.OUTSIDE: 2})
    for assignment in decision:
        bucket = bucket_of(unit.encode(), Bucketing(Hash(hash_), "shared", 100))
        start, end = assignment.experiment.slice
        assert (assignment.reason is Reason.HOLDOUT) == (bucket < 7)
        assert (assignment.reason is Reason.SPLIT) == (max(start, 7) <= bucket < end)


def layered(slice_: list[str], **keys: Any) -> Document:
    from plan_values import experiment

    found = {**experiment(), "layer": "shared", "slice": slice_, **keys}
    del found["unit"]
    return found


def with_layer(layer: Document, experiments: Document) -> Document:
    conversion = {"kind": "proportion", "outcome": "purchase", "window": "7d"}
    return {
        "apiVersion": "meshtrial/v1",
        "metrics": {"conversion": conversion},
        "layers": {"shared": layer},
        "experiments": experiments,
    }


def of_user(unit: str) -> Request:
    return Request("/", "", {"x-user-id": [unit.encode()]})


# What others do ---------------------------------------------------------------------------------------


def told(decision: Decision) -> dict[str, tuple[object, ...]]:
    return {a.experiment.id: (a.arm, a.reason, a.bucket, a.phase, a.cohort, a.subject) for a in decision}


@SLOW
@given(documents(), st.randoms(use_true_random=False), st.data())
def test_experiments_that_come_go_move_or_are_renamed_do_not_touch_the_others(
    document: Document, chance: random.Random, data: Any
) -> None:
    plan = loaded(document)
    kept = data.draw(st.sampled_from([found.id for found in plan.experiments]))
    others = [(name, body) for name, body in document["experiments"].items() if name != kept]
    renamed = [(f"{name}-new", body) for name, body in others if chance.random() < 0.7]
    around = [*renamed, (kept, document["experiments"][kept])]
    chance.shuffle(around)
    changed = loaded({**document, "experiments": dict(around)})
    request, context = data.draw(requests()), data.draw(contexts(plan))
    alone = replace(context, forced={}, carried={})

    assert told(decide(request, plan, alone)).get(kept) == told(decide(request, changed, alone)).get(kept)


@SLOW
@given(documents(), st.randoms(use_true_random=False), st.data())
def test_the_order_of_keys_says_nothing_but_of_arms_and_cohorts(
    document: Document, chance: random.Random, data: Any
) -> None:
    plan, shuffled = loaded(document), loaded(reordered(document, chance))
    request, context = data.draw(requests()), data.draw(contexts(plan))

    assert plan.canonical == shuffled.canonical
    assert decide(request, plan, context) == decide(request, shuffled, context)


def reordered(value: Any, chance: random.Random, key: str = "") -> Any:
    if isinstance(value, list):
        return [reordered(inner, chance) for inner in value]
    if not isinstance(value, dict):
        return value
    entries = [(name, reordered(inner, chance, name)) for name, inner in value.items()]
    if key not in {"arms", "cohorts"}:
        chance.shuffle(entries)
    return dict(entries)


# Copies -----------------------------------------------------------------------------------------------

CARRIERS: dict[str, Callable[[list[bytes]], Request]] = {
    "header": lambda values: Request("/", "", {"x-user": values}),
    "cookie": lambda values: Request("/", "", {"cookie": [b"sid=" + value for value in values]}),
    "query": lambda values: Request("/?" + "&".join(f"u={v.decode()}" for v in values), "", {}),
}
UNITS = {"header": {"header": "x-user"}, "cookie": {"cookie": "sid"}, "query": {"query": "u"}}


@pytest.mark.parametrize("carrier", CARRIERS)
@given(words=st.lists(st.sampled_from([b"u1", b"u2"]), min_size=2, max_size=4))
def test_equal_copies_are_one_value_and_different_ones_are_nobody(carrier: str, words: list[bytes]) -> None:
    from plan_values import experiment, plan_of

    plan = plan_of({"rank": experiment(unit=UNITS[carrier])})
    (several,) = decide(CARRIERS[carrier](words), plan)
    (single,) = decide(CARRIERS[carrier](words[:1]), plan)

    if len(set(words)) == 1:
        assert several == single
        assert several.reason is Reason.SPLIT
    else:
        assert (several.reason, several.subject.unit) == (Reason.DEFAULT, NoUnit.AMBIGUOUS)
        assert several.arm is several.experiment.control


# Forced and carried -----------------------------------------------------------------------------------


def one_of(decision: Decision, name: str) -> Assignment | None:
    return next((a for a in decision if a.experiment.id == name), None)


@SLOW
@given(documents(), st.data())
def test_a_forced_arm_beats_everything_but_a_mode_and_takes_its_unit_out_of_the_layers_others(
    document: Document, data: Any
) -> None:
    plan = loaded(document)
    request, context = data.draw(requests()), data.draw(contexts(plan))
    found: Experiment = data.draw(st.sampled_from(plan.experiments))
    arm = data.draw(st.sampled_from(found.arms))
    context = replace(context, forced={found.id: arm.id})
    decision, without = (decide(request, plan, c) for c in (context, replace(context, forced={})))
    forced, free = one_of(decision, found.id), one_of(without, found.id)

    assert (forced is None) == (free is None), "a forced arm changes nothing in who takes part"
    if forced is not None and found.mode is Mode.RUNNING:
        assert (forced.arm, forced.reason, forced.exposed) == (arm, Reason.TARGETING_MATCH, False)
    if forced is not None and found.mode is not Mode.RUNNING:
        assert forced == free
    for other in decision:
        if other.experiment is found:
            continue
        together = found.layer is not None and other.experiment.layer == found.layer
        if together and found.mode is Mode.RUNNING and other.experiment.mode is Mode.RUNNING:
            assert other.reason is Reason.OUTSIDE
        elif other.experiment.layer is None or found.mode is not Mode.RUNNING:
            assert other == one_of(without, other.experiment.id)


@SLOW
@given(documents(), st.data())
def test_a_carried_arm_is_kept_by_its_own_unit_only(document: Document, data: Any) -> None:
    name = data.draw(st.sampled_from(sorted(document["experiments"])))
    left_out = {"match", "audience", "paused", "killed"}
    body = {key: value for key, value in document["experiments"][name].items() if key not in left_out}
    unit_of = body.get("unit") or document["layers"]["shared"]["unit"]
    assume({"request": True} not in (unit_of, unit_of.get("members")))  # such an arm may not be carried
    plan = loaded({**document, "experiments": {name: {**body, "carry": True}}})
    (found,) = plan.experiments
    request = data.draw(requests())
    context = replace(data.draw(contexts(plan)), forced={}, carried={})
    (free,) = decide(request, plan, context)
    arm = data.draw(st.sampled_from(found.arms))
    unit = free.subject.unit
    own = not isinstance(unit, NoUnit) and not free.subject.minted
    mine = pseudonym(found.unit.kind, unit if isinstance(unit, bytes) else b"")
    for bound, kind in ((mine, found.unit.kind), ("another", found.unit.kind), (mine, "another kind")):
        carried = Carried(arm.id, bound, kind, "f" * 16, 1)
        (now,) = decide(request, plan, replace(context, carried={found.id: carried}))
        if kind == found.unit.kind and (bound == mine or not own):
            assert now == replace(
                free, arm=arm, reason=Reason.CARRIED, bucket=None, phase="f" * 16, carried=carried
            )
            assert not now.exposed
        else:
            assert now == free


# Arithmetic -------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1), st.integers(2, MAX_MURMUR_BUCKETS))
def test_doubles_find_the_bucket_of_murmur2_exactly(hash_: int, buckets: int) -> None:
    product = (float(hash_) + 1.0) * float(buckets)
    in_doubles = min(math.floor((product - 1.0) / 4294967295.0), buckets - 1)

    assert product < 2**53
    assert in_doubles == min(((hash_ + 1) * buckets - 1) // 0xFFFFFFFF, buckets - 1)


@given(
    st.binary(min_size=1, max_size=64),
    st.text(max_size=9),
    st.integers(2, MAX_BUCKETS),
    st.sampled_from([Hash.MD5, Hash.XXH64]),
)
def test_doubles_find_the_remainder_of_the_other_hashes_exactly(
    unit: bytes, salt: str, buckets: int, hash_: Hash
) -> None:
    digits = f"{hash_of(hashed_key(unit, salt), hash_):032x}"
    remainder = 0.0
    for start in range(0, len(digits), 4):
        step = remainder * 65536.0 + float(int(digits[start : start + 4], 16))
        assert step < 2**53
        remainder = math.fmod(step, float(buckets))

    assert remainder == bucket_of(unit, Bucketing(hash_, salt, buckets))
