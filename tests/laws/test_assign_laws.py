"""What holds of every assignment, and what chance may not show in many."""

import hashlib
import math
import random
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare

from meshtrial.assign.bucket import arm_of, bucket_of, lanes
from meshtrial.assign.decide import Decision, decide
from meshtrial.assign.mutation import arms_text, mutation_of
from meshtrial.assign.request import Request
from meshtrial.assign.unit import NoUnit
from meshtrial.names import Reason
from meshtrial.plan.model import Plan
from plan_documents import Document, loaded, plan_documents, plans
from plan_values import experiment, plan_of

SLOW = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)


@st.composite
def requests(draw: st.DrawFn, plan: Plan) -> Request:
    """Any request at all, half of the time with something of what the plan asks for."""
    paths, routes = [""], [""]
    names = ["x-request-id", "x-user-id", "x-meshtrial-arms", "x-meshtrial-cluster", *plan.owned_headers()]
    for found in plan.experiments:
        paths.append(found.match.path_prefix or "/")
        routes.append(found.match.route or "")
        names.append(found.unit.header)
    path = draw(st.sampled_from(paths)) + draw(st.text(max_size=20))
    route = draw(st.sampled_from(routes) | st.text(max_size=10))
    value = st.binary(max_size=30) | st.binary(min_size=1020, max_size=1030)
    values = st.lists(value | st.sampled_from([b"u1", b"u2"]), max_size=3).map(tuple)
    headers = draw(st.dictionaries(st.sampled_from(names) | st.text(max_size=5), values, max_size=8))
    return Request(path, route, headers)


@SLOW
@given(plans(), st.data())
def test_every_request_has_a_decision_and_the_same_one_each_time(plan: Plan, data: st.DataObject) -> None:
    request = data.draw(requests(plan))
    decision = decide(request, plan)

    assert decision == decide(request, plan)
    assert len(decision) <= 1, "paths of the strategy's experiments are apart"
    for assignment in decision:
        assert assignment.arm in assignment.experiment.arms
        if isinstance(assignment.unit, NoUnit):
            assert assignment.arm is assignment.experiment.control
            assert (assignment.reason, assignment.bucket, assignment.exposed) == (Reason.DEFAULT, None, False)
        else:
            assert (assignment.reason, assignment.exposed) == (Reason.SPLIT, True)
            assert assignment.bucket in range(assignment.experiment.buckets)


@SLOW
@given(plans(), st.text(min_size=1, max_size=200).filter(lambda t: t.isprintable()))
def test_the_arm_is_what_a_few_lines_of_hashlib_say(plan: Plan, unit: str) -> None:
    for found in plan.experiments:
        key = f"{found.salt}:{unit}" if found.salt else unit
        bucket = int(hashlib.md5(key.encode()).hexdigest(), 16) % found.buckets
        owners = [arm.id for arm in found.arms if arm.id != found.control.id for _ in range(arm.width)]
        owner = owners[bucket] if bucket < len(owners) else found.control.id

        assert bucket_of(unit.encode(), found.salt, found.buckets) == bucket
        assert arm_of(found, bucket).id == owner


@SLOW
@given(plans())
def test_lanes_part_the_buckets_exactly_by_the_arms_widths(plan: Plan) -> None:
    for found in plan.experiments:
        owned = list(lanes(found))

        assert [lane.start for lane in owned] == [0, *(lane.end for lane in owned[:-1])]
        assert owned[-1].end == found.buckets
        assert {lane.arm.id: lane.end - lane.start for lane in owned} == {a.id: a.width for a in found.arms}
        assert sum((found.share(arm) for arm in found.arms), Fraction()) == 1
        for lane in owned:
            edges = {lane.start, lane.end - 1} if lane.end > lane.start else set()
            assert all(arm_of(found, bucket) is lane.arm for bucket in edges)


def arms_by_experiment(decision: Decision) -> dict[str, tuple[str, int | None, str]]:
    return {a.experiment.id: (a.arm.id, a.bucket, a.experiment.phase) for a in decision}


@SLOW
@given(plan_documents(), st.randoms(use_true_random=False), st.data())
def test_experiments_that_come_go_move_or_are_renamed_do_not_touch_the_others(
    document: Document, chance: random.Random, data: st.DataObject
) -> None:
    (kept, body), *others = document["experiments"].items()
    renamed = [(f"{name}-renamed", other) for name, other in others[:1]]
    added = [("one-that-is-added", {**body, "match": {"path_prefix": "/added/"}, "salt": "of the added one"})]
    around = [*renamed, *others[2:], *added] if "match" in body else []
    chance.shuffle(around)
    before, after = loaded(document), loaded({**document, "experiments": dict([*around, (kept, body)])})
    request = data.draw(requests(before))

    old, new = arms_by_experiment(decide(request, before)), arms_by_experiment(decide(request, after))
    assert old.get(kept) == new.get(kept)


