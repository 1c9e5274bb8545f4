"""Weights by cohort: the arms are compared within cohorts, so that the weights fake no effect."""

import random
from collections.abc import Iterable

import numpy as np
import pytest
from scipy import stats

from judged_rows import check, judged, rows_of
from meshtrial.plan.load import load
from meshtrial.plan.model import Plan
from meshtrial.stats.estimate import Difference
from meshtrial.stats.proportion import Proportion, compare_proportions
from plan_texts import RANK
from trial_rows import Trial

COHORTS = """\
cohorts:
  enterprise: [{header: x-plan, in: [enterprise]}]
experiments:"""


def plan_of(v2: str, v1: str, *changes: tuple[str, str]) -> Plan:
    """RANK with these weights, written as flow mappings."""
    text = RANK.replace("experiments:", COHORTS).replace("v2: {weight: 50", f"v2: {{weight: {v2}")
    text = text.replace("v1: {weight: 50", f"v1: {{weight: {v1}")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return load(text, "plan.yaml")


PLAN = plan_of("{default: 50, enterprise: 10}", "{default: 50, enterprise: 90}")


def counts(rows: Trial, cells: Iterable[tuple[str, str, int, int]]) -> None:
    """Expose (cohort, arm, units, of them buyers) at second 0, buyers buy for 1."""
    unit = 0
    for cohort, arm, units, buyers in cells:
        for index in range(units):
            unit += 1
            rows.expose(unit, arm, 0, Cohort=cohort)
            if index < buyers:
                rows.outcome(unit, "purchase", 1, amount=1 + index % 2)


def test_cohorts_of_other_rates_and_weights_fake_no_effect() -> None:
    """Nothing works here. Enterprise buys more and is mostly in v1, which alone makes v2 look worse."""
    chance = random.Random(2026)
    cells = []
    for cohort, units, share, rate in (("default", 1500, 0.5, 0.1), ("enterprise", 500, 0.1, 0.4)):
        in_v2 = sum(chance.random() < share for _ in range(units))
        for arm, size in (("v2", in_v2), ("v1", units - in_v2)):
            cells.append((cohort, arm, size, sum(chance.random() < rate for _ in range(size))))
    rows = rows_of(PLAN)
    counts(rows, cells)

    report = judged(rows, PLAN)

    arms = {
        arm: Proportion(sum(c[2] for c in cells if c[1] == arm), sum(c[3] for c in cells if c[1] == arm))
        for arm in ("v1", "v2")
    }
    naive = compare_proportions(arms["v1"], arms["v2"], 0.025)
    assert isinstance(naive, Difference)
    assert naive.p_value < 1e-6
    assert naive.interval.high < -0.05
    conversion = report.metrics[0]
    [told] = conversion.comparisons
    assert told.effect is not None
    assert told.p_value is not None
    assert told.interval is not None
    assert abs(told.effect) < 0.03
    assert told.p_value > 0.05
    assert told.interval[0] < 0 < told.interval[1]
    assert (told.method or "").startswith("stratified")
    values = {arm.arm: arm.value for arm in conversion.arms}
    assert values["v2"] - values["v1"] == pytest.approx(told.effect)  # type: ignore[operator] # both are shown
    assert report.verdict.decision == "keep_control"


def test_the_effect_is_the_cohorts_effects_weighed_by_their_sizes() -> None:
    rows = rows_of(PLAN)
    cells = [("default", "v2", 450, 135), ("default", "v1", 450, 90)]
    counts(rows, [*cells, ("enterprise", "v2", 60, 15), ("enterprise", "v1", 540, 270)])

    [told] = judged(rows, PLAN).metrics[0].comparisons

    assert told.effect == pytest.approx(0.6 * (0.3 - 0.2) + 0.4 * (0.25 - 0.5))


