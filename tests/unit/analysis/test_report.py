"""From rows of a store to the report: what is counted, what is withheld, what is decided."""

import json
import random
from pathlib import Path

import jsonschema
import msgspec
import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep

from meshtrial.analysis.report import Report, make_report, report_schema
from meshtrial.plan.load import load
from plan_texts import RANK
from trial_rows import Trial, nanoseconds

SCHEMA = Path(__file__).parents[3] / "docs/report.schema.json"
PLAN = load(RANK, "plan.yaml")
EXPERIMENT = PLAN.experiments[0]
NORMAL = "(holdouts, other slices and testers are normal)"


def trial() -> Trial:
    return Trial(EXPERIMENT.phase, PLAN.digest)


def judged(rows: Trial, second: float, *, peek: bool = False) -> Report:
    with rows.connection() as connection:
        report = make_report(connection, PLAN, EXPERIMENT, nanoseconds(second), peek=peek)
    document = json.loads(msgspec.json.encode(report))
    jsonschema.validate(document, json.loads(SCHEMA.read_text()))
    return report


def hundred(
    v1: float, v2: float, seed: int = 1
) -> tuple[Trial, dict[str, list[float]], dict[str, list[int]]]:
    """100 units, one a tenth of a second; purchases with these chances, of random amounts."""
    chance = random.Random(seed)
    rows = trial()
    amounts: dict[str, list[float]] = {"v1": [], "v2": []}
    bought: dict[str, list[int]] = {"v1": [], "v2": []}
    for unit in range(100):
        arm, rate = ("v2", v2) if unit % 2 else ("v1", v1)
        rows.expose(unit, arm, unit / 10)
        total = 0.0
        if chance.random() < rate:
            for _ in range(chance.randrange(1, 3)):
                amount = chance.uniform(5, 15)
                total += amount
                rows.outcome(unit, "purchase", unit / 10 + chance.uniform(0, 9.9), amount=amount)
        amounts[arm].append(total)
        bought[arm].append(int(total > 0))
    return rows, amounts, bought


def test_the_numbers_are_those_of_scipy_and_statsmodels_on_the_same_units() -> None:
    rows, amounts, bought = hundred(0.3, 0.7)

    report = judged(rows, 60)

    conversion, revenue = report.metrics
    assert [(a.arm, a.units, a.value) for a in conversion.arms] == [
        ("v2", 50, pytest.approx(np.mean(bought["v2"]))),
        ("v1", 50, pytest.approx(np.mean(bought["v1"]))),
    ]
    [told] = conversion.comparisons
    x1, x0 = sum(bought["v2"]), sum(bought["v1"])
    expected = stats.chi2_contingency([[x1, 50 - x1], [x0, 50 - x0]], correction=False).pvalue
    assert told.p_value == pytest.approx(expected)
    assert told.alpha == 0.025  # two primaries, one arm
    newcombe = confint_proportions_2indep(x1, 50, x0, 50, method="newcomb", alpha=0.025)
    assert told.interval == pytest.approx(newcombe)
    assert told.relative == pytest.approx(x1 / x0 - 1)
    [told] = revenue.comparisons
    welch = stats.ttest_ind(amounts["v2"], amounts["v1"], equal_var=False)
    assert (told.effect, told.p_value) == pytest.approx(
        (np.mean(amounts["v2"]) - np.mean(amounts["v1"]), welch.pvalue)
    )
    span = welch.confidence_interval(0.975)
    assert told.interval == pytest.approx((span.low, span.high))
    assert (told.relative_interval, told.withheld, told.not_estimable) == (None, None, None)
    assert report.verdict.decision == "ship"
    assert report.verdict.arm == "v2"


def test_no_difference_keeps_control() -> None:
    rows, _, _ = hundred(0.5, 0.5)

    assert judged(rows, 60).verdict.decision == "keep_control"


def test_a_better_conversion_with_a_worse_revenue_does_not_ship() -> None:
    rows = trial()
    for unit in range(100):
        arm = "v2" if unit % 2 else "v1"
        rows.expose(unit, arm, 0)
        if arm == "v2":
            rows.outcome(unit, "purchase", 1, amount=1 + unit / 1000)
        elif unit < 50:
            rows.outcome(unit, "purchase", 1, amount=50 + unit)

    report = judged(rows, 60)

    assert report.metrics[0].comparisons[0].effect == 0.5
    assert (report.metrics[1].comparisons[0].effect or 0) < -30
    assert report.verdict.decision == "keep_control"


