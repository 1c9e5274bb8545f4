"""Groups: their curves, their strata, and what arms of neighbouring groups do."""

from typing import Any

import numpy as np
import pytest
from statsmodels.regression.linear_model import OLS

from judged_rows import judged, rows_of
from meshtrial.analysis.report_beside_parts import SpillOverPart
from meshtrial.analysis.report_parts import Report
from meshtrial.plan.model import Plan
from plan_values import experiment, plan_of
from trial_rows import Trial

DAY = 86_400
SHOPS, MEMBERS = 120, 10
ARMS = {"v1": {"weight": 50, "cluster": "a"}, "v2": {"weight": 50, "cluster": "b"}}
SPENT = {"kind": "mean", "outcome": "purchase", "value": "amount", "window": "1h"}


def planned(**keys: Any) -> Plan:
    decision = {
        "method": "fixed",
        "alpha": 0.05,
        "power": 0.8,
        "planned_units": SHOPS * MEMBERS,
        "minimum_duration": "1d",
        "lateness": "0s",
        "primary": [{"metric": "spent", "direction": "up", "minimum_effect": 0.5}],
    }
    unit = {"group": {"header": "x-shop"}, "members": {"header": "x-user-id"}}
    one = {**experiment(ARMS, decision=decision, **keys), "unit": unit}
    return plan_of({"rank-v2": one}, metrics={"spent": SPENT})


RING = planned(neighbours={"header": "x-near"})


