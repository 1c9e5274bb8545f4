"""What is lost between proxy, sidecar and store: by arm, by hour and route."""

import random

import pytest
from scipy import stats

from judged_rows import check, judged, plan_of, rows_of
from trial_rows import Trial, nanoseconds

LARGE = plan_of(("planned_units: 100", "planned_units: 100000"))


def routed(units: int = 4000, lost: float = 0.0, arm: str = "v2") -> Trial:
    """Every unit has a request and an exposure, but for a share of one arm's exposures."""
    chance = random.Random(5)
    rows = rows_of(LARGE)
    for unit in range(units):
        own, second = ("v2" if unit % 2 else "v1"), unit / 1000
        rows.request(unit, own, second, Route=f"to-{own}")
        if own != arm or chance.random() >= lost:
            rows.expose(unit, own, second, Plane="ext_proc")
    return rows


def test_two_percent_of_one_arms_exposure_spans_dropped_make_it_unhealthy() -> None:
    rows = routed(lost=0.02)

    report = judged(rows, LARGE, second=4000)

    found = check(report, "exposures_recorded")
    assert report.verdict.decision == "unhealthy"
    assert check(report, "sample_ratio").passed  # far too few to be seen there
    assert found.passed is False
    lost = 2000 - sum(row["Arm"] == "v2" and row["SpanName"] == "meshtrial.exposure" for row in rows.rows)
    table = [[lost, 2000 - lost], [0, 2000]]
    assert found.p_value == pytest.approx(2 * stats.fisher_exact(table, alternative="greater").pvalue)
    assert f"v2 {lost} of 2,000 ({lost / 20:.3g}%), v1 0 of 2,000 (0%)" in found.detail
    assert "counters of dropped spans" in found.detail
    assert check(report, "exposures_routed").passed


def test_as_much_lost_in_either_arm_fails_for_its_share_alone() -> None:
    rows = routed()
    rows.rows = [
        row
        for row in rows.rows
        if row["SpanName"] == "meshtrial.request" or int(str(row["Unit"])) % 100 not in {8, 9}
    ]

    found = check(judged(rows, LARGE, second=4000), "exposures_recorded")

    assert (found.passed, found.p_value) == (False, None)  # no test says so
    assert "v2 20 of 2,000 (1%), v1 20 of 2,000 (1%)" not in found.detail  # 1 in 50 of an arm's units
    assert "v2 40 of 2,000 (2%), v1 40 of 2,000 (2%)" in found.detail


def test_a_few_lost_exposures_are_a_note() -> None:
    rows = routed()
    rows.rows = [
        row for row in rows.rows if row["SpanName"] == "meshtrial.request" or row["Unit"] not in {1, 8, 9}
    ]

    assert check(judged(rows, LARGE, second=4000), "exposures_recorded").passed is None


def test_what_was_exposed_before_the_access_log_was_on_or_after_it_was_off_is_not_lost() -> None:
    rows = routed(lost=0.0)
    rows.rows = [
        row
        for row in rows.rows
        if row["SpanName"] == "meshtrial.exposure" or 1000 < int(str(row["Unit"])) < 3000
    ]

    report = judged(rows, LARGE, second=4000)

    assert check(report, "exposures_routed").passed
    assert "of 1,000 (0%)" in check(report, "exposures_routed").detail
    assert check(report, "exposures_recorded").passed


def test_units_that_are_not_final_yet_may_still_be_recorded() -> None:
    rows = routed(lost=0.5)

    report = judged(rows, LARGE, second=9.9)  # of 10 s of window

    assert check(report, "exposures_recorded").passed is not False


def test_without_an_access_log_a_report_says_what_it_cannot_see() -> None:
    rows = rows_of()
    rows.expose(1, "v1", 0)

    report = judged(rows)

    note = check(report, "exposures_recorded")
    assert note.passed is None
    assert "not seen" in note.detail
    assert not {"exposures_routed", "failed_open"} & {c.check for c in report.health}


def test_units_that_were_exposed_and_never_routed_there_make_it_unhealthy() -> None:
    rows = routed()
    rows.rows = [
        row
        for row in rows.rows
        if row["SpanName"] == "meshtrial.exposure" or int(str(row["Unit"])) % 100 != 7  # all of v2
    ]

    report = judged(rows, LARGE, second=4000)

    found = check(report, "exposures_routed")
    assert found.passed is False
    assert "v2 40 of 2,000 (2%), v1 0 of 2,000 (0%)" in found.detail
    assert report.verdict.decision == "unhealthy"


