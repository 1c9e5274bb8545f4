"""Effects by stratum and cohort, to explore; and post-stratified."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.multitest import multipletests

from judged_rows import judged, rows_of
from meshtrial.analysis.report_beside_parts import BreakdownPart, CohortsPart
from meshtrial.plan.model import Plan
from plan_values import experiment, plan_of
from trial_rows import Trial

ARMS = {"v1": {"weight": 50, "cluster": "a"}, "v2": {"weight": 50, "cluster": "b"}}
SPENT = {"kind": "mean", "outcome": "purchase", "value": "amount", "window": "1h"}
BOUGHT = {"kind": "proportion", "outcome": "purchase", "window": "1h"}
HOUR = 3600


def planned(units: int, metric: str = "spent", strata: Sequence[str] = ("x-country",)) -> Plan:
    least = "1pp" if metric == "bought" else 0.5
    decision = {
        "method": "fixed",
        "alpha": 0.05,
        "power": 0.8,
        "planned_units": units,
        "minimum_duration": "1d",
        "lateness": "0s",
        "primary": [{"metric": metric, "direction": "up", "minimum_effect": least}],
    }
    named = {"strata": list(strata)} if strata else {}
    one = experiment(ARMS, decision=decision, **named)
    return plan_of({"rank-v2": one}, metrics={"spent": SPENT, "bought": BOUGHT})


def rows_with(plan: Plan, countries: Sequence[str], treated: np.ndarray, amounts: np.ndarray) -> Trial:
    """All units in one hour; an amount of 0 is no purchase."""
    rows = rows_of(plan)
    for unit, country in enumerate(countries):
        strata = [("x-country", country)] if country else []
        rows.expose(unit, "v2" if treated[unit] else "v1", 0, Strata=strata)
        if amounts[unit]:
            rows.outcome(unit, "purchase", 60, amount=float(amounts[unit]))
    return rows


def shown(rows: Trial, plan: Plan) -> CohortsPart:
    found = judged(rows, plan, second=5 * 24 * HOUR).cohorts
    assert found is not None
    assert found.withheld is None
    return found


def three(rng: np.random.Generator, effects: Sequence[float]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """600, 400 and 200 units of three countries with these effects."""
    countries = ["no"] * 600 + ["se"] * 400 + ["dk"] * 200
    treated = np.arange(1200) % 2 == 1
    effect = np.repeat(effects, [600, 400, 200])
    return countries, treated, rng.normal(20 + treated * effect, np.repeat([3, 4, 5], [600, 400, 200]))


def of(found: CohortsPart, field: str) -> BreakdownPart:
    [only] = [one for one in found.breakdowns if one.field == field]
    return only


def test_each_country_is_compared_by_itself_and_all_of_them_by_an_interaction_test() -> None:
    rng = np.random.default_rng(1)
    countries, treated, amounts = three(rng, [1, -1, 4])
    plan = planned(1200)

    found = shown(rows_with(plan, countries, treated, amounts), plan)

    assert found.label.startswith("exploratory")
    told = of(found, "x-country")
    assert [value.value for value in told.values] == ["no", "se", "dk"]
    gaps, errors = [], []
    for value in told.values:
        own = np.array(countries) == value.value
        test = stats.ttest_ind(amounts[own & treated], amounts[own & ~treated], equal_var=False)
        span = test.confidence_interval(0.95)
        assert value.effect.interval == pytest.approx((span.low, span.high))
        assert value.effect.p_value == pytest.approx(test.pvalue)
        assert value.tested
        gaps.append(amounts[own & treated].mean() - amounts[own & ~treated].mean())
        errors.append(gaps[-1] / test.statistic)
    weights = 1 / np.array(errors) ** 2
    common = np.average(gaps, weights=weights)
    q = float(np.sum(weights * (np.array(gaps) - common) ** 2))
    assert (told.interaction.statistic, told.interaction.freedom) == (pytest.approx(q), 2)
    # Errors are estimated: a little more than chi-squared says.
    assert stats.chi2.sf(q, 2) < (told.interaction.p_value or 0) < 2 * stats.chi2.sf(q, 2) < 1e-3


def test_p_values_of_several_fields_are_adjusted_for_each_other() -> None:
    rng = np.random.default_rng(2)
    countries, treated, amounts = three(rng, [1, 1, 2])
    plan = planned(1200, strata=("x-country", "x-device", "x-plan"))
    rows = rows_of(plan)
    for unit, country in enumerate(countries):
        strata = {"x-country": country, "x-device": "ab"[rng.integers(2)], "x-plan": "xyz"[rng.integers(3)]}
        rows.expose(unit, "v2" if treated[unit] else "v1", 0, Strata=list(strata.items()))
        rows.outcome(unit, "purchase", 60, amount=float(amounts[unit]))

    tests = [one.interaction for one in shown(rows, plan).breakdowns]

    assert len(tests) == 3
    expected = multipletests([test.p_value for test in tests], method="fdr_bh")[1]
    assert [test.adjusted_p_value for test in tests] == pytest.approx(list(expected))


def test_small_values_are_shown_and_take_no_part_in_the_test() -> None:
    rng = np.random.default_rng(3)
    countries, treated, amounts = three(rng, [1, 1, 1])
    countries[-60:] = ["fi"] * 40 + ["is"] * 19 + [""]
    plan = planned(1200)

    told = of(shown(rows_with(plan, countries, treated, amounts), plan), "x-country")

    assert [(value.value, value.tested) for value in told.values] == [
        ("no", True),
        ("se", True),
        ("dk", True),
        ("fi", False),
        ("is", False),
        ("", False),
    ]
    assert told.values[3].effect.effect is not None
    assert told.values[5].effect.control_units + told.values[5].effect.arm_units == 1
    assert told.values[5].effect.not_estimable == "no day, phase or cohort has enough units in both arms"
    assert told.interaction.freedom == 2


def test_values_beyond_the_twenty_largest_are_told_together() -> None:
    rng = np.random.default_rng(4)
    countries = [f"c{i:02}" for i in range(30) for _ in range(130 - 2 * i)]
    treated = np.arange(len(countries)) % 2 == 1
    amounts = rng.normal(20, 3, len(countries))
    plan = planned(len(countries))

    told = of(shown(rows_with(plan, countries, treated, amounts), plan), "x-country")

    assert [value.value for value in told.values] == [*(f"c{i:02}" for i in range(20)), None]
    rest = told.values[-1]
    own = np.array([int(country[1:]) >= 20 for country in countries])
    assert rest.joined == 10
    assert rest.effect.effect == pytest.approx(amounts[own & treated].mean() - amounts[own & ~treated].mean())


def test_rare_outcomes_take_no_part_where_an_arm_should_have_under_ten() -> None:
    rng = np.random.default_rng(5)
    countries, treated, _ = three(rng, [0, 0, 0])
    had = rng.random(1200) < np.repeat([0.1, 0.1, 0.03], [600, 400, 200])
    plan = planned(1200, "bought")

    told = of(shown(rows_with(plan, countries, treated, had.astype(float)), plan), "x-country")

    assert [value.tested for value in told.values] == [True, True, False]


def test_cohorts_with_weights_of_their_own_are_a_field_too() -> None:
    rng = np.random.default_rng(6)
    arms = {
        "v1": {"weight": {"default": 50, "large": 50}, "cluster": "a"},
        "v2": {"weight": {"default": 50, "large": 50}, "cluster": "b"},
    }
    least = {"metric": "spent", "direction": "up", "minimum_effect": 0.5}
    decision = {
        "method": "fixed",
        "alpha": 0.05,
        "power": 0.8,
        "planned_units": 400,
        "minimum_duration": "1d",
        "lateness": "0s",
        "primary": [least],
    }
    plan = plan_of(
        {"rank-v2": experiment(arms, decision=decision)},
        metrics={"spent": SPENT},
        cohorts={"large": [{"header": "x-size", "in": ["large"]}]},
    )
    rows = rows_of(plan)
    amounts = rng.normal(20, 3, 400)
    for unit in range(400):
        cohort = "large" if unit < 150 else "default"
        rows.expose(unit, "v2" if unit % 2 else "v1", 0, Cohort=cohort)
        rows.outcome(unit, "purchase", 60, amount=float(amounts[unit]))

    told = of(shown(rows, plan), "cohort")

    assert [value.value for value in told.values] == ["default", "large"]
    assert told.values[1].effect.effect == pytest.approx(amounts[1:150:2].mean() - amounts[0:150:2].mean())


def test_the_post_stratified_effect_is_the_strata_s_own_weighed_by_their_shares() -> None:
    """Of 35% treated, more in one country than in the other; the error is that of a regression."""
    rng = np.random.default_rng(7)
    countries = ["no"] * 700 + ["se"] * 500
    treated = rng.random(1200) < 0.35
    amounts = rng.normal(np.repeat([20, 35], [700, 500]) + treated, 3)
    plan = planned(1200)

    report = judged(rows_with(plan, countries, treated, amounts), plan, second=5 * 24 * HOUR)

    assert report.cohorts is not None
    [found] = report.cohorts.post_stratified
    expected = 0.0
    for country in ("no", "se"):
        own = np.array(countries) == country
        expected += own.mean() * (amounts[own & treated].mean() - amounts[own & ~treated].mean())
    assert found.effect.effect == pytest.approx(expected)
    second = (np.array(countries) == "se").astype(float)
    centred = second - second.mean()
    design = np.column_stack([np.ones(1200), treated, centred, treated * centred])
    assert found.effect.standard_error == pytest.approx(
        OLS(amounts, design).fit(cov_type="HC2").bse[1], rel=0.02
    )
    assert found.strata == 2
    main = report.metrics[0].comparisons[0]
    assert main.standard_error is not None
    assert found.effect.standard_error is not None
    assert found.variance_removed == pytest.approx(
        1 - (found.effect.standard_error / main.standard_error) ** 2
    )
    assert (found.variance_removed or 0) > 0.5


def test_one_stratum_stratifies_nothing() -> None:
    rng = np.random.default_rng(8)
    _, treated, amounts = three(rng, [0, 0, 0])
    plan = planned(1200)

    [found] = shown(rows_with(plan, ["no"] * 1200, treated, amounts), plan).post_stratified

    assert found.effect.not_estimable == "there are no two strata with units enough"


def test_a_plan_without_strata_and_cohorts_has_no_such_section() -> None:
    plan = planned(100, strata=())
    rows = rows_with(plan, [""] * 100, np.arange(100) % 2 == 1, np.random.default_rng(9).normal(9, 1, 100))

    assert judged(rows, plan, second=5 * 24 * HOUR).cohorts is None


def test_nothing_is_shown_before_the_trial_is_over() -> None:
    rng = np.random.default_rng(10)
    countries, treated, amounts = three(rng, [1, 0, 3])
    plan = planned(1200)

    found = judged(rows_with(plan, countries, treated, amounts), plan, second=HOUR).cohorts

    assert found is not None
    assert found.withheld is not None
    assert (found.breakdowns, found.post_stratified) == ((), ())