def on_a_ring(rng: np.random.Generator, own: float, around: float) -> tuple[Trial, np.ndarray, np.ndarray]:
    """Shops with the next one and the one after, named by some members; the last 20 have no neighbours."""
    treated = rng.random(SHOPS) < 0.5
    ring = SHOPS - 20
    near = [[(shop + 1) % ring, (shop + 2) % ring] for shop in range(ring)] + [[]] * 20
    shares = np.array([treated[others].mean() if others else np.nan for others in near])
    amounts = rng.normal(20, 2, (SHOPS, MEMBERS)) + rng.normal(0, 0.5, (SHOPS, 1))
    amounts += own * treated[:, None] + around * np.nan_to_num(shares, nan=2.0)[:, None]
    rows = rows_of(RING)
    for shop in range(SHOPS):
        for member in range(MEMBERS):
            unit = shop * MEMBERS + member
            named = near[shop][member % 2 :][:1] if member < 4 else None
            named = [*named, 999_999, shop] if named is not None else None  # one that is in no trial
            rows.expose(
                unit, "v2" if treated[shop] else "v1", (member // 5) * DAY, Group=shop, Neighbours=named
            )
            rows.outcome(unit, "purchase", (member // 5) * DAY + 60, amount=float(amounts[shop, member]))
    return rows, treated, amounts


def spill_over(report: Report) -> SpillOverPart:
    assert report.interference is not None
    assert report.interference.withheld is None
    [only] = report.interference.primaries
    return only


def test_effects_of_a_groups_own_arm_and_of_its_neighbours_are_those_of_a_regression() -> None:
    rows, treated, amounts = on_a_ring(np.random.default_rng(1), 1.0, 2.0)

    found = spill_over(judged(rows, RING, second=30 * DAY))

    ring = SHOPS - 20
    share = np.array([(int(treated[(i + 1) % ring]) + int(treated[(i + 2) % ring])) / 2 for i in range(ring)])
    design = np.column_stack([np.ones(ring), treated[:ring], share])
    fit = OLS(amounts[:ring].mean(axis=1), design).fit(cov_type="HC2")
    assert (found.groups, found.left_out) == (ring, 20)
    for part, effect, error in zip((found.own, found.neighbours), fit.params[1:], fit.bse[1:], strict=True):
        assert (part.effect, part.standard_error) == pytest.approx((effect, error))
    assert found.everywhere.effect == pytest.approx(fit.params[1] + fit.params[2])
    assert found.shares == (0, 1)
    assert (found.neighbours.p_value or 1) < 1e-6
    assert (found.own.control_units, found.own.arm_units) == (
        int((~treated[:ring]).sum()),
        treated[:ring].sum(),
    )


def test_without_neighbours_in_the_trial_nothing_is_told() -> None:
    rows = rows_of(RING)
    for unit in range(SHOPS * MEMBERS):
        shop = unit // MEMBERS
        rows.expose(unit, "v2" if shop % 2 else "v1", 0, Group=shop, Neighbours=[shop, 1_000_000])
        rows.outcome(unit, "purchase", 60, amount=unit % 7)

    found = spill_over(judged(rows, RING, second=30 * DAY))

    assert found.own.not_estimable == "no group named neighbours that are in the trial"
    assert (found.groups, found.left_out) == (0, SHOPS)


def test_curves_of_groups_have_the_errors_of_groups() -> None:
    rows, treated, amounts = on_a_ring(np.random.default_rng(2), 1.0, 0.0)

    report = judged(rows, RING, second=30 * DAY)

    assert report.over_time is not None
    [course] = report.over_time.courses
    for day, point in enumerate(course.by_day):
        means = amounts[:, 5 * day : 5 * day + 5].mean(axis=1)
        gap = means[treated].mean() - means[~treated].mean()
        error = np.hypot(*(means[arm].std(ddof=1) / np.sqrt(arm.sum()) for arm in (treated, ~treated)))
        assert (point.effect.effect, point.effect.standard_error) == pytest.approx((gap, error), rel=0.02)
    told = report.metrics[0].comparisons[0]
    assert course.grown[-1].effect.effect == pytest.approx(told.effect)
    assert course.by_first_exposure is not None
    assert course.by_first_exposure.not_estimable == "a group has early and late units, which are alike"
    assert course.since_exposure is None


def test_strata_of_groups_are_compared_with_the_errors_of_groups_and_not_tested() -> None:
    plan = planned(strata=["x-device"])
    rng = np.random.default_rng(3)
    rows = rows_of(plan)
    amounts = rng.normal(20, 2, (SHOPS, MEMBERS)) + rng.normal(0, 2, (SHOPS, 1))
    for shop in range(SHOPS):
        for member in range(MEMBERS):
            unit = shop * MEMBERS + member
            device = [("x-device", "ab"[member % 2])]
            rows.expose(unit, "v2" if shop % 2 else "v1", 0, Group=shop, Strata=device)
            rows.outcome(unit, "purchase", 60, amount=float(amounts[shop, member]))

    cohorts = judged(rows, plan, second=30 * DAY).cohorts

    assert cohorts is not None
    [told] = cohorts.breakdowns
    means = amounts[:, ::2].mean(axis=1)
    error = np.hypot(*(means[arm::2].std(ddof=1) / np.sqrt(SHOPS / 2) for arm in (0, 1)))
    assert told.values[0].effect.standard_error == pytest.approx(error, rel=0.02)
    assert told.interaction.not_estimable == "groups have units of several values, which are alike"
    assert cohorts.post_stratified == ()


def test_a_stratum_that_one_arm_lacks_is_not_estimated() -> None:
    plan = planned(strata=["x-device"])
    rows = rows_of(plan)
    for shop in range(SHOPS):
        for member in range(MEMBERS):
            unit = shop * MEMBERS + member
            strata = [] if unit == 0 else [("x-device", "ab"[member % 2])]
            rows.expose(unit, "v2" if shop % 2 else "v1", 0, Group=shop, Strata=strata)
            rows.outcome(unit, "purchase", 60, amount=float(unit % 7))

    cohorts = judged(rows, plan, second=30 * DAY).cohorts

    assert cohorts is not None
    values = {value.value: value.effect for value in cohorts.breakdowns[0].values}
    assert values[""].not_estimable is not None
    assert values["a"].effect is not None


def test_a_switchback_is_told_as_a_whole_only() -> None:
    unit = {"switchback": {"key": {"header": "x-city"}, "window": "30m"}}
    one: Any = {**experiment(ARMS), "unit": unit}
    one["decision"] |= {"planned_units": 100, "minimum_duration": "1d", "lateness": "0s"}
    plan = plan_of(
        {"rank-v2": one}, metrics={"conversion": {"kind": "proportion", "outcome": "o", "window": "30m"}}
    )
    rows = rows_of(plan)
    for window in range(200):
        rows.expose(1, "v2" if window % 3 else "v1", window * 1800, Window=window)

    report = judged(rows, plan, second=30 * DAY)

    assert report.over_time is not None
    assert [course.not_estimable for course in report.over_time.courses] == [
        "a switchback is judged as a whole: its windows are not told by parts"
    ]