def test_imported_exposures_need_no_request() -> None:
    rows = routed()
    for unit in range(10_000, 10_100):
        rows.expose(unit, "v2" if unit % 2 else "v1", 2)  # no plane: not of a proxy

    assert check(judged(rows, LARGE, second=4000), "exposures_routed").passed


def failing(failed: int, of: int = 1000) -> Trial:
    """So many requests failed open, most of them in the second hour, on the control's route."""
    rows = rows_of(LARGE)
    for unit in range(of - failed):
        rows.expose(unit, "v2" if unit % 2 else "v1", unit)
        rows.request(unit, "v2" if unit % 2 else "v1", unit, Route="rank-control")
    for number in range(failed):
        rows.request(None, None, 3600 + number if number else 10, Route="rank-control")
        rows.request(None, None, 3600 + number, Route="elsewhere")  # of no experiment of ours
    return rows


@pytest.mark.parametrize(("failed", "passed"), [(0, True), (1, True), (2, None), (10, None), (11, False)])
def test_requests_that_failed_open_are_noted_above_one_in_a_thousand_and_fail_above_one_in_a_hundred(
    failed: int,
    passed: bool | None,
) -> None:
    found = check(judged(failing(failed), LARGE, second=8000), "failed_open")

    assert found.passed is passed
    assert f"{failed or 'none of'} " in found.detail


def test_the_worst_hours_and_routes_are_named() -> None:
    detail = check(judged(failing(100), LARGE, second=8000), "failed_open").detail

    assert "100 of 1,000 requests (10%)" in detail
    assert "rank-control 100 of 1,000 (10%)" in detail
    assert "elsewhere" not in detail
    first, second = detail.split("worst hours: ")[1].split("; routes")[0].split(", ")
    assert first.startswith("2026-09-21 15:00 99 of ")
    assert second.startswith("2026-09-21 14:00 1 of ")


def test_exposures_of_one_arm_that_come_too_late_make_it_unhealthy() -> None:
    rows = rows_of(LARGE)
    for unit in range(2000):
        received = nanoseconds(9000) if unit % 50 == 1 else None
        rows.expose(unit, "v2" if unit % 2 else "v1", unit / 1000, ReceivedAt=received)

    report = judged(rows, LARGE, second=10_000)

    found = check(report, "received_in_time")
    table = [[40, 960], [0, 1000]]
    assert found.passed is False
    assert found.p_value == pytest.approx(2 * stats.fisher_exact(table, alternative="greater").pvalue)
    assert "v2 40 of 1,000 (4%), v1 0 of 1,000 (0%)" in found.detail


def test_exposures_that_come_too_late_in_either_arm_are_a_note() -> None:
    rows = rows_of(LARGE)
    for unit in range(2000):
        received = nanoseconds(9000) if unit % 50 < 2 else None
        rows.expose(unit, "v2" if unit % 2 else "v1", unit / 1000, ReceivedAt=received)

    assert check(judged(rows, LARGE, second=10_000), "received_in_time").passed is None


def test_a_trial_that_is_over_stays_healthy_whatever_is_lost_later() -> None:
    rows = rows_of()
    for unit in range(100):
        rows.expose(unit, "v2" if unit % 2 else "v1", unit / 100, Plane="ext_proc")
        rows.request(unit, "v2" if unit % 2 else "v1", unit / 100)
    for unit in range(100, 400):
        rows.request(unit, "v2", 50 + unit / 100)
        rows.request(None, None, 50 + unit / 100)
    rows.expose(400, "v2", 60, Plane="ext_proc")
    rows.request(400, "v2", 60)

    report = judged(rows, second=1000)

    assert report.progress.decided_at is not None
    assert all(c.passed is not False for c in report.health)


def test_before_anybody_was_exposed_nothing_has_passed() -> None:
    rows = rows_of()
    rows.outcome(1, "purchase", 0, amount=1)

    report = judged(rows)

    assert {c.check for c in report.health if c.passed is not None} == set()
    assert check(report, "known_arms").detail == "nothing to check yet: no unit was exposed"
    assert check(report, "sample_ratio").detail == "no arm has units"


def test_requests_that_are_all_decided_pass_before_anybody_was_exposed() -> None:
    rows = rows_of()
    rows.request(1, "v1", 0)

    assert check(judged(rows), "failed_open").passed
