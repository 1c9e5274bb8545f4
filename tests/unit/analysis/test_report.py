"""From rows of a store to the report: what is shown, what is withheld, what is decided."""

import json

import msgspec
import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep

from judged_rows import PLAN, SCHEMA, check, hundred, judged, numbers, plan_of, rows_of
from meshtrial.analysis.report_parts import report_schema


def test_the_numbers_are_those_of_scipy_and_statsmodels_on_the_same_units() -> None:
    rows, amounts, bought = hundred(0.3, 0.7)

    report = judged(rows)

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
    assert (told.withheld, told.not_estimable) == (None, None)
    control, treatment = amounts["v1"], amounts["v2"]
    assert told.relative_interval is not None
    for share in told.relative_interval:  # Fieller's: where the test of "v2 is 1 + share times v1" gives way
        gap = np.mean(treatment) - (1 + share) * np.mean(control)
        error = np.sqrt((np.var(treatment, ddof=1) + (1 + share) ** 2 * np.var(control, ddof=1)) / 50)
        assert abs(gap / error) == pytest.approx(stats.t.ppf(1 - 0.025 / 2, welch.df))
    assert told.effect_size == pytest.approx(welch.statistic * np.sqrt(2 / 50))
    assert (report.verdict.decision, report.verdict.arm, report.verdict.rule) == ("ship", "v2", "winner")


def test_p_values_of_the_primaries_are_adjusted_by_holm() -> None:
    rows, _, _ = hundred(0.3, 0.5, seed=4)

    told = [metric.comparisons[0] for metric in judged(rows).metrics]

    expected = multipletests([c.p_value for c in told], method="holm")[1]
    assert [c.adjusted_p_value for c in told] == pytest.approx(expected)


def test_no_difference_keeps_control() -> None:
    rows, _, _ = hundred(0.5, 0.5)

    assert judged(rows).verdict.decision == "keep_control"


def test_a_better_conversion_with_a_worse_revenue_does_not_ship() -> None:
    rows = rows_of()
    for unit in range(100):
        arm = "v2" if unit % 2 else "v1"
        rows.expose(unit, arm, 0)
        if arm == "v2":
            rows.outcome(unit, "purchase", 1, amount=1 + unit / 1000)
        elif unit < 50:
            rows.outcome(unit, "purchase", 1, amount=50 + unit)

    report = judged(rows)

    assert report.metrics[0].comparisons[0].effect == 0.5
    assert (report.metrics[1].comparisons[0].effect or 0) < -30
    assert (report.verdict.decision, report.verdict.arm) == ("review", "v2")


def test_before_the_planned_size_everything_that_shows_the_effect_is_withheld() -> None:
    rows, _, _ = hundred(0.3, 0.7)

    report = judged(rows, second=15)  # windows of units exposed before second 5 have closed

    assert report.verdict.decision == "wait"
    assert report.verdict.reasons == ("50 of 100 planned units have closed windows",)
    for metric in report.metrics:
        assert [a.value for a in metric.arms] == [None, None]
        [told] = metric.comparisons
        assert (told.effect, told.interval, told.p_value, told.relative) == (None, None, None, None)
        assert told.withheld == "50 of 100 planned units have closed windows"


def test_a_peek_shows_closed_units_and_says_that_they_decide_nothing() -> None:
    rows, _, bought = hundred(0.3, 0.7)

    report = judged(rows, second=15, peek=True)

    assert report.verdict.decision == "wait"
    assert [(a.arm, a.units) for a in report.metrics[0].arms] == [("v2", 25), ("v1", 25)]
    assert report.metrics[0].arms[0].value == pytest.approx(np.mean(bought["v2"][:25]))
    [told] = report.metrics[0].comparisons
    assert told.effect is not None
    assert (told.withheld or "").startswith("a peek, not valid for a decision: 50 of 100")


