"""What is randomised in groups or windows is judged as such, and not by unit."""

import numpy as np
import pytest
from scipy import stats

from meshtrial.analysis.report import make_report
from meshtrial.analysis.report_parts import ComparisonPart, HealthPart, Report
from meshtrial.plan.load import load
from meshtrial.plan.model import Plan
from plan_texts import RANK
from trial_rows import Trial, nanoseconds

BY_USER = "unit: {header: x-user-id}"
ONE = RANK.replace("        - {metric: revenue, direction: up, minimum_effect: 5% relative}\n", "")
STORES = load(
    ONE.replace(BY_USER, "unit: {group: {header: x-store}, members: {header: x-user-id}}"), "p.yaml"
)
CITIES = load(ONE.replace(BY_USER, "unit: {switchback: {key: {header: x-city}, window: 30m}}"), "p.yaml")


def judged(rows: Trial, plan: Plan) -> Report:
    with rows.connection() as connection:
        return make_report(connection, plan, plan.experiments[0], nanoseconds(1000))


def check(report: Report, name: str) -> HealthPart:
    return next(part for part in report.health if part.check == name)


def stores() -> Trial:
    """60 stores with 5 members each; every member of v2's buys, which by unit would be a sure effect."""
    rows = Trial(STORES.experiments[0].phase, STORES.digest)
    for store in range(60):
        arm = "v2" if store < 20 else "v1"
        for member in range(5):
            unit = store * 5 + member
            rows.expose(unit, arm, 0, Group=store)
            if arm == "v2" or member == 0:
                rows.outcome(unit, "purchase", 1, amount=5)
    return rows


def cities() -> Trial:
    """4 cities, each in 30 windows, half of them in v2."""
    experiment = CITIES.experiments[0]
    rows = Trial(experiment.phase, CITIES.digest, kind=experiment.unit.kind)
    for window in range(30):
        for city in range(4):
            for request in range(3):
                rows.expose(city, "v2" if (window + city) % 2 else "v1", window + request / 10, Window=window)
            rows.outcome(city, "purchase", window + 1, amount=5)
    return rows


def compared(report: Report) -> ComparisonPart:
    [comparison] = report.metrics[0].comparisons
    return comparison


def alike(shift: float, seed: int) -> tuple[Trial, dict[str, np.ndarray]]:
    """80 stores of 10 members, whose shares of buyers differ by store; and these shares by arm."""
    rng = np.random.default_rng(seed)
    rows = Trial(STORES.experiments[0].phase, STORES.digest)
    shares: dict[str, list[float]] = {"v1": [], "v2": []}
    for store in range(80):
        arm = "v2" if store % 2 else "v1"
        rate = rng.beta(2, 4) + (shift if arm == "v2" else 0)
        bought = rng.random(10) < rate
        shares[arm].append(float(bought.mean()))
        for member in range(10):
            unit = store * 10 + member
            rows.expose(unit, arm, 0, Group=store)
            if bought[member]:
                rows.outcome(unit, "purchase", 1, amount=5)
    return rows, {arm: np.array(of_arm) for arm, of_arm in shares.items()}


def test_groups_of_one_size_are_compared_by_their_means() -> None:
    rows, shares = alike(0.0, 1)
    report = judged(rows, STORES)

    found = compared(report)
    told = stats.ttest_ind(shares["v2"], shares["v1"], equal_var=False)
    assert found.method is not None
    assert "cluster-robust" in found.method
    assert found.effect == pytest.approx(shares["v2"].mean() - shares["v1"].mean())
    assert found.effect is not None
    assert found.standard_error == pytest.approx(found.effect / told.statistic, rel=0.02)
    assert report.verdict.decision == "keep_control"


def test_a_sure_effect_of_groups_ships() -> None:
    report = judged(alike(0.4, 2)[0], STORES)

    assert (report.verdict.decision, report.verdict.arm) == ("ship", "v2")


def test_three_groups_in_an_arm_are_too_few_to_tell() -> None:
    rows = Trial(STORES.experiments[0].phase, STORES.digest)
    for unit in range(200):
        rows.expose(unit, "v2" if unit % 2 else "v1", 0, Group=unit % 6)
        rows.outcome(unit, "purchase", 1, amount=5)

    assert compared(judged(rows, STORES)).not_estimable == "the control arm has 3 clusters, and it takes 4"


def test_a_sure_effect_of_a_switchback_is_found_by_drawing_allocations_again() -> None:
    experiment = CITIES.experiments[0]
    rows = Trial(experiment.phase, CITIES.digest, kind=experiment.unit.kind)
    rng = np.random.default_rng(3)
    for window in range(30):
        for city in range(4):
            arm = "v2" if rng.random() < 0.5 else "v1"
            rows.expose(city, arm, window, Window=window)
            if rng.random() < (0.9 if arm == "v2" else 0.1):
                rows.outcome(city, "purchase", window + 0.5, amount=5)
    report = judged(rows, CITIES)

    found = compared(report)
    assert found.method == "Horvitz-Thompson over windows, p-value by re-draws"
    assert found.effect == pytest.approx(0.8, abs=0.15)
    assert found.p_value == pytest.approx(1 / 10_001)
    assert (report.verdict.decision, report.verdict.arm) == ("ship", "v2")


def test_an_outcome_of_a_switchback_belongs_to_the_window_whose_exposure_came_before_it() -> None:
    """Every purchase comes late, in the next window of time, when the other arm has begun."""
    experiment = CITIES.experiments[0]
    rows = Trial(experiment.phase, CITIES.digest, kind=experiment.unit.kind)
    for window in range(60):
        for city in range(4):
            arm = "v2" if (window // 2 + city) % 2 else "v1"
            rows.expose(city, arm, window, Window=window)
            if arm == "v2":
                rows.outcome(city, "purchase", window + 0.999, amount=5)
    report = judged(rows, CITIES)

    values = {arm.arm: arm.value for arm in report.metrics[0].arms}
    assert values["v2"] is not None
    assert values["v1"] is not None
    assert values["v2"] - values["v1"] == pytest.approx(1.0, abs=0.05)


def test_sample_ratio_of_groups_counts_groups() -> None:
    report = judged(stores(), STORES)

    assert [(a.arm, a.units) for a in report.arms] == [("v2", 100), ("v1", 200)]
    found = check(report, "sample_ratio")
    assert found.passed  # members, of which 200 against 100 is surely no half, do not count
    assert stats.chisquare([100, 200]).pvalue < 0.001
    assert found.detail == "v2 20 groups (50% planned), v1 40 groups (50% planned)"


def test_a_member_of_two_groups_counts_in_each_of_them() -> None:
    rows = stores()
    for store in range(100, 160):
        rows.expose(0, "v2", 0, Group=store)

    assert check(judged(rows, STORES), "sample_ratio").detail.startswith("v2 80 groups")


def test_a_switchbacks_unit_is_a_key_in_one_window_and_its_ratio_is_not_judged() -> None:
    report = judged(cities(), CITIES)

    assert [(a.arm, a.units) for a in report.arms] == [("v2", 50), ("v1", 50)]
    assert report.progress.closed_units == 120
    assert (check(report, "sample_ratio").passed, check(report, "sample_ratio").p_value) == (None, None)


def test_an_unhealthy_trial_of_groups_is_told_to_be_unhealthy_first() -> None:
    rows = stores()
    rows.expose(9999, "v9", 0, Group=9999)

    assert judged(rows, STORES).verdict.decision == "unhealthy"