def test_before_the_planned_size_everything_that_shows_the_effect_is_withheld() -> None:
    rows, _, _ = hundred(0.3, 0.7)

    report = judged(rows, 15)  # windows of units exposed before second 5 have closed

    assert report.verdict.decision == "wait"
    assert report.verdict.reasons == ("51 of 100 planned units have closed windows",)
    for metric in report.metrics:
        assert [a.value for a in metric.arms] == [None, None]
        [told] = metric.comparisons
        assert (told.effect, told.interval, told.p_value, told.relative) == (None, None, None, None)
        assert told.withheld == "51 of 100 planned units have closed windows"


def test_a_peek_shows_closed_units_and_says_that_they_decide_nothing() -> None:
    rows, _, bought = hundred(0.3, 0.7)

    report = judged(rows, 15, peek=True)

    assert report.verdict.decision == "wait"
    assert [(a.arm, a.units) for a in report.metrics[0].arms] == [("v2", 25), ("v1", 26)]
    assert report.metrics[0].arms[0].value == pytest.approx(np.mean(bought["v2"][:25]))
    [told] = report.metrics[0].comparisons
    assert told.effect is not None
    assert (told.withheld or "").startswith("a peek, not valid for a decision: 51 of 100")


def test_the_minimum_duration_is_waited_for() -> None:
    rows = trial()
    for unit in range(100):
        rows.expose(unit, "v2" if unit % 2 else "v1", 0)
    long = load(RANK.replace("minimum_duration: 1s", "minimum_duration: 60s"), "plan.yaml")
    with rows.connection() as connection:
        early = make_report(connection, long, long.experiments[0], nanoseconds(59.9))
        late = make_report(connection, long, long.experiments[0], nanoseconds(60))

    assert early.verdict.decision == "wait"
    assert early.verdict.reasons == ("the minimum duration ends at 2026-09-21 14:14:20 UTC",)
    assert late.progress.decided_at == "2026-09-21T14:14:20.000Z"


def test_data_after_the_cut_change_nothing() -> None:
    rows, _, _ = hundred(0.3, 0.7)
    at_the_end = judged(rows, 19.9)
    assert at_the_end.progress.decided_at is not None
    for unit in range(1000, 1400):
        rows.expose(unit, "v2" if unit % 2 else "v1", 50)

    later = judged(rows, 1000)

    for now, then in zip(later.metrics, at_the_end.metrics, strict=True):
        assert [(a.units, a.value) for a in now.arms] == [
            (a.units, pytest.approx(a.value)) for a in then.arms
        ]
        assert now.comparisons[0].interval == pytest.approx(then.comparisons[0].interval)
    assert later.verdict == at_the_end.verdict


def test_units_that_come_after_the_cut_do_not_make_a_judged_trial_unhealthy() -> None:
    rows, _, _ = hundred(0.5, 0.5)
    for unit in range(1000, 1400):
        rows.expose(unit, "v2", 50)

    report = judged(rows, 1000)

    assert report.verdict.decision == "keep_control"
    assert sum(arm.units for arm in report.arms) == 100


def test_two_pseudonym_keys_make_it_unhealthy() -> None:
    rows, _, _ = hundred(0.5, 0.5)
    rows.expose(1000, "v1", 0, KeyId="first")
    rows.expose(1001, "v2", 0, KeyId="second")

    [reason] = judged(rows, 60).verdict.reasons
    assert reason == "one_key: pseudonyms were made with several keys: first, second"


def test_of_two_exposures_at_one_moment_the_order_of_rows_does_not_decide() -> None:
    for order in (1, -1):
        rows = trial()
        for arm, trace in (("v1", "aa"), ("v2", "bb"))[::order]:
            rows.expose(1, arm, 5, TraceId=trace, SpanId="01")
        assert [(arm.arm, arm.units) for arm in judged(rows, 60).arms] == [("v2", 0), ("v1", 1)]


def test_an_exposure_without_an_arm_is_nobodys() -> None:
    rows = trial()
    rows.expose(1, "v1", 0, Arm=None)
    rows.expose(2, "v9", 0)

    assert judged(rows, 60).verdict.decision == "unhealthy"


