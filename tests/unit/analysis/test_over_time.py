"""How effects came about: by day of first exposure, by days since, early against late."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from scipy import stats

from judged_rows import judged, rows_of
from meshtrial.analysis.report_beside_parts import CoursePart
from meshtrial.analysis.report_parts import Report
from meshtrial.plan.model import Plan
from plan_values import experiment, plan_of
from proof import often
from trial_rows import Trial

DAY = 86_400
ARMS = {"v1": {"weight": 50, "cluster": "a"}, "v2": {"weight": 50, "cluster": "b"}}
UNITS, DAYS, WINDOW = 1200, 6, 3


MEAN = {"kind": "mean", "outcome": "purchase", "value": "amount", "window": f"{WINDOW}d"}


def planned(method: str = "fixed", least: object = 0.5, metric: Mapping[str, object] = MEAN) -> Plan:
    decision = {
        "method": method,
        "alpha": 0.05,
        "power": 0.8,
        "planned_units": UNITS,
        "minimum_duration": "7d",
        "lateness": "0s",
        "primary": [{"metric": "spent", "direction": "up", "minimum_effect": least}],
    }
    return plan_of({"rank-v2": experiment(ARMS, decision=decision)}, metrics={"spent": metric})


PLAN = planned()
Amount = Callable[[np.random.Generator, bool, int, int], float]
"""Of one day: whether treated, day of the first exposure, day since then."""


def steady(rng: np.random.Generator, treated: bool, _came: int, _since: int) -> float:
    return float(rng.normal(10 + treated, 3))


def bought(amount: Amount = steady, plan: Plan = PLAN, seed: int = 1) -> tuple[Trial, np.ndarray]:
    """Units of two arms on six days of the calendar, 200 each; what each spends on each of three days."""
    rng = np.random.default_rng(seed)
    rows = rows_of(plan)
    spent = np.zeros((UNITS, WINDOW))
    for unit in range(UNITS):
        came, treated = unit * DAYS // UNITS, bool(unit % 2)
        # Second 35,200 of the trial is a midnight.
        first = 35_200 + came * DAY + unit % (UNITS // DAYS) * 300
        rows.expose(unit, "v2" if treated else "v1", first)
        for since in range(WINDOW):
            spent[unit, since] = amount(rng, treated, came, since)
            rows.outcome(unit, "purchase", first + since * DAY + 60, amount=spent[unit, since])
    return rows, spent


def ended(rows: Trial, plan: Plan = PLAN) -> Report:
    return judged(rows, plan, second=30 * DAY)


def course(report: Report) -> CoursePart:
    assert report.over_time is not None
    assert report.over_time.withheld is None
    [only] = report.over_time.courses
    return only


TREATED = np.arange(UNITS) % 2 == 1
CAME = np.arange(UNITS) * DAYS // UNITS


def stratified(values: np.ndarray, of: np.ndarray) -> tuple[float, float]:
    """Effect and error of means within days, days of equal size."""
    days = np.unique(CAME[of])
    gaps, variances = [], []
    for day in days:
        one, other = (values[of & (day == CAME) & (treated == TREATED)] for treated in (False, True))
        gaps.append(other.mean() - one.mean())
        variances.append(one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other))
    return float(np.mean(gaps)), float(np.sqrt(np.sum(variances)) / len(days))


def test_each_days_effect_is_welchs_of_its_units_and_the_grown_one_is_of_all_so_far() -> None:
    rows, spent = bought()
    total = spent.sum(axis=1)

    found = course(ended(rows))

    assert [point.day for point in found.by_day] == [
        f"2026-09-{22 + day}T00:00:00.000Z" for day in range(DAYS)
    ]
    for day, (grown, alone) in enumerate(zip(found.grown, found.by_day, strict=True)):
        of_day = day == CAME
        told = stats.ttest_ind(total[of_day & TREATED], total[of_day & ~TREATED], equal_var=False)
        span = told.confidence_interval(0.95)
        assert alone.effect.p_value == pytest.approx(told.pvalue)
        assert alone.effect.interval == pytest.approx((span.low, span.high))
        effect, error = stratified(total, day >= CAME)
        if day < 2:  # under 200 units an arm: no confidence sequence yet
            assert (grown.effect.not_estimable or "").startswith(
                "a sequential look needs 200 effective units"
            )
            continue
        assert (grown.effect.effect, grown.effect.standard_error) == pytest.approx((effect, error))
        assert (grown.effect.control_units, grown.effect.arm_units) == (100 * (day + 1), 100 * (day + 1))


def test_the_grown_curves_intervals_are_those_of_a_confidence_sequence() -> None:
    """The asymptotic one of Waudby-Smith and others, tuned for the planned units; wider than one look's."""
    rows, _ = bought()
    found = course(ended(rows)).grown[-1].effect

    n, alpha = UNITS / 4, 0.05
    rho2 = (-2 * np.log(alpha) + np.log(1 - 2 * np.log(alpha))) / n
    half = np.sqrt((n * rho2 + 1) / (n * rho2) * np.log((n * rho2 + 1) / alpha**2))
    assert found.interval is not None
    assert found.effect is not None
    assert (found.interval[1] - found.effect) / (found.standard_error or 0) == pytest.approx(half, rel=0.01)


