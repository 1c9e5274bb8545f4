"""decide() and mutation_of(), held to the vectors and to hashlib."""

import base64
import hashlib
import json
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from meshtrial.assign.decide import Assignment, decide
from meshtrial.assign.mutation import mutation_of
from meshtrial.assign.request import Request
from meshtrial.assign.unit import NoUnit
from meshtrial.names import Reason
from meshtrial.plan.load import load
from meshtrial.plan.model import Plan

VECTORS = Path(__file__).parents[2] / "vectors"
DOCUMENT = json.loads((VECTORS / "assignments.json").read_text("utf-8"))
CASES = DOCUMENT["cases"]
PLANS = Path(__file__).parents[2] / "plans" / "good"


@cache
def plan_named(name: str) -> Plan:
    return load(json.dumps(DOCUMENT["plans"][name], ensure_ascii=False), name)


def request_of(case: dict[str, Any]) -> Request:
    headers: dict[str, tuple[bytes, ...]] = {}
    for name, value in case["request"]["headers"]:
        raw = value.encode() if isinstance(value, str) else base64.b64decode(value["base64"])
        headers[name.lower()] = (*headers.get(name.lower(), ()), raw)
    return Request(case["request"]["path"], case["request"]["route"], headers)


def described(assignment: Assignment, plan: Plan) -> dict[str, Any]:
    """An assignment in the vectors' form."""
    mutation = mutation_of((assignment,), plan)
    unit = assignment.unit
    return {
        "experiment": assignment.experiment.id,
        "arm": assignment.arm.id,
        "reason": assignment.reason.value,
        "exposed": assignment.exposed,
        "unit": None if isinstance(unit, NoUnit) else unit.decode(),
        "no_unit": unit.value if isinstance(unit, NoUnit) else None,
        "bucket": assignment.bucket,
        "set": dict(mutation.set),
        "remove": list(mutation.remove),
    }


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_decision_is_the_vectors(case: dict[str, Any]) -> None:
    plan = plan_named(case["plan"])

    assert case["decision"] == [described(a, plan) for a in decide(request_of(case), plan)]


def test_the_vectors_are_what_their_script_writes() -> None:
    script = VECTORS / "make_assignments.py"
    written = subprocess.run([sys.executable, script], capture_output=True, timeout=60, check=True).stdout

    assert written == (VECTORS / "assignments.json").read_bytes()


def test_the_vectors_cover_every_reason_and_every_missing_unit() -> None:
    entries = [entry for case in CASES for entry in case["decision"]]

    assert {entry["reason"] for entry in entries} == set(Reason)
    assert {entry["no_unit"] for entry in entries} - {None} == set(NoUnit)
    assert any(not case["decision"] for case in CASES)
    assert len(CASES) >= 150
    assert len({case["plan"] for case in CASES}) == len(DOCUMENT["plans"]) >= 12


def users(plan: Plan, count: int) -> Counter[str]:
    requests = (Request("/", "", {"x-user-id": (f"user_{i}".encode(),)}) for i in range(count))
    return Counter(decide(request, plan)[0].arm.id for request in requests)


def test_a_hundred_buckets_are_the_textbook_split_by_experiment_and_user() -> None:
    plan = load((PLANS / "textbook.yaml").read_text("utf-8"), "textbook.yaml")
    expected = Counter(
        "treatment"
        if int(hashlib.md5(f"exp_001:user_{i}".encode()).hexdigest(), 16) % 100 < 50
        else "control"
        for i in range(5000)
    )

    assert users(plan, 5000) == expected


def test_an_empty_salt_is_the_textbook_split_by_user_alone() -> None:
    plan = load((PLANS / "bare-unit.yaml").read_text("utf-8"), "bare-unit.yaml")
    expected = Counter(
        "treatment" if int(hashlib.md5(f"user_{i}".encode()).hexdigest(), 16) % 100 < 100 * 0.2 else "control"
        for i in range(5000)
    )

    assert users(plan, 5000) == expected


def test_a_request_in_no_experiment_has_an_empty_decision_that_changes_nothing() -> None:
    plan = load((PLANS / "two-experiments.yaml").read_text("utf-8"), "two-experiments.yaml")
    decision = decide(Request("/other", "", {"x-user-id": (b"u1",)}), plan)
    mutation = mutation_of(decision, plan)

    assert decision == ()
    assert (mutation.set, mutation.remove) == ((), ())