def test_a_moment_far_in_the_future_breaks_no_report() -> None:
    rows = trial()
    rows.expose(1, "v1", 0, Timestamp=2**63 - 1000)
    outcome = {"SpanName": "meshtrial.outcome", "Outcome": "purchase", "OutcomeValues": []}
    rows.rows.append({**rows.rows[0], **outcome})

    assert judged(rows, 60).verdict.decision == "wait"


def test_outcomes_of_another_kind_of_unit_count_for_nobody() -> None:
    rows = trial()
    for unit in range(100):
        rows.expose(unit, "v2" if unit % 2 else "v1", 0)
    rows.outcome(1, "purchase", 1, amount=1)
    rows.outcome(3, "purchase", 1, amount=1)
    rows.rows[-1]["UnitKind"] = "request"

    assert judged(rows, 60).metrics[0].arms[0].value == 1 / 50


def test_a_lopsided_split_has_no_verdict() -> None:
    rows = trial()
    for unit in range(300):
        rows.expose(unit, "v2" if unit < 100 else "v1", 0)

    report = judged(rows, 60)

    [ratio] = [check for check in report.health if check.check == "sample_ratio"]
    assert (ratio.passed, ratio.p_value) == (False, pytest.approx(stats.chisquare([100, 200]).pvalue))
    assert report.verdict.decision == "unhealthy"
    assert report.verdict.reasons == (f"sample_ratio: {ratio.detail}",)


def test_units_in_an_arm_that_the_plan_lacks_make_it_unhealthy() -> None:
    rows, _, _ = hundred(0.5, 0.5)
    rows.expose(999, "v3", 0)

    assert judged(rows, 60).verdict.decision == "unhealthy"


def test_a_unit_belongs_to_the_arm_that_it_met_first() -> None:
    rows = trial()
    rows.expose(1, "v1", 5)
    rows.expose(1, "v2", 3)
    rows.expose(1, "v1", 4)

    assert [(arm.arm, arm.units) for arm in judged(rows, 60).arms] == [("v2", 1), ("v1", 0)]


def test_who_was_not_exposed_is_not_counted() -> None:
    rows = trial()
    rows.expose(1, "v1", 5, exposed=False)

    report = judged(rows, 60)

    assert [arm.units for arm in report.arms] == [0, 0]
    assert report.verdict.reasons == ("no unit was exposed yet",)


def test_units_of_an_earlier_allocation_are_left_out_and_counted() -> None:
    rows, _, _ = hundred(0.5, 0.5)
    rows.expose(500, "v1", -5, phase="before")
    rows.expose(500, "v2", 5)

    report = judged(rows, 60)

    assert sum(arm.units for arm in report.arms) == 100
    assert (
        "1 units first exposed under another allocation"
        in {c.check: c.detail for c in report.health}["one_allocation"]
    )


def test_units_of_another_kind_are_counted_as_of_another_allocation() -> None:
    rows = trial()
    for unit in range(30):
        rows.expose(unit, "v1", 0, UnitKind="header:x-session")

    report = judged(rows, 60)

    assert report.verdict.reasons == (
        "no unit was exposed under the present allocation, 30 were under another",
    )
    assert {c.check: c.passed for c in report.health}["one_allocation"] is None


def test_a_store_of_other_experiments_says_so() -> None:
    rows = trial()
    rows.expose(1, "v1", 0, Experiment="other")
    rows.expose(1, "v1", 0, Experiment="another")

    assert judged(rows, 60).verdict.reasons == (
        "the store has no exposure of rank-v2, but of another, other",
    )


def test_a_plan_that_changed_after_the_start_is_told() -> None:
    rows, _, _ = hundred(0.5, 0.5)
    for unit in range(7):
        rows.expose(unit, "v2" if unit % 2 else "v1", 50, Plan="before")

    check = next(c for c in judged(rows, 60).health if c.check == "one_plan")

    assert check.passed is None
    assert check.detail.startswith(
        "7 units were exposed under another plan: if its metrics, size or rule changed"
    )


def test_an_outcome_that_nobody_reports_is_told_with_those_that_are() -> None:
    rows = trial()
    rows.expose(1, "v1", 0)
    rows.outcome(1, "purchases", 1)

    detail = {c.check: c.detail for c in judged(rows, 60).health}["outcomes_join"]

    assert detail.startswith("conversion: no outcome `purchase` is stored, but purchases; ")


