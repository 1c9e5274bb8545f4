"""Sample ratios at any time and where a mismatch comes from; two plans in one store."""

import numpy as np
import pytest
from scipy import special, stats

from judged_rows import check, judged, plan_of, rows_of
from meshtrial.plan.load import load
from plan_texts import RANK
from trial_rows import Trial

LARGE = plan_of(("planned_units: 100", "planned_units: 100000"))
BY_COUNTRY = plan_of(
    ("planned_units: 100", "planned_units: 100000"),
    ("    control: v1\n", "    control: v1\n    strata: [x-country]\n"),
)


def e_value(v2: int, v1: int) -> float:
    """Lindon and Malek's, of an even split: a beta mixture of concentration 100."""
    mixture = special.betaln(50 + v2, 50 + v1) - special.betaln(50, 50)
    return float(np.exp(mixture - (v2 + v1) * np.log(0.5)))


def test_the_p_value_is_one_by_the_largest_e_value_so_far() -> None:
    rows = rows_of(LARGE)
    for unit in range(300):
        rows.expose(unit, "v2" if unit < 100 else "v1", 0)

    found = check(judged(rows, LARGE), "sample_ratio")

    assert found.p_value == pytest.approx(1 / e_value(100, 200))
    assert found.passed is False
    assert "look for exposures lost, failed open or filtered in one arm only" in found.detail


def test_daily_looks_at_chi_squared_would_alarm_and_the_sequential_test_does_not() -> None:
    rows = rows_of(LARGE)
    for unit in range(100):
        rows.expose(unit, "v2" if unit < 33 else "v1", 0)

    assert stats.chisquare([33, 67]).pvalue < 0.001
    assert check(judged(rows, LARGE), "sample_ratio").passed
    assert "sample_ratio_parts" not in {c.check for c in judged(rows, LARGE).health}


def lopsided(plan_rows: Trial, bad_day: int) -> Trial:
    """Five days of a second each; on one of them v2 gets a third of its units."""
    unit = 0
    for day in range(5):
        for number in range(1000):
            unit += 1
            arm = "v2" if number % 2 else "v1"
            if day == bad_day and arm == "v2" and number % 3:
                continue
            plan_rows.expose(unit, arm, day + number / 1000)
    return plan_rows


def test_the_day_of_a_mismatch_is_named_and_the_others_are_not() -> None:
    report = judged(lopsided(rows_of(LARGE), bad_day=3), LARGE)

    assert check(report, "sample_ratio").passed is False
    note = check(report, "sample_ratio_parts")
    assert note.passed is None
    assert note.detail.startswith(
        "where the mismatch is: day 2026-09-21 14:13:23 UTC: v2 287, v1 500 (p < 1e-09"
    )
    assert "4 of 6 days and strata do not stand out" in note.detail  # a second is not quite a 24th times 24


def test_the_stratum_of_a_mismatch_is_named() -> None:
    rows = rows_of(BY_COUNTRY)
    for unit in range(4000):
        country = "IN" if unit % 4 < 2 else "DE"
        if country == "IN" and unit % 2 and unit % 3:
            continue  # lost
        rows.expose(unit, "v2" if unit % 2 else "v1", unit / 1000, Strata=[("x-country", country)])

    note = check(judged(rows, BY_COUNTRY), "sample_ratio_parts")

    assert "x-country `IN`: v2 33" in note.detail
    assert "`DE`" not in note.detail


def test_a_mismatch_that_is_everywhere_is_said_to_be() -> None:
    rows = rows_of(LARGE)
    for unit in range(8000):
        if unit % 2 and unit % 14 == 1:
            continue
        rows.expose(unit, "v2" if unit % 2 else "v1", unit / 100)

    report = judged(rows, LARGE, second=100)

    assert check(report, "sample_ratio").passed is False
    assert check(report, "sample_ratio_parts").detail.startswith("none of ")


def test_each_phase_tells_its_own_e_value_and_they_multiply() -> None:
    ramped = load(RANK.replace("    control: v1\n", "    control: v1\n    ramp: 50%\n"), "plan.yaml")
    rows = rows_of(LARGE)
    rows.took(ramped.digest, RANK.replace("    control: v1\n", "    control: v1\n    ramp: 50%\n"), -1)
    rows.took(LARGE.digest, RANK.replace("planned_units: 100", "planned_units: 100000"), 100)
    for unit in range(100):  # a quarter is planned
        bucket = unit % 100
        arm = "v2" if bucket < 20 else "v1"
        rows.expose(
            unit, arm, unit / 100, phase=ramped.experiments[0].phase, Bucket=10 if arm == "v2" else 60
        )
    for unit in range(100, 200):
        arm = "v2" if unit % 5 < 2 else "v1"
        rows.expose(unit, arm, 100 + unit / 100, Bucket=10 if arm == "v2" else 60)

    found = check(judged(rows, LARGE, second=200), "sample_ratio")

    quarter = (
        special.betaln(25 + 20, 75 + 80) - special.betaln(25, 75) - 20 * np.log(0.25) - 80 * np.log(0.75)
    )
    first, second = float(np.exp(quarter)), e_value(40, 60)
    assert f"e-values by phase: {ramped.experiments[0].phase[:8]} {first:.3g}" in found.detail
    assert f"{LARGE.experiments[0].phase[:8]} {second:.3g}" in found.detail


