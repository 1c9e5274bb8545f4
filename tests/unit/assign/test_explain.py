"""The walk that people read says what the decision did, and ends where it ends."""

import hashlib
import random

import pytest

from meshtrial.assign.context import Context
from meshtrial.assign.decide import decide
from meshtrial.assign.explain import explain, explain_unit, mutation_walked, walks_document
from meshtrial.assign.mutation import mutation_of
from meshtrial.assign.request import Request
from meshtrial.plan.load import load
from meshtrial.plan.model import Plan

TEXT = """
apiVersion: meshtrial/v1
metrics: {conversion: {kind: proportion, outcome: purchase, window: 7d}}
cohorts: {pro: [{header: x-plan, in: [pro]}]}
layers: {ranking: {unit: {header: x-user-id}, holdout: 10%}}
experiments:
  rank:
    layer: ranking
    slice: [0%, 60%]
    match: {path_prefix: /rank, method: GET}
    audience: [{header: x-country, in: [IN, US]}, {any: [{percentage: 80%}, {cohort: pro}]}]
    ramp: 50%
    control: v1
    arms:
      v2: {weight: {default: 50, pro: 20}, cluster: m2}
      v1: {weight: {default: 50, pro: 80}, cluster: m1}
    decision: &rule
      {method: fixed, alpha: 0.05, power: 0.8, planned_units: 100, minimum_duration: 1d,
       primary: [{metric: conversion, direction: up, minimum_effect: 2pp}]}
  prices:
    unit: {switchback: {key: {header: x-city}, window: 30m, washout: 5m}}
    hash: xxh64
    control: low
    arms: {high: {weight: 50}, low: {weight: 50}}
    decision: *rule
  stores:
    unit: {group: {header: x-store}, members: {query: u}}
    killed: true
    control: a
    arms: {b: {weight: 50}, a: {weight: 50}}
    decision: *rule
  visitors:
    unit: {cookie: mt, mint: {max_age: 30d}}
    hash: murmur2
    control: a
    arms: {b: {weight: 50}, a: {weight: 50}}
    decision: *rule
"""
CONTEXT = Context(now=1_790_000_000 * 10**9, chance=b"\x05" * 16)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return load(TEXT, "plan.yaml")


def steps(plan: Plan, experiment: str, path: str = "/rank?u=m1", **headers: str) -> list[tuple[str, str]]:
    """What the walk through one experiment says."""
    given = {":method": "GET", **{name.replace("_", "-"): value for name, value in headers.items()}}
    request = Request(path, "", {name: [value.encode()] for name, value in given.items()})
    [walk] = [walk for walk in explain(request, plan, CONTEXT) if walk.experiment.id == experiment]
    return [(step.name, step.answer) for step in walk.steps]


def test_a_walk_ends_with_the_decisions_own_assignment(plan: Plan) -> None:
    chance = random.Random(7)
    reasons = set()
    for number in range(400):
        headers = {"x-user-id": f"u{number}", "x-country": chance.choice(["IN", "US", "FR"]), "x-city": "B"}
        headers |= {"x-plan": chance.choice(["pro", "free"]), ":method": chance.choice(["GET", "POST"])}
        headers |= {"x-store": f"s{number % 7}"} if number % 3 else {}
        encoded = {name: [value.encode()] for name, value in headers.items()}
        request = Request(chance.choice(["/rank?u=m", "/other?u=m&u=n"]), "", encoded)
        walks = explain(request, plan, CONTEXT)
        decision = decide(request, plan, CONTEXT)
        assert tuple(w.assignment for w in walks if w.assignment is not None) == decision
        assert mutation_walked(walks, plan) == mutation_of(decision, plan)
        reasons |= {a.reason.value for a in decision}
    assert reasons == {"split", "disabled", "holdout", "outside"}


def test_the_key_its_hash_and_bucket_are_what_anyone_can_recompute(plan: Plan) -> None:
    told = dict(steps(plan, "rank", x_user_id="u5", x_country="IN", x_plan="pro"))
    layer, arm = (hashlib.md5(f"{salt}:u5".encode()).hexdigest() for salt in ("ranking", "rank"))
    bucket = int(layer, 16) % 10_000
    assert told["layer"].startswith(f"ranking: md5('ranking:u5') = {layer} -> bucket {bucket:,} of 10,000")
    assert 1_000 <= bucket < 6_000
    assert told["bucket"] == f"md5('rank:u5') = {arm} -> bucket {int(arm, 16) % 10_000:,} of 10,000"
    assert (told["cohort"], told["ramp"]) == ("pro", "50% of each lane is live")


def test_the_lanes_show_who_owns_every_bucket_and_where_the_unit_is(plan: Plan) -> None:
    [experiment] = [e for e in plan.experiments if e.id == "rank"]
    inside = [f"u{n}" for n in range(50) if 1_000 <= md5("ranking", f"u{n}") < 6_000]
    for unit in inside:
        lanes = explain_unit(unit.encode(), experiment, plan, CONTEXT).lanes
        assert [(lane.arm, lane.start, lane.end) for lane in lanes] == [
            ("v2", 0, 2_500),
            ("v1", 2_500, 5_000),
            ("v1", 5_000, 10_000),
        ]
        assert [lane.start <= md5("rank", unit) < lane.end for lane in lanes] == [lane.here for lane in lanes]


def md5(salt: str, unit: str) -> int:
    return int(hashlib.md5(f"{salt}:{unit}".encode()).hexdigest(), 16) % 10_000


@pytest.mark.parametrize(
    ("experiment", "path", "headers", "last"),
    [
        ("rank", "/other", {}, ("match", "path differs")),
        ("rank", "/rank", {"x_country": "FR"}, ("audience", "no: header x-country is one of IN, US")),
        ("rank", "/rank", {"x_country": "IN", "x_plan": "pro"}, ("arm", "v1, reason `default`")),
        ("stores", "/?u=m1", {"x_store": "s1"}, ("arm", "a, reason `disabled`")),
        ("prices", "/", {"x_city": "B"}, ("arm", "reason `")),
    ],
)
def test_a_walk_ends_at_the_step_that_decides(
    plan: Plan, experiment: str, path: str, headers: dict[str, str], last: tuple[str, str]
) -> None:
    name, answer = steps(plan, experiment, path, **headers)[-1]
    assert (name, last[1] in answer) == (last[0], True), answer


def test_a_group_and_its_member_a_window_and_a_minted_cookie_are_named(plan: Plan) -> None:
    assert (
        dict(steps(plan, "stores", x_store="s1")).items()
        >= {
            "group": "header:x-store: s1",
            "unit": "query:u: m1",
        }.items()
    )
    window = 1_790_000_000 // 1_800
    assert dict(steps(plan, "prices", x_city="B"))["window"] == f"number {window:,} of 1,800 seconds each"
    assert "minted" in dict(steps(plan, "visitors"))["unit"]


def test_a_unit_alone_is_walked_as_if_its_request_matched(plan: Plan) -> None:
    for experiment in plan.experiments:
        walk = explain_unit(b"someone", experiment, plan, CONTEXT)
        assert walk.assignment is not None
        assert walk.steps[-1].name == "arm"
    document = walks_document((walk,), plan)
    assert (document["plan"], document["walks"][0]["unit"]) == (plan.digest, "someone")