def test_a_unit_stays_in_the_cohort_and_arm_that_it_met_first_and_later_ones_are_told() -> None:
    rows = rows_of(PLAN)
    rows.expose(1, "v2", 0, Cohort="default")
    rows.expose(1, "v1", 5, Cohort="enterprise")
    rows.expose(2, "v1", 0, Cohort="default")
    rows.expose(2, "v1", 5, Cohort="enterprise")  # the same arm: nothing to tell

    report = judged(rows, PLAN, second=9)

    cohorts = {(a.arm, c.cohort): c.units for a in report.arms for c in a.cohorts}
    assert cohorts == {
        ("v2", "default"): 1,
        ("v2", "enterprise"): 0,
        ("v1", "default"): 1,
        ("v1", "enterprise"): 0,
    }
    assert check(report, "cohorts").detail == "1 units later met another arm in another cohort"


def test_sizes_are_held_against_each_cohorts_own_shares() -> None:
    rows = rows_of(PLAN)
    cells = [("default", "v2", 480, 9), ("default", "v1", 520, 9)]
    counts(rows, [*cells, ("enterprise", "v2", 45, 9), ("enterprise", "v1", 355, 9)])

    report = judged(rows, PLAN)

    found = check(report, "sample_ratio")
    assert found.passed
    assert found.detail.startswith(
        "default: v2 480 (50% planned), v1 520 (50% planned); "
        "enterprise: v2 45 (10% planned), v1 355 (90% planned)"
    )
    shares = {(a.arm, c.cohort): c.share for a in report.arms for c in a.cohorts}
    assert (shares["v2", "default"], shares["v2", "enterprise"]) == (0.5, 0.1)
    assert report.arms[0].share == pytest.approx((1000 * 0.5 + 400 * 0.1) / 1400)


def test_one_cohort_of_the_wrong_sizes_makes_the_trial_unhealthy_though_the_arms_as_wholes_are_right() -> (
    None
):
    rows = rows_of(PLAN)
    cells = [("default", "v2", 600, 9), ("default", "v1", 400, 9)]
    counts(rows, [*cells, ("enterprise", "v2", 0, 0), ("enterprise", "v1", 1000, 9)])
    assert stats.chisquare([600, 1400], [600, 1400]).pvalue == 1  # by 50% and 10%, summed over cohorts

    report = judged(rows, PLAN)

    assert report.verdict.decision == "unhealthy"
    found = check(report, "sample_ratio")
    assert found.passed is False
    e_value = 1.0  # all units came at once: one look at a Dirichlet mixture around the planned shares
    for counts_, shares in (([600, 400], [0.5, 0.5]), ([0, 1000], [0.1, 0.9])):
        mixture = stats.dirichlet_multinomial.logpmf(counts_, 100 * np.array(shares), 1000)
        e_value *= np.exp(mixture - stats.multinomial.logpmf(counts_, 1000, shares))
    assert found.p_value == pytest.approx(1 / e_value)


def test_a_cohort_of_which_an_arm_gets_no_share_is_left_out_and_does_not_fill_the_planned_size() -> None:
    plan = plan_of("{default: 50, enterprise: 0}", "{default: 50, enterprise: 100}")
    rows = rows_of(plan)
    counts(rows, [("default", "v2", 30, 9), ("default", "v1", 30, 6), ("enterprise", "v1", 500, 400)])

    early = judged(rows, plan)
    assert early.verdict.reasons == ("60 of 100 planned units have closed windows",)

    for unit in range(1000, 1040):
        rows.expose(unit, "v2" if unit % 2 else "v1", 0, Cohort="default")
    report = judged(rows, plan)
    [told] = report.metrics[0].comparisons
    assert told.effect == pytest.approx(9 / 50 - 6 / 50)
    assert [(a.arm, a.units) for a in report.metrics[0].arms] == [("v2", 50), ("v1", 50)]
    noted = check(report, "cohorts")
    assert (noted.passed, noted.detail) == (None, "enterprise is left out, with too few units in some arm")


@pytest.mark.parametrize("thin", [1, 49])
def test_a_cohort_with_few_units_in_an_arm_is_left_out_and_named(thin: int) -> None:
    rows = rows_of(PLAN)
    cells = [("default", "v2", 50, 15), ("default", "v1", 50, 10)]
    counts(rows, [*cells, ("enterprise", "v2", thin, 1), ("enterprise", "v1", 4 * thin, 0)])

    report = judged(rows, PLAN)

    [told] = report.metrics[0].comparisons
    assert told.effect == pytest.approx(0.1)
    assert "enterprise is left out, with too few units in some arm" in check(report, "cohorts").detail


