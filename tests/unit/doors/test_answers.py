"""What prepared answers may take."""

import tracemalloc

import pytest

from meshtrial.assign.decide import Assignment, decide
from meshtrial.assign.request import Request
from meshtrial.doors import answers
from meshtrial.doors.answers import Answers
from meshtrial.doors.ext_proc_pb2 import ProcessingResponse
from meshtrial.plan.load import load

HEAD = "apiVersion: meshtrial/v1\nmetrics: {c: {kind: proportion, outcome: p, window: 1d}}\nexperiments:\n"
ONE = """
  e%d:
    unit: {header: x-user-id}
    control: a
    arms: {b: {weight: 50, headers: {x-e%d: b}}, a: {weight: 50}}
    decision:
      {method: fixed, alpha: 0.05, power: 0.8, planned_units: 100, minimum_duration: 1d,
       primary: [{metric: c, direction: up, minimum_effect: 2pp}]}
"""


def test_the_combinations_of_many_experiments_take_a_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MAX_BYTES", 500_000)
    plan = load(HEAD + "".join(ONE % (n, n) for n in range(20)), "plan.yaml")
    decisions = [decide(Request("/", "", {"x-user-id": [b"u%d" % n]}), plan) for n in range(1_000)]
    prepared = Answers(plan)

    tracemalloc.start()
    try:
        for decision in decisions:
            prepared.answer(decision, ["0" * 32] * 20, "k")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < 2 * 500_000
    last = ProcessingResponse.FromString(prepared.answer(decisions[-1], ["0" * 32] * 20, "k"))
    chosen = {f"x-e{n}" for n, a in enumerate(sorted(decisions[-1], key=_number)) if a.arm.id == "b"}
    set_headers = last.request_headers.response.header_mutation.set_headers
    assert {option.header.key for option in set_headers} - {"x-meshtrial-arms"} == chosen


def _number(assignment: Assignment) -> int:
    return int(assignment.experiment.id[1:])
