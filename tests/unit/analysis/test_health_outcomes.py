"""Outcomes that one arm loses more of, or that stopped coming, and covariates that differ before exposure."""

import random

import pytest
from scipy import stats

from judged_rows import check, judged, plan_of, rows_of
from meshtrial.plan.model import Plan
from trial_rows import Trial, nanoseconds

LARGE = plan_of(("planned_units: 100", "planned_units: 100000"))
WITH_COVARIATE = plan_of(
    ("planned_units: 100", "planned_units: 100000"),
    ("value: amount, window: 10s}", "value: amount, window: 10s, covariate: 20s}"),
)


def bought(plan: Plan = LARGE, units: int = 2000) -> Trial:
    """Every unit buys once, within its window."""
    rows = rows_of(plan)
    for unit in range(units):
        rows.expose(unit, "v2" if unit % 2 else "v1", unit / 1000)
        rows.outcome(unit, "purchase", unit / 1000 + 5, amount=unit % 7)
    return rows


def test_outcomes_of_one_arm_that_come_too_late_make_it_unhealthy() -> None:
    rows = bought()
    for row in rows.rows:
        if row["SpanName"] == "meshtrial.outcome" and int(str(row["Unit"])) % 50 == 1:
            row["ReceivedAt"] = nanoseconds(9000)

    report = judged(rows, LARGE, second=10_000)

    found = check(report, "outcomes_kept")
    table = [[40, 960], [0, 1000]]
    alone = 2 * stats.fisher_exact(table, alternative="greater").pvalue
    assert found.passed is False
    assert found.p_value == pytest.approx(2 * alone)  # Holm over both metrics
    assert "v2 40 of 1,000 (4%), v1 0 of 1,000 (0%)" in found.detail
    assert report.verdict.decision == "unhealthy"


def test_a_field_that_one_arms_outcomes_lack_makes_it_unhealthy() -> None:
    rows = bought()
    for row in rows.rows:
        if row["SpanName"] == "meshtrial.outcome" and int(str(row["Unit"])) % 50 == 1:
            row["OutcomeValues"] = []

    found = check(judged(rows, LARGE), "outcomes_kept")

    assert found.passed is False
    assert "revenue (`purchase` amount), received too late or without what is summed" in found.detail


def test_a_field_that_all_outcomes_lack_is_no_0_in_either_arm_but_makes_it_unhealthy() -> None:
    rows = bought()
    for row in rows.rows:
        if row["SpanName"] == "meshtrial.outcome":
            row["OutcomeValues"] = [("value", 3.0)]

    report = judged(rows, LARGE)

    found = check(report, "outcomes_kept")
    assert (report.verdict.decision, found.passed, found.p_value) == ("unhealthy", False, None)
    assert found.detail == (
        "revenue (`purchase` amount): 2,000 of 2,000 outcomes lack the field `amount` and count as 0; units"
        " with outcomes left out: v2 1,000 of 1,000 (100%), v1 1,000 of 1,000 (100%); the field has another"
        " name, or is not sent"
    )


def test_a_field_that_less_than_half_of_the_outcomes_lack_or_all_units_once_is_healthy() -> None:
    some, once = bought(), bought()
    for row in some.rows:
        if row["SpanName"] == "meshtrial.outcome" and int(str(row["Unit"])) % 10 < 4:
            row["OutcomeValues"] = []
    for unit in range(2000):
        once.outcome(unit, "purchase", unit / 1000 + 6, amount=1)
        once.outcome(unit, "purchase", unit / 1000 + 7)

    assert check(judged(some, LARGE), "outcomes_kept").passed
    assert check(judged(once, LARGE), "outcomes_kept").passed


def test_outcomes_before_the_exposure_in_one_arm_only_make_it_unhealthy() -> None:
    rows = bought()
    for unit in range(1, 2000, 20):  # of v2
        rows.outcome(unit, "purchase", unit / 1000 - 1, amount=1)

    found = check(judged(rows, LARGE), "outcomes_kept")

    assert found.passed is False
    assert "before the exposure): v2 100 of 1,000 (10%), v1 0 of 1,000 (0%)" in found.detail