def test_where_no_cohort_has_units_of_all_arms_nothing_is_estimated() -> None:
    rows = rows_of(PLAN)
    counts(rows, [("default", "v1", 100, 9), ("enterprise", "v1", 100, 9)])

    report = judged(rows, PLAN)

    for metric in report.metrics:
        assert metric.comparisons[0].effect is None
        assert metric.comparisons[0].not_estimable == "no day, phase or cohort has enough units in both arms"


def test_units_without_a_cohort_of_the_plan_make_it_unhealthy() -> None:
    rows = rows_of(PLAN)
    counts(rows, [("default", "v2", 50, 9), ("default", "v1", 50, 9)])
    rows.expose(9000, "v2", 0)
    rows.expose(9001, "v2", 0, Cohort="trial")

    report = judged(rows, PLAN)

    assert report.verdict.decision == "unhealthy"
    assert check(report, "cohorts").detail == ("units in cohorts that have no weights in the plan: trial 1")


def test_an_experiment_of_one_split_has_no_cohorts_to_tell() -> None:
    plan = load(RANK, "plan.yaml")
    rows = rows_of(plan)
    counts(rows, [("default", "v2", 50, 9), ("default", "v1", 50, 9)])

    report = judged(rows, plan)

    assert [a.cohorts for a in report.arms] == [(), ()]
    assert "cohorts" not in {part.check for part in report.health}


def test_under_a_ramp_the_sizes_are_held_against_the_live_shares() -> None:
    plan = load(RANK.replace("    control: v1\n", "    control: v1\n    ramp: 20%\n"), "plan.yaml")
    rows = rows_of(plan)
    counts(rows, [("default", "v2", 100, 9), ("default", "v1", 900, 9)])

    report = judged(rows, plan)

    assert check(report, "sample_ratio").p_value == 1
    assert [(a.arm, a.share) for a in report.arms] == [("v2", 0.1), ("v1", 0.9)]


def test_a_forced_visit_is_told_and_its_unit_still_counted() -> None:
    plan = load(RANK, "plan.yaml")
    rows = rows_of(plan)
    counts(rows, [("default", "v2", 50, 9), ("default", "v1", 50, 9)])
    rows.expose(1, "v1", 0.5, exposed=False, Reason="targeting_match")  # 1 is of v2
    rows.expose(2, "v2", 0.5, exposed=False, Reason="targeting_match")  # its own arm
    rows.expose(9000, "v2", 0.5, exposed=False, Reason="targeting_match")  # never exposed
    rows.expose(3, "v1", 0.5, exposed=False, Reason="holdout")

    report = judged(rows, plan)

    assert [(a.arm, a.units) for a in report.arms] == [("v2", 50), ("v1", 50)]
    noted = check(report, "forced_units")
    ignored = "met another arm by a tester's signed header: forced requests are ignored;"
    assert noted.passed is None
    assert noted.detail == f"1 unit {ignored} this unit's ordinary exposures count"

    rows.expose(3, "v2", 0.5, exposed=False, Reason="targeting_match")  # 3 is of v2 or of v1,
    rows.expose(3, "v1", 0.5, exposed=False, Reason="targeting_match")  # and met the other
    detail = check(judged(rows, plan), "forced_units").detail
    assert detail == f"2 units {ignored} these units' ordinary exposures count"


@pytest.mark.parametrize(
    "reason", ["default", "disabled", "targeting_match", "holdout", "washout", "carried"]
)
def test_who_is_not_exposed_is_not_analysed_whatever_the_reason(reason: str) -> None:
    rows = rows_of(PLAN)
    rows.expose(1, "v1", 0, exposed=False, Reason=reason, Cohort="default")

    assert judged(rows, PLAN, second=9).verdict.reasons == ("no unit was exposed yet",)
