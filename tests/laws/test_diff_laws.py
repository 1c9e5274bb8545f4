"""The shares of a diff are what a count of decisions finds, over one unit for each combination of buckets."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from itertools import count, product
from math import lcm
from typing import Any

import xxhash
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshtrial.assign.decide import decide
from meshtrial.assign.murmur2 import murmur2
from meshtrial.assign.request import Request
from meshtrial.names import Reason
from meshtrial.plan.diff import Change, diff
from meshtrial.plan.load import load
from meshtrial.plan.model import Plan
from plan_values import experiment

Hashed = tuple[str, str, str]
"""Header, hash and salt."""

_HASHES = ("md5", "xxh64", "murmur2")


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A plan of one experiment, `rank`, with few buckets, maybe in a layer."""
    unit = {"header": draw(st.sampled_from(["x-user-id", "x-user-id", "x-account"]))}
    buckets = draw(st.sampled_from([2, 4, 5, 10]))
    ids = draw(st.permutations(draw(st.sampled_from([["v1", "v2"], ["v1", "v2", "v3"]]))))
    cuts = sorted(draw(st.integers(0, buckets)) for _ in ids[1:])
    widths = [b - a for a, b in zip([0, *cuts], [*cuts, buckets], strict=True)]
    arms = {arm: {"weight": width * 100 / buckets} for arm, width in zip(ids, widths, strict=True)}
    made = experiment(
        arms, control=draw(st.sampled_from(ids)), buckets=buckets, hash=draw(st.sampled_from(_HASHES))
    )
    made["salt"] = draw(st.sampled_from(["a", "a", "a", "b"]))
    made["ramp"] = draw(st.sampled_from(["100%", "100%", "50%", "0%"]))
    if draw(st.integers(0, 9)) == 0:
        made["paused"] = True
    document = {
        "apiVersion": "meshtrial/v1",
        "metrics": {"conversion": {"kind": "proportion", "outcome": "purchase", "window": "7d"}},
        "experiments": {"rank": made},
    }
    if draw(st.booleans()):
        layer = {
            "unit": unit,
            "buckets": draw(st.sampled_from([5, 10])),
            "salt": draw(st.sampled_from(["l", "l", "m"])),
        }
        layer["holdout"] = draw(st.sampled_from(["0%", "20%"]))
        start, end = sorted(draw(st.permutations([0, 20, 40, 60, 100]))[:2])
        made |= {"layer": "shared", "slice": [f"{start}%", f"{max(end, 40)}%"]}
        del made["unit"]
        document["layers"] = {"shared": layer}
    else:
        made["unit"] = unit
    return document


def position(hashed: Hashed, value: str, modulus: int) -> int:
    """A unit's place among `modulus` equally likely ones; every number of buckets here divides it."""
    _, name, salt = hashed
    key = f"{salt}:{value}".encode()
    if name == "murmur2":  # by ranges
        return murmur2(key) * modulus >> 32
    hash_ = int(hashlib.md5(key).hexdigest(), 16) if name == "md5" else xxhash.xxh64_intdigest(key)
    return hash_ % modulus


def hashes(plan: Plan) -> Iterator[tuple[Hashed, int]]:
    [found] = plan.experiments
    for unit, bucketing in [
        (found.unit, found.bucketing),
        *([(found.layer.unit, found.layer.bucketing)] if found.layer else []),
    ]:
        yield (unit.source.name, bucketing.hash.value, bucketing.salt), bucketing.buckets


def representatives(old: Plan, new: Plan) -> list[dict[str, str]]:
    """One request's headers for each combination of places of all hashes of both plans."""
    moduli: dict[Hashed, int] = {}
    for hashed, buckets in (*hashes(old), *hashes(new)):
        moduli[hashed] = lcm(moduli.get(hashed, 1), buckets)
    by_header: list[list[tuple[str, str]]] = []
    for header in sorted({header for header, _, _ in moduli}):
        own = {hashed: m for hashed, m in moduli.items() if hashed[0] == header}
        wanted = 1
        for modulus in own.values():
            wanted *= modulus
        if wanted > 3000:
            return []
        found: dict[tuple[int, ...], str] = {}
        for number in count():
            found.setdefault(tuple(position(h, str(number), m) for h, m in own.items()), str(number))
            if len(found) == wanted:
                break
        by_header.append([(header, value) for value in found.values()])
    total = 1
    for values in by_header:
        total *= len(values)
    return [dict(chosen) for chosen in product(*by_header)] if total <= 20_000 else []


def places(plan: Plan, headers: dict[str, str]) -> tuple[str, Reason]:
    [made] = decide(Request("/", "", {name: [value.encode()] for name, value in headers.items()}), plan)
    return made.arm.id, made.reason


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(documents(), documents())
def test_moves_are_the_shares_that_counting_finds(one: dict[str, Any], other: dict[str, Any]) -> None:
    old, new = (load(json.dumps(document), "plan.yaml") for document in (one, other))
    requests = representatives(old, new)
    if not requests:
        return
    counted = Counter((places(old, headers), places(new, headers)) for headers in requests)
    [change] = diff(old, new).changes

    assert told(change) == {
        pair: Fraction(number, len(requests))
        for pair, number in counted.items()
        if pair[0] != pair[1] and not {reason for _, reason in pair} <= {Reason.OUTSIDE}
    }


def told(change: Change) -> dict[tuple[tuple[str, Reason], tuple[str, Reason]], Fraction]:
    assert change.moves is not None
    return {
        ((move.old.arm, move.old.reason), (move.new.arm, move.new.reason)): move.share
        for move in change.moves
        if move.old and move.new
    }


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(documents())
def test_a_plan_beside_itself_moves_nobody_and_warns_of_nothing(document: dict[str, Any]) -> None:
    plan = load(json.dumps(document), "plan.yaml")
    [change] = diff(plan, plan).changes

    assert (change.kind, change.moves, change.warnings, change.reassigned) == ("same", (), (), False)
    assert change.old_phase == change.new_phase


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(documents(), st.sampled_from([0, 10, 25, 50]), st.sampled_from([50, 75, 100]))
def test_a_growing_ramp_only_moves_units_from_control_to_arms_and_warns_of_nothing(
    document: dict[str, Any], small: int, large: int
) -> None:
    rank = document["experiments"]["rank"]
    plans = [
        load(json.dumps({**document, "experiments": {"rank": {**rank, "ramp": f"{r}%"}}}), "plan.yaml")
        for r in (small, large)
    ]
    [change] = diff(*plans).changes

    assert change.warnings == ()
    assert all(move.old is not None and move.old.arm == rank["control"] for move in change.moves or ())