def test_late_units_are_compared_with_early_ones() -> None:
    rows, spent = bought(lambda rng, treated, came, _: float(rng.normal(10 + treated * came / 2, 1)))
    total = spent.sum(axis=1)

    found = course(ended(rows)).by_first_exposure

    assert found is not None
    early, late = stratified(total, CAME < 3), stratified(total, CAME >= 3)
    assert found.change == pytest.approx(late[0] - early[0])
    assert found.early.effect == pytest.approx(early[0])
    error = float(np.hypot(early[1], late[1]))
    assert found.p_value == pytest.approx(2 * stats.norm.sf((late[0] - early[0]) / error), rel=0.5)
    assert (found.p_value or 1) < 1e-6


def test_the_slope_by_days_since_exposure_is_that_of_each_units_own_regression() -> None:
    rows, spent = bought(lambda rng, treated, _, since: float(rng.normal(10 + treated * (2 - since), 2)))
    slopes = np.array([np.polyfit(range(WINDOW), days, 1)[0] for days in spent])

    found = course(ended(rows)).since_exposure

    assert found is not None
    effect, error = stratified(slopes, np.full(UNITS, fill_value=True))
    assert found.slope == pytest.approx(effect)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(effect) / error), rel=0.1)
    assert found.drift == "novelty"
    assert found.together == 1
    for since, day in enumerate(found.days):
        told = stratified(spent[:, since], np.full(UNITS, fill_value=True))
        assert (day.effect, day.standard_error) == pytest.approx(told)


def test_units_that_are_used_to_it_slowly_show_primacy_and_steady_ones_no_drift() -> None:
    slowly = bought(lambda rng, treated, _, since: float(rng.normal(10 + treated * since, 2)))[0]

    primacy, none = (course(ended(rows)).since_exposure for rows in (slowly, bought()[0]))

    assert primacy is not None
    assert none is not None
    assert (primacy.drift, none.drift) == ("primacy", "none")


def test_a_slope_as_a_share_of_the_arms_values_is_the_linearised_ratios() -> None:
    rows, spent = bought(lambda rng, treated, _, since: float(rng.normal(10 + treated * (2 - since), 2)))

    found = course(ended(rows)).since_exposure

    assert found is not None
    assert found.relative_interval is not None
    slopes, means = spent @ (-0.5, 0, 0.5), spent.mean(axis=1)
    parts, variance = [], 0.0
    for of in (~TREATED, TREATED):
        ratio = slopes[of].mean() / means[of].mean()
        spread = (slopes[of] - ratio * means[of]) / means[of].mean()
        within = [spread[day == CAME[of]].var(ddof=1) for day in range(DAYS)]
        parts.append(ratio)
        variance += float(np.mean(within)) / of.sum()
    assert found.relative_slope == pytest.approx(parts[1] - parts[0])
    low, high = found.relative_interval
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(variance), rel=0.01)


def shrinking(of: Callable[[bool, int], float], sign: int = 1) -> Amount:
    """Outcomes that halve with each day since exposure, times a factor by arm and day."""
    return lambda rng, treated, _, since: sign * 20 * 0.5**since * of(treated, since) * rng.gamma(4, 1 / 4)