def test_a_better_arm_that_loses_the_same_share_of_more_outcomes_is_healthy() -> None:
    chance = random.Random(4)
    rows = rows_of(LARGE)
    for unit in range(4000):
        arm, second = ("v2" if unit % 2 else "v1"), unit / 1000
        rows.expose(unit, arm, second)
        if chance.random() < (0.9 if arm == "v2" else 0.3):
            late = chance.random() < 0.1
            rows.outcome(unit, "purchase", second + 5, amount=1)
            rows.rows[-1]["ReceivedAt"] = nanoseconds(9000) if late else None

    found = check(judged(rows, LARGE, second=10_000), "outcomes_kept")

    assert found.passed
    assert found.p_value is not None  # something was lost


def test_a_stretch_without_outcomes_while_units_came_makes_it_unhealthy() -> None:
    rows = bought(units=10_000)
    rows.rows = [
        row
        for row in rows.rows
        if row["SpanName"] == "meshtrial.exposure"
        or not nanoseconds(6.4) < int(str(row["Timestamp"])) < nanoseconds(6.8)
    ]

    report = judged(rows, LARGE)

    found = check(report, "outcomes_flow")
    assert found.passed is False
    assert "no outcome `purchase` from 2026-09-21 14:13:26 UTC to 2026-09-21 14:13:26 UTC" in found.detail
    assert report.verdict.decision == "unhealthy"
    assert check(judged(bought(units=10_000), LARGE), "outcomes_flow").passed


def test_outcomes_that_stopped_make_it_unhealthy_and_those_that_begin_late_do_not() -> None:
    rows = bought(units=10_000)
    stopped = rows_of(LARGE)
    stopped.rows = [
        row
        for row in rows.rows
        if row["SpanName"] == "meshtrial.exposure" or int(str(row["Timestamp"])) < nanoseconds(8)
    ]
    begun = rows_of(LARGE)
    begun.rows = [
        row
        for row in rows.rows
        if row["SpanName"] == "meshtrial.exposure" or int(str(row["Timestamp"])) > nanoseconds(8)
    ]

    assert check(judged(stopped, LARGE), "outcomes_flow").passed is False
    assert check(judged(begun, LARGE), "outcomes_flow").passed


def batched(every: float, days: tuple[int, ...] = tuple(range(14))) -> Trial:
    """160 units a second; what they buy is reported with the time of the next batch of these days."""
    chance = random.Random(1)
    rows = rows_of(LARGE)
    for unit in range(2240):
        second = unit / 160
        rows.expose(unit, "v2" if unit % 2 else "v1", second)
        day = next((day for day in days if day > second / every), None)
        if chance.random() < 0.6 and day is not None:
            rows.outcome(unit, "purchase", day * every, amount=1)
    return rows


@pytest.mark.parametrize("second", [1.9, 2.5, 5.9, 7.9, 13.5, 60])
@pytest.mark.parametrize("days", [tuple(range(15)), (1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 15)])
def test_outcomes_that_come_in_batches_daily_or_on_working_days_are_sound(
    days: tuple[int, ...], second: float
) -> None:
    rows = batched(1, days)
    rows.rows = [row for row in rows.rows if int(str(row["Timestamp"])) <= nanoseconds(second)]

    found = check(judged(rows, LARGE, second=second), "outcomes_flow")

    assert found.passed is not False, found.detail


def test_how_long_an_outage_of_batches_is_not_seen_is_told() -> None:
    found = check(judged(batched(1), LARGE, second=13.2), "outcomes_flow")

    assert found.passed is None
    assert found.detail.startswith("no outcome `purchase` for up to 1 s at a time, as is the rule for it")
    assert "an outage is told once it lasts three times as long" in found.detail