def test_two_plans_that_wrote_at_the_same_time_are_told() -> None:
    other_text = RANK.replace("buckets: 100", "buckets: 200")
    other = load(other_text, "plan.yaml")
    rows = rows_of(LARGE)
    rows.took(LARGE.digest, RANK.replace("planned_units: 100", "planned_units: 100000"), 0)
    rows.took(other.digest, other_text, 5)
    for unit in range(200):
        rows.expose(unit, "v2" if unit % 2 else "v1", unit / 10)
        rows.expose(1000 + unit, "v2" if unit % 2 else "v1", 6 + unit / 10, phase=other.experiments[0].phase)

    note = check(judged(rows, LARGE), "one_plan")

    assert note.passed is None
    assert "were both recorded from 2026-09-21 14:13:26 UTC on" in note.detail
    assert "two environments write to one store" in note.detail


def test_a_phase_that_no_plan_explains_and_a_document_that_cannot_be_read_are_told() -> None:
    rows = rows_of(LARGE)
    rows.took("0" * 64, "apiVersion: meshtrial/v9", 0)
    rows.expose(1, "v2", 0)
    rows.expose(2, "v2", 0, phase="feedbeefdeadcafe")

    detail = check(judged(rows, LARGE), "one_plan").detail

    assert "no plan that was recorded explains these phases, so their units are left out: feedbeef" in detail
    assert "1 recorded plans cannot be read" in detail


def stray(at: float, units: int = 2000, every: float = 0.01) -> Trial:
    """Twenty seconds of units, and one row of a phase that nobody knows."""
    rows = rows_of(LARGE)
    for unit in range(units):
        rows.expose(unit, "v2" if unit % 2 else "v1", unit * every)
    rows.expose(units, "v2", at, phase="feedbeefdeadcafe")
    return rows


def test_a_stray_row_of_an_unknown_phase_that_leaves_out_much_of_the_trial_makes_it_unhealthy() -> None:
    report = judged(stray(15), LARGE, second=100)

    found = check(report, "one_plan")
    left_out = 2000 - sum(arm.analysed for arm in report.arms)
    assert 1000 <= left_out < 1020  # 10 s of window, and what is left of a period at both ends
    assert found.passed is False
    assert report.verdict.decision == "unhealthy"
    assert "feedbeef (from 2026-09-21 14:13:35 UTC)" in found.detail
    assert f"leaves out {left_out:,} of 2,000 units" in found.detail
    assert f"(feedbeef {left_out:,}): import what is of these phases with the plan" in found.detail
    assert "keep it in another store" in found.detail


def test_where_an_unknown_phase_leaves_out_everybody_the_report_says_so() -> None:
    report = judged(stray(5, units=400), LARGE, second=100)

    assert report.verdict.decision == "unhealthy"
    assert report.metrics[0].comparisons[0].withheld == (
        "none of the 400 units exposed under the present allocation can be compared: see one_plan and"
        " one_allocation"
    )


@pytest.mark.parametrize(("at", "every"), [(-100, 0.01), (1.9, 0.01), (100, 0.1)])
def test_an_unknown_phase_that_leaves_out_no_more_than_a_tenth_is_a_note(at: float, every: float) -> None:
    assert check(judged(stray(at, every=every), LARGE, second=300), "one_plan").passed is None


def test_a_unit_in_two_arms_of_one_phase_fails_above_one_in_a_thousand() -> None:
    def twice(units: int) -> Trial:
        rows = rows_of(LARGE)
        for unit in range(2000):
            rows.expose(unit, "v2" if unit % 2 else "v1", 0)
        for unit in range(units):
            rows.expose(unit, "v1" if unit % 2 else "v2", 1)
        return rows

    assert check(judged(twice(0), LARGE), "one_arm").passed
    assert check(judged(twice(2), LARGE), "one_arm").passed is None
    failed = check(judged(twice(3), LARGE), "one_arm")
    assert failed.passed is False
    assert "3 of 2,000 units met two arms under one allocation (first v1 2, v2 1)" in failed.detail


def test_units_in_two_arms_after_the_end_of_a_trial_do_not_take_its_verdict_away() -> None:
    rows = rows_of()
    for unit in range(100):
        rows.expose(unit, "v2" if unit % 2 else "v1", 0)
    at_the_end = judged(rows, second=300)
    for unit in range(2000, 2040):
        rows.expose(unit, "v2", 200)
        rows.expose(unit, "v1", 201)

    later = judged(rows, second=300)

    assert at_the_end.progress.decided_at is not None
    assert check(later, "one_arm").passed
    assert later.verdict == at_the_end.verdict
