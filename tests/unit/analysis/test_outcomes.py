"""From outcomes to values of units: which ones count, and what is told of the others."""

import pytest

from judged_rows import check, judged, rows_of

NORMAL = "(holdouts, other slices and testers are normal)"


def test_outcomes_of_another_kind_of_unit_count_for_nobody() -> None:
    rows = rows_of()
    for unit in range(100):
        rows.expose(unit, "v2" if unit % 2 else "v1", 0)
    rows.outcome(1, "purchase", 1, amount=1)
    rows.outcome(3, "purchase", 1, amount=1)
    rows.rows[-1]["UnitKind"] = "request"

    assert judged(rows).metrics[0].arms[0].value == 1 / 50


def test_an_outcome_that_nobody_reports_is_told_with_those_that_are() -> None:
    rows = rows_of()
    rows.expose(1, "v1", 0)
    rows.outcome(1, "purchases", 1)

    detail = check(judged(rows), "outcomes_join").detail

    assert detail == "`purchase` (conversion, revenue): no such outcome is stored, but purchases"


def test_only_outcomes_within_a_units_window_count_and_the_others_are_told() -> None:
    rows = rows_of()
    for unit in range(100):
        rows.expose(unit, "v2" if unit % 2 else "v1", 10)
    rows.outcome(1, "purchase", 10, amount=1)  # the window begins with the exposure
    rows.outcome(3, "purchase", 19.999, amount=2)
    rows.outcome(5, "purchase", 20, amount=4)  # and ends before its last moment
    rows.outcome(7, "purchase", 9.9, amount=8)
    rows.outcome(4711, "purchase", 12, amount=16)
    rows.outcome(9, "purchase", 12)  # lacks the amount
    rows.outcome(9, "refund", 12, amount=32)

    report = judged(rows)

    conversion, revenue = report.metrics
    assert conversion.arms[0].value == 3 / 50
    assert revenue.arms[0].value == pytest.approx(3 / 50)
    detail = check(report, "outcomes_join").detail
    assert detail == (
        f"`purchase` (conversion, revenue): 1 outcome belongs to a unit that was never exposed {NORMAL}, "
        "1 came before the unit's exposure, 1 came after the window; "
        "revenue: 1 outcome lacks the field `amount`, taken as 0"
    )


def test_outcomes_that_join_no_unit_are_told_in_a_sentence() -> None:
    rows = rows_of()
    rows.expose(1, "v2", 10)
    rows.expose(2, "v1", 10)
    for unit in (1, 2):
        rows.outcome(unit, "purchase", 9.9, amount=1)
    for unit in range(4711, 4714):
        rows.outcome(unit, "purchase", 12, amount=1)

    detail = check(judged(rows), "outcomes_join").detail

    assert detail.partition("; ")[0] == (
        f"`purchase` (conversion, revenue): 3 outcomes belong to units that were never exposed {NORMAL}, "
        "2 came before the unit's exposure"
    )
