"""Guardrails whose outcome hardly ever happens: they must neither hold up a model nor let a bad one pass."""

import random

import pytest

from judged_rows import check, judged, rows_of
from meshtrial.plan.load import load
from meshtrial.plan.model import Plan
from trial_rows import Trial

UNITS = 2_000
TEXT = """\
apiVersion: meshtrial/v1
metrics:
  conversion: {kind: proportion, outcome: purchase, window: 10s}
  errors: ERRORS
experiments:
  rank-v2:
    match: {path_prefix: /recommend}
    unit: {header: x-user-id}
    control: v1
    buckets: 100
    arms:
      v2: {weight: 50, cluster: model-v2}
      v1: {weight: 50, cluster: model-v1}
    decision:
      METHOD
      lateness: 0s
      alpha: 0.05
      power: 0.8
      planned_units: 2000
      minimum_duration: 1s
      primary: [{metric: conversion, direction: up, minimum_effect: 2pp}]
      guardrails: [{metric: errors, direction: down, margin: 2pp}]
"""
METHODS = {
    "fixed": "method: fixed",
    "group_sequential": "method: group_sequential\n      looks: [50%, 100%]",
    "sequential": "method: sequential",
}
SHARE = "{kind: proportion, request: error, window: 10s}"
RATIO = "{kind: ratio, request: error, window: 10s}"
REPORTED = "{kind: proportion, outcome: crash, window: 10s}"


def plan_of(method: str, errors: str) -> Plan:
    return load(TEXT.replace("METHOD", METHODS[method]).replace("ERRORS", errors), "plan.yaml")


def better(plan: Plan, *, logged: bool = True, failing: int = 0) -> Trial:
    """v2 sells to 60% of its units, v1 to 30%; so many units of v2 meet an error."""
    rows, drawn = rows_of(plan), random.Random(3)
    for unit in range(UNITS):
        arm, second = ("v2", 0.6) if unit % 2 else ("v1", 0.3), unit / 1000
        rows.expose(unit, arm[0], second)
        if logged:
            failed = unit % 2 == 1 and unit // 2 < failing
            rows.request(unit, arm[0], second, Status=503 if failed else 200)
        if drawn.random() < arm[1]:
            rows.outcome(unit, "purchase", second + 1)
    return rows


@pytest.mark.parametrize("errors", [SHARE, RATIO])
@pytest.mark.parametrize("method", METHODS)
def test_a_better_model_ships_though_no_request_of_any_arm_failed(method: str, errors: str) -> None:
    plan = plan_of(method, errors)

    report = judged(better(plan), plan)

    assert (report.verdict.decision, report.verdict.arm) == ("ship", "v2"), report.verdict.reasons
    assert "errors of v2: within the margin of " in report.verdict.reasons[1]
    [bounds] = report.metrics[1].comparisons
    assert bounds.interval is not None
    assert 0.0037 < bounds.interval[1] < 0.012  # 3.84 of 1,000 units for one look


@pytest.mark.parametrize("errors", [SHARE, RATIO])
def test_without_a_request_in_the_log_no_error_is_no_proof_of_anything(errors: str) -> None:
    plan = plan_of("fixed", errors)

    report = judged(better(plan, logged=False), plan)

    assert report.verdict.decision == "unhealthy"
    found = check(report, "exposures_routed")
    assert (found.passed, found.p_value) == (False, None)
    assert found.detail == (
        "the plan's metric errors reads the proxy's access log, and the store has no request of this"
        f" experiment, for {UNITS:,} units that were exposed: send the log to the collector"
        " (docs/doctor.md, `requests-unlogged`), or measure outcomes"
    )


@pytest.mark.parametrize("method", METHODS)
def test_an_outcome_that_nobody_ever_reported_may_have_another_name(method: str) -> None:
    plan = plan_of(method, REPORTED)

    report = judged(better(plan), plan)

    assert report.verdict.decision != "ship"
    assert report.metrics[1].comparisons[0].interval is None


def test_errors_of_the_new_model_roll_it_back_though_control_has_none() -> None:
    plan = plan_of("sequential", SHARE)

    report = judged(better(plan, failing=80), plan)

    assert (report.verdict.decision, report.verdict.arm) == ("roll_back", "v2")
