"""What is randomised in groups or windows is counted, and not judged by unit."""

from collections.abc import Callable

import pytest
from scipy import stats

from meshtrial.analysis.report import HealthPart, Report, make_report
from meshtrial.plan.load import load
from meshtrial.plan.model import Plan
from plan_texts import RANK
from trial_rows import Trial, nanoseconds

BY_USER = "unit: {header: x-user-id}"
STORES = load(
    RANK.replace(BY_USER, "unit: {group: {header: x-store}, members: {header: x-user-id}}"), "p.yaml"
)
CITIES = load(RANK.replace(BY_USER, "unit: {switchback: {key: {header: x-city}, window: 30m}}"), "p.yaml")


def judged(rows: Trial, plan: Plan, *, peek: bool = False) -> Report:
    with rows.connection() as connection:
        return make_report(connection, plan, plan.experiments[0], nanoseconds(1000), peek=peek)


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


@pytest.mark.parametrize("peek", [False, True])
@pytest.mark.parametrize(
    ("plan", "rows", "what"), [(STORES, stores, "group"), (CITIES, cities, "key and window")]
)
def test_nothing_is_estimated_by_unit_not_even_at_a_peek(
    plan: Plan, rows: Callable[[], Trial], what: str, peek: bool
) -> None:
    reason = (
        f"randomised by {what}, which is not analysed by this version: "
        "an analysis by unit would understate the error"
    )

    report = judged(rows(), plan, peek=peek)

    assert (report.verdict.decision, report.verdict.arm) == ("wait", None)
    assert reason in report.verdict.reasons
    for metric in report.metrics:
        assert [a.value for a in metric.arms] == [None, None]
        [told] = metric.comparisons
        numbers = (told.effect, told.interval, told.p_value, told.relative, told.method)
        assert numbers == (None, None, None, None, None)
        assert told.withheld == reason


def test_sample_ratio_of_groups_counts_groups() -> None:
    report = judged(stores(), STORES)

    assert [(a.arm, a.units) for a in report.arms] == [("v2", 100), ("v1", 200)]
    found = check(report, "sample_ratio")
    assert found.p_value == pytest.approx(stats.chisquare([20, 40]).pvalue)
    assert found.passed  # by members it would not have
    assert stats.chisquare([100, 200]).pvalue < 0.001
    assert found.detail == "v2 20 groups (50% planned), v1 40 groups (50% planned)"


def test_a_member_of_two_groups_counts_in_each_of_them() -> None:
    rows = stores()
    for store in range(100, 160):
        rows.expose(0, "v2", 10, Group=store)

    assert check(judged(rows, STORES), "sample_ratio").detail.startswith("v2 80 groups")


def test_a_switchbacks_unit_is_a_key_in_one_window_and_its_ratio_is_not_judged() -> None:
    report = judged(cities(), CITIES)

    assert [(a.arm, a.units) for a in report.arms] == [("v2", 60), ("v1", 60)]
    assert report.progress.closed_units == 100  # cut at the planned size, as of units
    assert (check(report, "sample_ratio").passed, check(report, "sample_ratio").p_value) == (None, None)


def test_an_unhealthy_trial_of_groups_is_told_to_be_unhealthy_first() -> None:
    rows = stores()
    rows.expose(9999, "v9", 0, Group=9999)

    assert judged(rows, STORES).verdict.decision == "unhealthy"