def test_the_minimum_duration_is_waited_for() -> None:
    rows = rows_of()
    for unit in range(100):
        rows.expose(unit, "v2" if unit % 2 else "v1", 0)
    long = plan_of(("minimum_duration: 1s", "minimum_duration: 60s"))
    early, late = judged(rows, long, second=69.9), judged(rows, long, second=70)

    assert early.verdict.decision == "wait"
    [reason] = early.verdict.reasons
    assert reason == "the minimum duration ends at 2026-09-21 14:14:20 UTC; then windows must close"
    assert late.progress.decided_at == "2026-09-21T14:14:30.000Z"


def test_data_after_the_cut_change_nothing() -> None:
    rows, _, _ = hundred(0.3, 0.7)
    at_the_end = judged(rows, second=20)
    assert at_the_end.progress.decided_at is not None
    for unit in range(1000, 1400):
        rows.expose(unit, "v2" if unit % 2 else "v1", 50)

    later = judged(rows, second=1000)

    assert numbers(later.metrics) == numbers(at_the_end.metrics)
    assert (later.arms, later.progress.looks) == (at_the_end.arms, at_the_end.progress.looks)
    assert later.progress.decided_at == at_the_end.progress.decided_at
    assert later.verdict == at_the_end.verdict


def test_units_that_come_after_the_cut_do_not_make_a_judged_trial_unhealthy() -> None:
    rows, _, _ = hundred(0.5, 0.5)
    for unit in range(1000, 1400):
        rows.expose(unit, "v2", 50)

    report = judged(rows, second=1000)

    assert report.verdict.decision == "keep_control"
    assert sum(arm.units for arm in report.arms) == 100


def test_two_pseudonym_keys_make_it_unhealthy() -> None:
    rows, _, _ = hundred(0.5, 0.5)
    rows.expose(1000, "v1", 0, KeyId="first")
    rows.expose(1001, "v2", 0, KeyId="second")

    [reason] = judged(rows).verdict.reasons
    assert reason.startswith("one_key: pseudonyms were made with several keys: first, second; ")


def test_a_lopsided_split_has_no_verdict() -> None:
    rows = rows_of()
    for unit in range(300):
        rows.expose(unit, "v2" if unit < 100 else "v1", 0)

    report = judged(rows)

    ratio = check(report, "sample_ratio")
    assert ratio.passed is False
    assert ratio.p_value is not None
    assert ratio.p_value < 0.001
    assert report.verdict.decision == "unhealthy"
    assert report.verdict.reasons == (f"sample_ratio: {ratio.detail}",)


def test_units_in_an_arm_that_the_plan_lacks_make_it_unhealthy() -> None:
    rows, _, _ = hundred(0.5, 0.5)
    rows.expose(999, "v3", 0)

    assert judged(rows).verdict.decision == "unhealthy"


def test_without_outcomes_nothing_is_estimated_and_nothing_decided() -> None:
    rows = rows_of()
    for unit in range(100):
        rows.expose(unit, "v2" if unit % 2 else "v1", 0)

    report = judged(rows)

    assert report.verdict.decision == "wait"
    for metric in report.metrics:
        [told] = metric.comparisons
        assert (told.effect, told.p_value) == (None, None)
        assert told.not_estimable
        assert [arm.value for arm in metric.arms] == [0.0, 0.0]


def test_an_empty_arm_is_not_estimated() -> None:
    rows = rows_of()
    for unit in range(9):
        rows.expose(unit, "v1", 0)

    report = judged(rows, plan_of(("planned_units: 100", "planned_units: 9")))

    assert report.verdict.decision == "wait"
    assert "no day, phase or cohort has enough units in both arms" in report.verdict.reasons[0]
    assert [arm.value for arm in report.metrics[0].arms] == [None, None]


def test_the_schema_in_the_repository_is_the_one_of_the_code() -> None:
    assert json.loads(SCHEMA.read_text()) == report_schema()


def test_the_report_has_the_promised_names() -> None:
    rows, _, _ = hundred(0.3, 0.7)

    document = json.loads(msgspec.json.encode(judged(rows)))

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