def test_batches_that_stopped_make_it_unhealthy() -> None:
    found = check(judged(batched(1, (1, 2, 3, 4, 5, 10, 11, 12, 13)), LARGE, second=14), "outcomes_flow")

    assert found.passed is False
    assert "from 2026-09-21 14:13:25 UTC to 2026-09-21 14:13:29 UTC" in found.detail  # 29.99


def test_rare_outcomes_may_stay_away_for_long() -> None:
    rows = rows_of(LARGE)
    for unit in range(4000):
        rows.expose(unit, "v2" if unit % 2 else "v1", unit / 400)
        if unit % 200 == 7:
            rows.outcome(unit, "purchase", unit / 400 + 0.1, amount=1)

    assert check(judged(rows, LARGE), "outcomes_flow").passed


def before(gap: float, units: int = 1000) -> Trial:
    """Amounts before the exposure, those of v2 larger by a gap."""
    chance = random.Random(8)
    rows = rows_of(WITH_COVARIATE)
    for unit in range(units):
        arm, second = ("v2" if unit % 2 else "v1"), 30 + unit / 1000
        rows.expose(unit, arm, second)
        amount = chance.gauss(10, 2) + gap * (arm == "v2")
        rows.outcome(unit, "purchase", second - 10, amount=amount)
        rows.outcome(unit, "purchase", second + 1, amount=amount)
    return rows


def test_arms_that_differed_before_anybody_was_exposed_make_it_unhealthy() -> None:
    rows = before(gap=0.5)

    report = judged(rows, WITH_COVARIATE, second=100)

    found = check(report, "covariate_balance")
    assert found.passed is False
    assert report.verdict.decision == "unhealthy"
    early = {
        arm: [
            dict(row["OutcomeValues"])["amount"]  # type: ignore[call-overload]
            for row in rows.rows
            if row["SpanName"] == "meshtrial.outcome"
            and int(str(row["Timestamp"])) < nanoseconds(25)
            and int(str(row["Unit"])) % 2 == (arm == "v2")
        ]
        for arm in ("v1", "v2")
    }
    welch = stats.ttest_ind(early["v2"], early["v1"], equal_var=False)
    assert found.p_value == pytest.approx(welch.pvalue, rel=0.1)  # within two days, not over all
    assert f"20 s before of v2: {sum(early['v2']) / 500:.4g}, of control" in found.detail


def test_arms_that_were_alike_before_pass_whatever_the_effect() -> None:
    rows = before(gap=0)
    for row in rows.rows:
        if row["SpanName"] == "meshtrial.outcome" and int(str(row["Timestamp"])) > nanoseconds(30):
            row["OutcomeValues"] = [("amount", 100.0 * (int(str(row["Unit"])) % 2))]

    found = check(judged(rows, WITH_COVARIATE, second=100), "covariate_balance")

    assert found.passed
    assert found.p_value is not None


def test_without_covariates_there_is_no_balance_to_tell() -> None:
    assert "covariate_balance" not in {c.check for c in judged(bought(units=10)).health}


def test_exposures_that_stopped_are_noted_once_the_silence_is_unusual() -> None:
    rows = rows_of(LARGE)
    for unit in range(100):
        rows.expose(unit, "v2" if unit % 2 else "v1", unit)  # one a second, windows of ten

    assert check(judged(rows, LARGE, second=108), "exposures_flow").passed
    note = check(judged(rows, LARGE, second=200), "exposures_flow")
    assert note.passed is None
    assert "no exposure since 2026-09-21 14:14:59 UTC" in note.detail


def test_exposures_of_a_clock_that_is_ahead_are_told() -> None:
    rows = rows_of(LARGE)
    for unit in range(10):
        ahead = nanoseconds(unit - 120) if unit < 3 else nanoseconds(unit)
        rows.expose(unit, "v2" if unit % 2 else "v1", unit, ReceivedAt=ahead)

    note = check(judged(rows, LARGE), "clocks")

    assert note.passed is None
    assert note.detail.startswith("3 exposures began more than a minute after they were received")
