"""Cases of rule 4 that are worked out by hand; tests/laws/test_ramp_laws.py tries all others."""

from dataclasses import replace

import pytest

from meshtrial.analysis.eligible import Eligible, eligible
from meshtrial.analysis.history import FOREVER, Entry, History, Unknown
from meshtrial.plan.model import Experiment, Mode
from plan_values import ARMS, experiment, plan_of

SECOND = 10**9
DAY = 86_400


def ramped(ramp: str, **keys: object) -> Experiment:
    arms = {"v1": {**ARMS["v1"], "weight": 0}, "v2": {**ARMS["v2"], "weight": 100}}
    return plan_of({"rank-v2": experiment(arms, ramp=ramp, **keys)}).experiments[0]


def history(*forms: tuple[float, Experiment]) -> History:
    """Each form from its second on."""
    ends = [round(since * SECOND) for since, _ in forms[1:]] + [FOREVER]
    return History(
        tuple(
            Entry(form.phase, "plan", round(since * SECOND), end, form)
            for (since, form), end in zip(forms, ends, strict=True)
        ),
        (),
        0,
    )


def times(rows: tuple[Eligible, ...], phase: str) -> list[tuple[float, float, str, int, int]]:
    return [
        (row.first_from / SECOND, row.first_to / SECOND, row.arm, row.bucket_from, row.bucket_to)
        for row in rows
        if row.phase == phase
    ]


def test_while_a_ramp_grows_the_buckets_that_move_are_left_out_where_the_window_reaches_over_the_change() -> (
    None
):
    low, high = ramped("10%"), ramped("30%")

    rows = eligible(history((0, low), (10 * DAY, high)), high, closing=7 * DAY)

    before = 3 * DAY  # a window that is open at day 10 began after day 3
    assert times(rows, low.phase) == [
        (0, pytest.approx(before), "v2", 0, 1000),
        (0, pytest.approx(before), "v1", 1000, 10_000),
        (pytest.approx(before), 10 * DAY, "v2", 0, 1000),
        (pytest.approx(before), 10 * DAY, "v1", 3000, 10_000),
    ]
    assert times(rows, high.phase) == [
        (10 * DAY, FOREVER / SECOND, "v2", 0, 3000),
        (10 * DAY, FOREVER / SECOND, "v1", 3000, 10_000),
    ]
    assert [row.first_to for row in rows[:2]] == [
        3 * DAY * SECOND + 1
    ] * 2  # day 3 itself just closes in time


def test_a_growing_ramp_moves_no_unit_of_a_sticky_experiment() -> None:
    low, high = ramped("10%", sticky=True), ramped("30%", sticky=True)

    rows = eligible(history((0, low), (10 * DAY, high)), high, closing=7 * DAY)

    assert times(rows, low.phase) == [(0, 10 * DAY, "v2", 0, 1000), (0, 10 * DAY, "v1", 1000, 10_000)]


@pytest.mark.parametrize(
    "other",
    [
        ramped("10%", salt="other"),
        ramped("10%", hash="xxh64"),
        ramped("10%", buckets=1000),
        ramped("10%", unit={"cookie": "sid"}),
        plan_of({"rank-v2": experiment({**ARMS, "v2": {"weight": 50, "cluster": "new"}})}).experiments[0],
        plan_of({"rank-v2": experiment(control="v2")}).experiments[0],
        plan_of(
            {"rank-v2": {k: v for k, v in experiment(layer="l").items() if k != "unit"}},
            layers={"l": {"unit": {"header": "x-user-id"}}},
        ).experiments[0],
    ],
)
def test_another_comparison_has_no_rows_and_ends_those_before_it(other: Experiment) -> None:
    present = ramped("30%")

    rows = eligible(history((0, present), (10, other), (20, present)), present, closing=2)

    assert {row.phase for row in rows} == {present.phase}
    assert [(row.first_from, row.first_to) for row in rows if row.arm == "v2"] == [
        (0, 8 * SECOND + 1),
        (20 * SECOND, FOREVER),
    ]


def test_a_pause_takes_out_who_met_the_treatment_and_leaves_control() -> None:
    form = ramped("50%")
    pause = replace(form, mode=Mode.PAUSED)

    rows = eligible(history((0, form), (10, pause), (11, form)), form, closing=2)

    assert {row.arm for row in rows if row.first_to == 10 * SECOND} == {"v1"}
    assert not [row for row in rows if row.first_from < 11 * SECOND < row.first_to]


def test_a_phase_that_nobody_knows_takes_out_who_might_have_met_it() -> None:
    form = ramped("50%")
    known = history((0, form))
    unknown = Unknown("lost", 10 * SECOND, 12 * SECOND)

    rows = eligible(History(known.entries, (unknown,), 0), form, closing=2)

    assert {(row.first_from, row.first_to) for row in rows} == {
        (0, 8 * SECOND + 1),
        (12 * SECOND, FOREVER),
    }


def test_where_two_forms_were_in_force_at_once_a_bucket_needs_one_arm_in_both() -> None:
    low, high = ramped("10%"), ramped("30%")
    plain = history((0, low), (10, high))
    stale = History((replace(plain.entries[0], until=15 * SECOND), plain.entries[1]), (), 0)

    rows = eligible(stale, high, closing=1)

    assert (10.0, 15.0, "v2", 0, 1000) in times(rows, high.phase)
    assert (15.0, FOREVER / SECOND, "v2", 0, 3000) in times(rows, high.phase)


@pytest.mark.parametrize(("pause", "closing"), [(6, 3), (8, 1)])
def test_a_pause_within_a_period_counts_before_and_after_it_alike(pause: int, closing: int) -> None:
    form = ramped("50%")
    stop = replace(form, mode=Mode.PAUSED)
    whole = history((0, form), (pause, stop), (pause + 1, form))

    rows = eligible(whole, form, closing, period=5 * SECOND)

    meeting = [row for row in rows if row.first_from < 10 * SECOND and row.first_to > 5 * SECOND]
    assert {row.arm for row in meeting} == {"v1"}
    assert {row.arm for row in rows if row.first_from >= 10 * SECOND} == {"v1", "v2"}


def test_what_comes_into_reach_late_in_a_period_counts_for_all_of_it() -> None:
    form, high = ramped("10%"), ramped("30%")
    stop = replace(form, mode=Mode.PAUSED)
    rows = eligible(history((0, form), (6, stop), (7, form), (9, high)), high, closing=1, period=5 * SECOND)

    second = [row for row in rows if row.phase == form.phase and row.first_to > 5 * SECOND]
    assert {(row.arm, row.bucket_from, row.bucket_to) for row in second} == {("v1", 3000, 10_000)}
