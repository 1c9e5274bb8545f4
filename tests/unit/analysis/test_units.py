"""From exposures to units: who counts, where, and who is left out."""

from judged_rows import check, hundred, judged, rows_of


def test_a_moment_far_in_the_future_breaks_no_report() -> None:
    rows = rows_of()
    rows.expose(1, "v1", 0, Timestamp=2**63 - 1000)
    outcome = {"SpanName": "meshtrial.outcome", "Outcome": "purchase", "OutcomeValues": []}
    rows.rows.append({**rows.rows[0], **outcome})

    assert judged(rows).verdict.decision == "wait"


def test_of_two_exposures_at_one_moment_the_order_of_rows_does_not_decide() -> None:
    for order in (1, -1):
        rows = rows_of()
        for arm, trace in (("v1", "aa"), ("v2", "bb"))[::order]:
            rows.expose(1, arm, 5, TraceId=trace, SpanId="01")
        assert [(arm.arm, arm.units) for arm in judged(rows).arms] == [("v2", 0), ("v1", 1)]


def test_an_exposure_without_an_arm_is_nobodys() -> None:
    rows = rows_of()
    rows.expose(1, "v1", 0, Arm=None)
    rows.expose(2, "v9", 0)

    assert judged(rows).verdict.decision == "unhealthy"


def test_a_unit_belongs_to_the_arm_that_it_met_first() -> None:
    rows = rows_of()
    rows.expose(1, "v1", 5)
    rows.expose(1, "v2", 3)
    rows.expose(1, "v1", 4)

    assert [(arm.arm, arm.units) for arm in judged(rows).arms] == [("v2", 1), ("v1", 0)]


def test_who_was_not_exposed_is_not_counted() -> None:
    rows = rows_of()
    rows.expose(1, "v1", 5, exposed=False)

    report = judged(rows)

    assert [arm.units for arm in report.arms] == [0, 0]
    assert report.verdict.reasons == ("no unit was exposed yet",)


def test_units_of_an_earlier_allocation_are_left_out_and_counted() -> None:
    rows, _, _ = hundred(0.5, 0.5)
    rows.expose(500, "v1", -5, phase="before")
    rows.expose(500, "v2", 5)

    report = judged(rows)

    assert sum(arm.units for arm in report.arms) == 100
    noted = check(report, "one_allocation")
    assert noted.passed is None
    assert noted.detail.startswith("1 units are left out: first exposed under an allocation")


def test_units_of_another_kind_are_counted_as_of_another_allocation() -> None:
    rows = rows_of()
    for unit in range(30):
        rows.expose(unit, "v1", 0, UnitKind="header:x-session")

    report = judged(rows)

    assert report.verdict.reasons == (
        "no unit was exposed under the present allocation, 30 were under another",
    )
    assert check(report, "one_allocation").passed is None


def test_a_store_of_other_experiments_says_so() -> None:
    rows = rows_of()
    rows.expose(1, "v1", 0, Experiment="other")
    rows.expose(1, "v1", 0, Experiment="another")

    assert judged(rows).verdict.reasons == ("the store has no exposure of rank-v2, but of another, other",)
