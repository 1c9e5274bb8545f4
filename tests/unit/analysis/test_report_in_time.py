"""Reports of trials with several looks, at different times: what is said, what is withheld, what stays."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judged_rows import judged, numbers, plan_of, rows_of
from meshtrial.analysis.report_parts import ComparisonPart, Report
from meshtrial.plan.model import Plan
from trial_rows import Trial

ONE = ("        - {metric: revenue, direction: up, minimum_effect: 5% relative}\n", "")
SECONDS = ("minimum_duration: 1s", "minimum_duration: 24s")  # periods of a second
LOOKS = plan_of(
    ONE, SECONDS, ("method: fixed", "method: group_sequential\n      looks: 4"), ("units: 100", "units: 400")
)
LATE = plan_of(ONE, SECONDS, ("lateness: 0s", "lateness: 20s"))
ANY_TIME = plan_of(ONE, SECONDS, ("method: fixed", "method: sequential"), ("units: 100", "units: 400"))


def rows(plan: Plan, v1: float, v2: float, units: int = 500, seed: int = 1) -> Trial:
    """Five units a second from second 0 on; who buys does so within 9 s."""
    chance, made = random.Random(seed), rows_of(plan)
    for unit in range(units):
        arm, rate = ("v2", v2) if unit % 2 else ("v1", v1)
        made.expose(unit, arm, unit / 5)
        if chance.random() < rate:
            made.outcome(unit, "purchase", unit / 5 + chance.uniform(0, 9))
    return made


def told(report: Report) -> ComparisonPart:
    return report.metrics[0].comparisons[0]


def test_a_trial_that_goes_on_tells_its_chances_and_one_that_stopped_its_correction() -> None:
    made = rows(LOOKS, 0.3, 0.5)
    between, stopped = judged(made, LOOKS, second=35), judged(made, LOOKS, second=200)

    assert (between.verdict.decision, between.verdict.rule) == ("wait", "more_to_come")
    assert [look.share for look in between.progress.looks] == [0.3]  # at the minimum duration
    assert told(between).effect is not None
    assert 0 < (told(between).conditional_power or 0) < 1
    assert (told(between).stopped, between.progress.decided_at) == (None, None)
    assert stopped.verdict.decision == "ship"
    assert stopped.progress.decided_at == stopped.progress.looks[-1].taken
    corrected = told(stopped).stopped
    assert corrected is not None
    assert corrected.interval[0] < corrected.estimate < corrected.interval[1]
    assert corrected.p_value < 0.05
    assert told(stopped).conditional_power is None


def test_a_trial_that_stopped_early_says_the_same_for_ever() -> None:
    made = rows(LOOKS, 0.2, 0.7)
    first = judged(made, LOOKS, second=52)  # the second look's units are final at second 50
    assert first.verdict.decision == "ship"
    for unit in range(9000, 9400):
        made.expose(unit, "v2", 90)

    later = judged(made, LOOKS, second=10_000)

    assert numbers(later.verdict) == numbers(first.verdict)
    assert numbers(later.metrics) == numbers(first.metrics)
    assert later.arms == first.arms
    assert later.progress.looks == first.progress.looks


def test_a_peek_between_looks_is_by_the_units_that_are_final_now() -> None:
    made = rows(LOOKS, 0.3, 0.45)

    looked, peeked = (judged(made, LOOKS, second=45, peek=peek) for peek in (False, True))

    assert sum(arm.units for arm in looked.metrics[0].arms) == 120
    assert sum(arm.units for arm in peeked.metrics[0].arms) == 175
    assert told(peeked).withheld == "a peek, not valid for a decision: the next look is not due yet"
    assert (told(looked).withheld, peeked.verdict) == (None, looked.verdict)
    assert (told(peeked).stopped, told(peeked).conditional_power) == (None, None)


def test_a_sequential_trial_is_looked_at_whenever_it_is_asked() -> None:
    made = rows(ANY_TIME, 0.3, 0.8)

    for second, units in ((35, 125), (41, 155), (55, 225)):
        report = judged(made, ANY_TIME, second=second)
        assert sum(arm.units for arm in report.metrics[0].arms) == units
        assert told(report).interval is not None
    assert judged(made, ANY_TIME, second=20).verdict.rule == "too_young"
    assert judged(made, ANY_TIME, second=55).verdict.decision == "ship"


def test_what_is_received_too_late_never_counts_whenever_the_report_is_made() -> None:
    """A unit is final 30 s after its exposure, its window and 20 s of lateness; units come for 24 s."""
    made = rows_of(LATE)
    for unit in range(100):
        made.expose(unit, "v2" if unit % 2 else "v1", 0)
        if unit % 5 == 0:
            made.outcome(unit, "purchase", 5)
    for unit, received in ((1, 29.9), (3, 30.1), (7, 500)):
        made.outcome(unit, "purchase", 9)
        made.rows[-1]["ReceivedAt"] = round((1_790_000_000 + received) * 1e9)

    for second in (54, 100, 10_000):
        values = {arm.arm: arm.value for arm in judged(made, LATE, second=second).metrics[0].arms}
        assert values["v2"] == pytest.approx(11 / 50)
    assert judged(made, LATE, second=53.9).verdict.decision == "wait"


@settings(max_examples=10)
@given(
    st.sampled_from([LOOKS, ANY_TIME]),
    st.integers(11, 120),
    st.floats(0, 0.99),
    st.integers(0, 10_000),
)
def test_within_a_period_the_same_is_said_whatever_arrives(
    plan: Plan, second: int, more: float, seed: int
) -> None:
    """No period closes between the two reports, so units that come in between are in neither."""
    made = rows(plan, 0.3, 0.4, seed=seed)
    before = judged(made, plan, second=second)
    for unit in range(7000, 7020):
        made.expose(unit, "v2" if unit % 2 else "v1", second + more / 2)
        made.outcome(unit, "purchase", second + more / 2)

    after = judged(made, plan, second=second + more)

    assert numbers(after.metrics) == numbers(before.metrics)
    assert numbers(after.progress) == numbers(before.progress)
    assert numbers(after.verdict) == numbers(before.verdict)