def test_a_lift_of_a_constant_share_of_outcomes_that_become_rarer_is_no_novelty() -> None:
    """Novelty would be claimed of 2.5% by chance, and of nearly all by the absolute slope alone."""
    tries = often(8, 60)
    steadily = shrinking(lambda treated, _: 1.3 if treated else 1)
    told = [course(ended(bought(steadily, seed=seed)[0])).since_exposure for seed in range(tries)]

    assert all(found is not None and found.p_value is not None and found.p_value < 0.05 for found in told)
    drifted = sum(found is not None and found.drift != "none" for found in told)
    assert stats.binomtest(drifted, tries, 0.05, alternative="greater").pvalue > 0.001


@pytest.mark.parametrize("sign", [1, -1])
def test_a_lift_that_itself_fades_is_novelty_also_of_outcomes_that_become_rarer(sign: int) -> None:
    fading = shrinking(lambda treated, since: (1.6, 1.2, 1.0)[since] if treated else 1, sign)
    growing = shrinking(lambda treated, since: (1.0, 2.4, 5.0)[since] if treated else 1, sign)

    novelty, primacy = (course(ended(bought(amount)[0])).since_exposure for amount in (fading, growing))

    assert novelty is not None
    assert primacy is not None
    assert (novelty.drift, primacy.drift) == ("novelty", "primacy")


def test_days_on_which_a_unit_does_nothing_count_as_nothing() -> None:
    """Of a proportion a day has units that did it on that day, once or more, and all others."""
    plan = planned(least="1pp", metric={"kind": "proportion", "outcome": "purchase", "window": f"{WINDOW}d"})
    rows, rng = rows_of(plan), np.random.default_rng(5)
    did = np.zeros((UNITS, WINDOW))
    for unit in range(UNITS):
        first = 35_200 + CAME[unit] * DAY + unit % 200 * 300
        rows.expose(unit, "v2" if TREATED[unit] else "v1", first)
        for since in range(WINDOW):
            for visit in range(rng.poisson(0.4 + 0.3 * TREATED[unit])):
                did[unit, since] = 1
                rows.outcome(unit, "purchase", first + since * DAY + visit, amount=1)

    found = course(ended(rows, plan)).since_exposure

    assert found is not None
    for since, day in enumerate(found.days):
        gap = did[TREATED, since].mean() - did[~TREATED, since].mean()
        assert day.effect == pytest.approx(gap)
    slopes = np.array([np.polyfit(range(WINDOW), days, 1)[0] for days in did])
    assert found.slope == pytest.approx(stratified(slopes, np.full(UNITS, fill_value=True))[0])


def test_nothing_is_shown_before_a_fixed_trial_is_over() -> None:
    rows, _ = bought()

    early = judged(rows, PLAN, second=35_200 + 8 * DAY)

    assert early.over_time is not None
    assert early.over_time.withheld == early.metrics[0].comparisons[0].withheld
    assert early.over_time.courses == ()


def test_a_sequential_trial_shows_its_curve_at_any_time_and_its_last_point_is_the_estimate() -> None:
    plan = planned("sequential")
    rows, _ = bought(plan=plan)

    for days in (5.5, 8, 30):
        report = judged(rows, plan, second=35_200 + days * DAY)
        last = course(report).grown[-1].effect
        told = report.metrics[0].comparisons[0]
        assert (last.effect, last.interval) == (pytest.approx(told.effect), pytest.approx(told.interval))


def test_units_of_one_day_are_neither_early_nor_late() -> None:
    plan = planned("sequential")
    rows, _ = bought(plan=plan)

    found = course(judged(rows, plan, second=35_200 + 4.01 * DAY)).by_first_exposure

    assert found is not None
    assert found.not_estimable == "all units came on one day"


def test_a_window_of_one_day_has_no_days_since_exposure() -> None:
    plan = planned(metric={**MEAN, "window": "1d"})

    assert course(ended(bought(plan=plan)[0], plan)).since_exposure is None


def test_a_quantile_is_told_as_a_whole_only() -> None:
    plan = planned(metric={**MEAN, "kind": "quantile", "q": 0.9})

    found = course(ended(bought(plan=plan)[0], plan))

    assert found.not_estimable == "quantiles are not told by parts of the units"
    assert found.grown == ()