@SLOW
@given(plans(), st.data())
def test_no_header_that_arms_set_keeps_the_clients_own_value(plan: Plan, data: st.DataObject) -> None:
    request = data.draw(requests(plan))
    decision = decide(request, plan)
    mutation = mutation_of(decision, plan)
    if not decision:
        assert (mutation.set, mutation.remove) == ((), ())
        return
    client = dict.fromkeys(("x-meshtrial-arms", "x-meshtrial-cluster", *plan.owned_headers()), "the client's")
    kept = {name: value for name, value in client.items() if name not in mutation.remove}
    to_model = {**kept, **dict(mutation.set)}

    assert "the client's" not in to_model.values()
    (assignment,) = decision
    assert to_model == {
        "x-meshtrial-cluster": assignment.arm.cluster,
        "x-meshtrial-arms": arms_text(decision),
        **dict(assignment.arm.headers),
    }


# RFC 8941, 3.1.2 (key), 3.2 (dictionary) and 3.3.4 (token), without parameters.
MEMBER = r"[a-z*][a-z0-9_.*-]*=[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*"


@SLOW
@given(plans(max_experiments=4))
def test_the_arms_header_is_an_rfc_8941_dictionary_of_tokens(plan: Plan) -> None:
    everywhere = tuple(
        assignment
        for found in plan.experiments
        for assignment in decide(Request(found.match.path_prefix or "/", found.match.route or "", {}), plan)
    )

    assert re.fullmatch(rf"{MEMBER}(, {MEMBER})*", arms_text(everywhere))
    assert arms_text(everywhere).count("=") == len(plan.experiments)


UNITS = 40_000
Units = Callable[[], Iterator[str]]


def sequential() -> Iterator[str]:
    yield from (str(number) for number in range(UNITS))


def like_uuids() -> Iterator[str]:
    chance = random.Random(1)
    yield from (str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(UNITS))


def like_addresses() -> Iterator[str]:
    chance = random.Random(2)
    for number in range(UNITS):
        yield f"{chance.choice(['ann', 'bob', 'eve'])}.{number % 997}@{number // 997}.example.com"


FAMILIES = pytest.mark.parametrize("units", [sequential, like_uuids, like_addresses])


@FAMILIES
@pytest.mark.parametrize("salt", ["rank-v2", "rank-v3", ""])
def test_arms_get_their_shares_of_every_family_of_ids_within_chance(units: Units, salt: str) -> None:
    weights = {"a": 60, "b": 30, "c": 9.5, "d": 0.5}
    arms = {name: {"weight": weight, "cluster": name} for name, weight in weights.items()}
    (found,) = plan_of({"rank": experiment(arms, salt=salt)}).experiments
    counts = Counter(arm_of(found, bucket_of(unit.encode(), salt, 10_000)).id for unit in units())

    for arm in found.arms:
        share = float(found.share(arm))
        spread = math.sqrt(UNITS * share * (1 - share))
        assert abs(counts[arm.id] - UNITS * share) <= 3.29 * spread, arm.id


@FAMILIES
@pytest.mark.parametrize("buckets", [2, 100, 128])
def test_buckets_are_equally_full_within_chance(units: Units, buckets: int) -> None:
    counts = Counter(bucket_of(unit.encode(), "rank", buckets) for unit in units())

    assert chisquare([counts[bucket] for bucket in range(buckets)]).pvalue > 0.001


def independence(one: list[bool], other: list[bool]) -> float:
    """The p-value of Pearson's chi-squared for two sides being independent."""
    counts = Counter(zip(one, other, strict=True))
    table = [[counts[a, b] for b in (True, False)] for a in (True, False)]
    return float(chi2_contingency(table, correction=False).pvalue)


def test_twenty_experiments_split_the_same_users_independently() -> None:
    users = [f"user_{number}".encode() for number in range(10_000)]
    sides = [[bucket_of(user, f"exp-{number}", 100) < 50 for user in users] for number in range(20)]
    pairs = [independence(one, other) for one, other in combinations(sides, 2)]

    assert len(pairs) == 190
    assert min(pairs) > 0.001 / 190
    assert sum(p < 0.05 for p in pairs) <= 190 * 0.05 + 3.29 * math.sqrt(190 * 0.05 * 0.95)