def test_only_outcomes_within_a_units_window_count_and_the_others_are_told() -> None:
    rows = trial()
    for unit in range(100):
        rows.expose(unit, "v2" if unit % 2 else "v1", 10)
    rows.outcome(1, "purchase", 10, amount=1)  # the window begins with the exposure
    rows.outcome(3, "purchase", 19.999, amount=2)
    rows.outcome(5, "purchase", 20, amount=4)  # and ends before its last moment
    rows.outcome(7, "purchase", 9.9, amount=8)
    rows.outcome(4711, "purchase", 12, amount=16)
    rows.outcome(9, "purchase", 12)  # lacks the amount
    rows.outcome(9, "refund", 12, amount=32)

    report = judged(rows, 60)

    conversion, revenue = report.metrics
    assert conversion.arms[0].value == 3 / 50
    assert revenue.arms[0].value == pytest.approx(3 / 50)
    detail = {check.check: check.detail for check in report.health}["outcomes_join"]
    assert detail == (
        f"conversion: 1 outcome belongs to a unit that was never exposed {NORMAL}, "
        "1 came before the unit's exposure, 1 came after the window; "
        f"revenue: 1 outcome belongs to a unit that was never exposed {NORMAL}, "
        "1 came before the unit's exposure, 1 came after the window, "
        "1 lacks the field `amount`, taken as 0"
    )


def test_outcomes_that_join_no_unit_are_told_in_a_sentence() -> None:
    rows = trial()
    rows.expose(1, "v2", 10)
    rows.expose(2, "v1", 10)
    for unit in (1, 2):
        rows.outcome(unit, "purchase", 9.9, amount=1)
    for unit in range(4711, 4714):
        rows.outcome(unit, "purchase", 12, amount=1)

    detail = {check.check: check.detail for check in judged(rows, 60).health}["outcomes_join"]

    assert detail.partition("; ")[0] == (
        f"conversion: 3 outcomes belong to units that were never exposed {NORMAL}, "
        "2 came before the unit's exposure"
    )


def test_without_outcomes_nothing_is_estimated_and_nothing_decided() -> None:
    rows = trial()
    for unit in range(100):
        rows.expose(unit, "v2" if unit % 2 else "v1", 0)

    report = judged(rows, 60)

    assert report.verdict.decision == "wait"
    for metric in report.metrics:
        [told] = metric.comparisons
        assert (told.effect, told.p_value) == (None, None)
        assert told.not_estimable
        assert [arm.value for arm in metric.arms] == [0.0, 0.0]


def test_an_empty_arm_is_not_estimated() -> None:
    rows = trial()
    for unit in range(9):
        rows.expose(unit, "v1", 0)
    small = load(RANK.replace("planned_units: 100", "planned_units: 9"), "plan.yaml")

    with rows.connection() as connection:
        report = make_report(connection, small, small.experiments[0], nanoseconds(60))

    assert report.verdict.decision == "wait"
    assert "the treatment arm has no units" in report.verdict.reasons[0]
    assert [arm.value for arm in report.metrics[0].arms] == [None, 0.0]


def test_the_schema_in_the_repository_is_the_one_of_the_code() -> None:
    assert json.loads(SCHEMA.read_text()) == report_schema()


def test_the_report_has_the_promised_names() -> None:
    rows, _, _ = hundred(0.3, 0.7)

    document = json.loads(msgspec.json.encode(judged(rows, 60)))

    assert {"schema", "experiment", "plan", "verdict", "health", "arms", "metrics"} <= document.keys()
    assert (document["schema"], document["plan"]) == ("meshtrial.report/v1", PLAN.digest)
    assert {"decision", "reasons"} <= document["verdict"].keys()
    assert {"check", "passed", "p_value", "detail"} <= document["health"][0].keys()
    assert {"arm", "control", "share", "units"} <= document["arms"][0].keys()
    metric = document["metrics"][0]
    assert {"metric", "role", "kind", "arms", "comparisons"} <= metric.keys()
    assert {"arm", "units", "value"} <= metric["arms"][0].keys()
    promised = {"arm", "method", "effect", "interval", "p_value", "relative", "relative_interval", "withheld"}
    assert promised | {"not_estimable"} <= metric["comparisons"][0].keys()
    assert document["as_of"] == "2026-09-21T14:14:20.000Z"
