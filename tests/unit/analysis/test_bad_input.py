"""Bad data: each kind has one effect that the report tells, and none ends without a report."""

import math
import random
from typing import Any

import pytest

from judged_rows import check, judged, numbers, plan_of, rows_of
from meshtrial.analysis.report import make_report
from meshtrial.analysis.report_parts import Report
from meshtrial.plan.load import load
from meshtrial.plan.model import Plan
from trial_rows import Trial, nanoseconds

EVERY_KIND = """\
apiVersion: meshtrial/v1
metrics:
  conversion: {kind: proportion, outcome: purchase, window: 10s}
  revenue: {kind: mean, outcome: purchase, value: amount, window: 10s, cap: 99%, covariate: 20s}
  purchases: {kind: count, outcome: purchase, window: 10s}
  basket:
    {kind: ratio, numerator: {outcome: purchase, value: amount}, denominator: {outcome: visit}, window: 10s}
  slowest: {kind: quantile, q: 0.9, outcome: purchase, value: amount, window: 10s}
  errors: {kind: proportion, request: error, window: 10s}
  p90: {kind: quantile, q: 0.9, request: duration_ms, window: 10s}
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
      planned_units: 100
      minimum_duration: 1s
      primary:
        - {metric: conversion, direction: up, minimum_effect: 2pp}
        - {metric: revenue, direction: up, minimum_effect: 5% relative}
      guardrails:
        - {metric: errors, direction: down, margin: 1pp}
        - {metric: p90, direction: down, margin: 10% relative}
      secondary: [{metric: purchases}, {metric: basket}, {metric: slowest}]
"""
METHODS = {
    "fixed": "method: fixed",
    "group_sequential": "method: group_sequential\n      looks: [50%, 100%]",
    "sequential": "method: sequential",
}


def every_kind(method: str) -> Plan:
    return load(EVERY_KIND.replace("METHOD", METHODS[method]), "plan.yaml")


def exposed(plan: Plan, units: int = 120) -> Trial:
    rows = rows_of(plan)
    for unit in range(units):
        rows.expose(unit, "v2" if unit % 2 else "v1", unit / 100)
    return rows


def values(amount: float | None, chance: float = 1.0) -> Any:
    """Every unit's outcomes and requests, with this amount; with a chance below 1 some have none."""

    def fill(rows: Trial) -> None:
        drawn = random.Random(2)
        for row in list(rows.rows):
            unit, second = int(str(row["Unit"])), int(str(row["Unit"])) / 100
            if drawn.random() < chance:
                rows.outcome(unit, "purchase", second + 1, **({} if amount is None else {"amount": amount}))
                rows.outcome(unit, "visit", second + 1)
                rows.request(unit, str(row["Arm"]), second)

    return fill


