"""decide() and mutation_of(), held to the vectors."""

import base64
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from meshtrial.assign.baggage import Carried
from meshtrial.assign.context import Context, Kept
from meshtrial.assign.decide import Assignment, decide
from meshtrial.assign.mutation import mutation_of
from meshtrial.assign.request import Request
from meshtrial.assign.unit import NoUnit
from meshtrial.names import Reason
from meshtrial.plan.load import load
from meshtrial.plan.model import Experiment, Mode, Plan
from meshtrial.pseudonym import PseudonymKey

TESTS = Path(__file__).parents[2]
DOCUMENT = json.loads((TESTS / "vectors" / "assignments.json").read_text("utf-8"))
CASES = DOCUMENT["cases"]


@cache
def plan_named(name: str) -> Plan:
    return load(json.dumps(DOCUMENT["plans"][name], ensure_ascii=False), name)


def request_of(document: dict[str, Any]) -> Request:
    headers: dict[str, tuple[bytes, ...]] = {}
    for name, value in document["headers"]:
        raw = value.encode() if isinstance(value, str) else base64.b64decode(value["base64"])
        headers[name.lower()] = (*headers.get(name.lower(), ()), raw)
    return Request(document["path"], document["route"], headers, document["metadata"])


def context_of(document: dict[str, Any]) -> Context:
    def kept(experiment: Experiment, unit: bytes) -> Kept | None:
        found = {(k["experiment"], k["unit"].encode()): k for k in document.get("kept", [])}
        one = found.get((experiment.id, unit))
        return Kept(one["arm"], one["phase"]) if one else None

    return Context(
        now=document.get("now_ms", 0) * 1_000_000,
        chance=bytes.fromhex(document.get("chance", "00" * 16)),
        forced=document.get("forced", {}),
        carried={name: Carried(**one, expiry=1) for name, one in document.get("carried", {}).items()},
        pseudonym=PseudonymKey.of(document.get("key", "no arm is carried").encode()).pseudonym,
        kept=kept,
    )


def described(assignment: Assignment) -> dict[str, Any]:
    """An assignment in the vectors' form."""
    subject, experiment = assignment.subject, assignment.experiment
    group = subject.hashed if experiment.unit.group_kind else None
    return {
        "experiment": experiment.id,
        "arm": assignment.arm.id,
        "reason": assignment.reason.value,
        "exposed": assignment.exposed,
        "recorded": assignment.takes_part,
        "bucket": assignment.bucket,
        "phase": None if assignment.phase == experiment.phase else assignment.phase,
        "unit": text(subject.unit),
        "no_unit": why_not(subject.unit),
        "minted": subject.minted,
        "group": text(group),
        "no_group": why_not(group),
        "window": subject.window,
        "cohort": assignment.cohort,
        "strata": dict(assignment.strata),
    }


def text(value: bytes | NoUnit | None) -> str | None:
    return value.decode() if isinstance(value, bytes) else None


def why_not(value: bytes | NoUnit | None) -> str | None:
    return value.value if isinstance(value, NoUnit) else None


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_decision_is_the_vectors(case: dict[str, Any]) -> None:
    plan = plan_named(case["plan"])

    decision = decide(request_of(case["request"]), plan, context_of(case["context"]))
    mutation = mutation_of(decision, plan)

    assert case["decision"] == [described(assignment) for assignment in decision]
    assert case["set"] == dict(mutation.set)
    assert case["remove"] == sorted(mutation.remove)


def test_the_vectors_are_what_their_script_writes() -> None:
    command = [sys.executable, "-m", "vectors.make_assignments"]
    written = subprocess.run(command, cwd=TESTS, capture_output=True, timeout=60, check=True).stdout

    assert written == (TESTS / "vectors" / "assignments.json").read_bytes()


def test_the_script_shares_no_code_with_the_package() -> None:
    scripts = sorted((TESTS / "vectors").glob("*.py"))

    assert len(scripts) == 8
    assert not [script.name for script in scripts if re.search("(import|from) meshtrial", script.read_text())]


def test_the_vectors_cover_every_reason_missing_unit_and_feature_of_a_plan() -> None:
    entries = [entry for case in CASES for entry in case["decision"]]
    experiments = [e for name in DOCUMENT["plans"] for e in plan_named(name).experiments]

    assert {entry["reason"] for entry in entries} == set(Reason)
    assert {entry["no_unit"] for entry in entries} - {None} == set(NoUnit)
    assert {entry["no_group"] for entry in entries} >= {
        "missing",
        "empty",
        "too_long",
        "not_utf8",
        "not_text",
    }
    assert any(not case["decision"] for case in CASES)
    assert len(CASES) >= 500
    assert len({case["name"] for case in CASES}) == len(CASES)
    assert {case["plan"] for case in CASES} == set(DOCUMENT["plans"])
    assert len(DOCUMENT["plans"]) >= 30
    assert {experiment.mode for experiment in experiments} == set(Mode)
    assert {len(experiment.splits) for experiment in experiments} == {1, 3}