BAD: dict[str, Any] = {
    "no outcome at all": values(1.0, chance=0.0),
    "all zeros": values(0.0),
    "all equal": values(7.0),
    "no value": values(None),
    "as large as may be": values(1e100, 0.5),
    "as small as may be": values(-1e100, 0.5),
    "next to nothing": values(5e-324, 0.5),
    "its square next to nothing": values(1e-158, 0.5),
    "one outcome": lambda rows: rows.outcome(1, "purchase", 1, amount=3),
    "one unit": lambda rows: rows.rows.__delitem__(slice(1, None)),
    "one arm": lambda rows: rows.rows.__delitem__(slice(None, None, 2)),
    "nobody": lambda rows: rows.rows.clear(),
    "only before": lambda rows: [rows.outcome(u, "purchase", -1, amount=u) for u in range(120)],
    "of 1970": lambda rows: rows.rows.extend(
        {**row, "Timestamp": number, "Unit": 1000 + number, "Exposed": None}
        for number, row in enumerate(rows.rows[:])
    ),
    "centuries ahead": lambda rows: rows.rows.extend(
        {**row, "Timestamp": 2**63 - 1 - number, "Unit": 1000 + number}
        for number, row in enumerate(rows.rows[:])
    ),
    "no time": lambda rows: rows.rows.extend(
        {**row, "Timestamp": None, "Exposed": None, "Unit": 1000} for row in rows.rows[:9]
    ),
    "nothing but names": lambda rows: rows.rows.extend(
        {"SpanName": name, "Timestamp": nanoseconds(1)}
        for name in ("meshtrial.exposure", "meshtrial.outcome", "meshtrial.request", "meshtrial.experiment")
    ),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", BAD)
def test_bad_data_end_in_a_report_of_finite_numbers_that_ships_nothing(method: str, bad: str) -> None:
    plan = every_kind(method)
    rows = exposed(plan)
    BAD[bad](rows)

    report = judged(rows, plan, second=100)

    assert report.verdict.decision in {"wait", "unhealthy", "keep_control"}
    assert report.verdict.reasons
    assert all(map(math.isfinite, floats(numbers(report))))


def floats(part: object) -> list[float]:
    if isinstance(part, dict):
        return [number for value in part.values() for number in floats(value)]
    if isinstance(part, list):
        return [number for value in part for number in floats(value)]
    return [part] if isinstance(part, float) else []


@pytest.mark.parametrize("bad", ["no outcome at all", "all zeros", "all equal", "no value"])
def test_a_mean_in_which_nothing_varies_is_not_estimated_and_says_why(bad: str) -> None:
    plan = every_kind("fixed")
    rows = exposed(plan)
    BAD[bad](rows)

    [told] = next(m for m in judged(rows, plan, second=100).metrics if m.metric == "revenue").comparisons

    assert (told.effect, told.p_value) == (None, None)
    assert "do not vary" in (told.not_estimable or "")


def detail(report: Report, name: str) -> str:
    return check(report, name).detail


def test_every_exposure_that_cannot_be_counted_is_counted_by_why() -> None:
    rows = exposed(plan_of(), units=100)
    rows.expose(1000, "v1", 0, Exposed=None)
    rows.expose(1001, "v1", 0, Exposed=None)
    rows.expose(1002, "v1", 0, Exposed=None, Phase=None, Reason="targeting_match")
    rows.expose(1003, "v1", 0, UnitKind=None)
    rows.expose(1004, "v1", 0, UnitKind="request")
    rows.expose(1005, "v1", 0, Unit=None)
    rows.expose(1006, "v1", 0, Arm=None)
    rows.expose(1007, "v1", 0, Phase=None)
    rows.expose(1008, "v1", 0, exposed=False, Reason="holdout")
    rows.expose(1009, "v1", 0, exposed=False, Reason="default")

    report = judged(rows)

    assert sum(arm.units for arm in report.arms) == 100
    said = detail(report, "exposures_counted").removeprefix("exposures left out: ").split("; ")
    assert [note.split(" ")[0] for note in said[:-1]] == ["1", "1", "2", "1", "2", "1"]
    assert said[0] == "1 name no arm"
    assert said[1] == "1 are another SDK's evaluations, which say no phase"
    assert said[2] == "2 are of another kind of unit than the plan's"
    assert said[3] == "1 name no phase"
    assert said[4].startswith("2 began more than 30 days before their receipt or 1 day after it")
    assert said[5] == "1 have no unit that can be read"
    assert said[6].endswith("as is normal: default 1, holdout 1")


def test_every_outcome_that_cannot_be_counted_is_counted_by_why() -> None:
    rows = exposed(plan_of())
    for unit in (1, 3):
        rows.outcome(unit, "purchase", 2, amount=1)
        rows.rows[-1]["UnitKind"] = "request" if unit == 1 else None
    rows.outcome(5, "purchase", 2, amount=1)
    rows.rows[-1]["Unit"] = None
    rows.outcome(7, "purchase", 2, amount=1)
    rows.rows[-1] |= {"Outcome": None, "OutcomeValues": None}
    rows.outcome(9, "purchase", 2)
    rows.rows[-1]["SpanAttributes"] = [("meshtrial.outcome.values.amount", "NaN")]
    rows.outcome(11, "purchase", 2, amount=1)
    rows.rows[-1]["ReceivedAt"] = nanoseconds(-100)
    rows.outcome(11, "refund", 2, amount=1)  # nobody's business
    rows.rows[-1]["UnitKind"] = "request"

    said = detail(judged(rows), "outcomes_join")

    assert "2 outcomes are of another kind of unit than the plan's" in said
    assert "1 outcomes have no unit that can be read" in said
    assert "1 outcomes began more than 1 day after their receipt, or have no name" in said
    assert "1 of `purchase` have a field `amount` that is no number within 1e100, taken as 0" in said
    assert "1 began more than a minute after their receipt: a clock is wrong" in said


def test_requests_without_a_duration_are_counted() -> None:
    rows = exposed(plan_of())
    rows.request(1, "v2", 0, Duration=0)

    assert "1 requests have no duration, taken as 0 ms" in detail(judged(rows), "outcomes_join")


def test_units_in_arms_that_the_plan_no_longer_has_make_it_unhealthy() -> None:
    rows = exposed(plan_of())
    rows.expose(1000, "v0", 0)

    report = judged(rows)

    assert check(report, "known_arms").passed is False
    assert detail(report, "known_arms").startswith("units in arms that the plan lacks: v0 1; ")


def test_exposures_of_1970_and_of_the_far_future_neither_begin_nor_end_a_trial() -> None:
    rows = exposed(plan_of(), units=50)
    good = judged(rows, second=30)
    BAD["of 1970"](rows)

    report = judged(rows, second=30)

    assert report.progress == good.progress
    assert report.arms == good.arms
    assert "50 began more than 30 days before" in detail(report, "exposures_counted")


def test_whatever_the_order_of_the_rows_the_report_is_the_same() -> None:
    plan = every_kind("fixed")
    rows = exposed(plan)
    values(3.0, 0.7)(rows)
    drawn = random.Random(9)
    for unit in range(120):
        rows.expose(unit, "v2" if unit % 2 else "v1", unit / 100, TraceId=f"{unit:032x}", SpanId="f" * 16)
        rows.outcome(unit, "purchase", drawn.uniform(-5, 15), amount=drawn.lognormvariate(0, 2))
        rows.request(unit, "v2" if unit % 2 else "v1", unit / 100, Duration=drawn.randrange(10**9))
    first = numbers(judged(rows, plan, second=100))

    for seed in range(3):
        random.Random(seed).shuffle(rows.rows)
        assert numbers(judged(rows, plan, second=100)) == first


def test_rows_of_rubbish_never_end_without_a_report() -> None:
    drawn = random.Random(17)
    times = [None, 0, 1, nanoseconds(0), nanoseconds(5), nanoseconds(50), 2**63 - 1]
    plan = every_kind("sequential")
    phases = [None, "", plan.experiments[0].phase, "other"]
    for _ in range(12):
        rows = exposed(plan, units=30)
        for _ in range(200):
            rows.rows.append(
                {
                    "SpanName": drawn.choice(
                        ["meshtrial.exposure", "meshtrial.outcome", "meshtrial.request", ""]
                    ),
                    "Timestamp": drawn.choice(times),
                    "ReceivedAt": drawn.choice(times),
                    "Experiment": drawn.choice([None, "", "rank-v2", "other"]),
                    "Arm": drawn.choice([None, "", "v1", "v2", "v3"]),
                    "Phase": drawn.choice(phases),
                    "Cohort": drawn.choice([None, "", "gold"]),
                    "Plane": drawn.choice([None, "ext_proc"]),
                    "Unit": drawn.choice([None, 0, 1, 2, 2**64 - 1]),
                    "UnitKind": drawn.choice([None, "", "header:x-user-id"]),
                    "Exposed": drawn.choice([None, True, False]),
                    "FailedOpen": drawn.choice([None, True, False]),
                    "Route": drawn.choice([None, "", "it's"]),
                    "Bucket": drawn.choice([None, 0, 99, 2**32 - 1]),
                    "Duration": drawn.choice([None, 0, 2**63]),
                    "Status": drawn.choice([None, 0, 200, 503]),
                    "Outcome": drawn.choice([None, "", "purchase", "visit"]),
                    "OutcomeValues": drawn.choice([None, [], [("amount", 1e100)], [("amount", -1.0)]]),
                }
            )
        with rows.connection() as connection:
            report = make_report(connection, plan, plan.experiments[0], nanoseconds(100))
        assert report.verdict.decision != "ship"
