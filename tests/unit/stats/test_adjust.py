import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
import tea_tasting  # type: ignore[import-untyped] # it has no marker of types

from meshtrial.stats.adjust import (
    Sloped,
    Slopes,
    adjusted_contrast,
    cuped_slopes,
    lin_slopes,
    variance_removed,
)
from meshtrial.stats.contrast import Contrast, Contrasted, combine
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.fixed import fixed_critical, fixed_p_value
from meshtrial.stats.joint import Joint
from meshtrial.stats.moments import mean_contrast
from meshtrial.stats.ratio import linearised
from stats_cases import near, published


def told(contrast: Contrasted) -> Contrast:
    assert isinstance(contrast, Contrast)
    return contrast


def fitted(slopes: Sloped) -> Slopes:
    assert isinstance(slopes, Slopes)
    return slopes


def given(slopes: Slopes) -> Slopes:
    """As if they had been known before: without what is paid for having fitted them."""
    return replace(
        slopes,
        control=replace(slopes.control, inflation=1.0),
        treatment=replace(slopes.treatment, inflation=1.0),
    )


def interval(contrast: Contrast) -> list[float]:
    half = fixed_critical(contrast, 0.05) * contrast.error
    return [contrast.effect - half, contrast.effect + half]


def drawn(
    seed: int, units: int = 400, covariates: int = 2, effect: float = 0.3
) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes with covariates of a control and a treatment arm; slopes differ by arm, arms in size."""
    rng = np.random.default_rng(seed)
    treated = rng.random(units) < 0.3
    x = rng.normal(size=(units, covariates)) @ rng.normal(size=(covariates, covariates)) + 5
    slopes = np.where(treated[:, None], 1.5, 0.7) * rng.uniform(0.5, 1.5, covariates)
    y = 10 + effect * treated + (x * slopes).sum(axis=1) + rng.normal(0, 1 + treated, units)
    values = np.column_stack([y, x])
    return values[~treated], values[treated]


def joints(values: tuple[np.ndarray, np.ndarray]) -> tuple[Joint, Joint]:
    shifts = values[0].mean(axis=0).round().tolist()
    return Joint.of(values[0], shifts), Joint.of(values[1], shifts)


def test_the_price_of_a_slope_fitted_to_4000_units_is_small_beside_the_published_interval() -> None:
    inputs, expected = published("tea-tasting-cuped-orders_per_user")
    arms = []
    for arm in (inputs["0"], inputs["1"]):
        n, y, x = arm["n"], arm["sum"]["orders"], arm["sum"]["orders_covariate"]
        product = arm["cov"]["orders|orders_covariate"] * (n - 1) + y * x / n
        squares = arm["sum_squares"]
        arms.append(Joint((0.0, 0.0), n, (y, x), (squares["orders"], product, squares["orders_covariate"])))
    control, treatment = arms
    slopes = fitted(cuped_slopes([control + treatment]))
    assert slopes.control.slopes[0] == near(0.5212929718, 1e-10)

    found = told(adjusted_contrast(control, treatment, given(slopes)))
    # Of 4,000 units a fitted slope costs an eighth of a per mille, and one within the arms differs by chance
    # from one of both together.
    own = told(adjusted_contrast(control, treatment, fitted(cuped_slopes(arms))))
    assert interval(own) == near(expected["ci"], 1e-4)
    assert own.error > found.error * (1 - 1e-6)


def test_of_6000_units_too() -> None:
    inputs, expected = published("growthbook-cuped-rel")
    control, treatment = (
        Joint((0.0, 0.0), arm["n"], (arm["y"], arm["x"]), (arm["yy"], arm["xy"], arm["xx"]))
        for arm in (inputs["control"], inputs["treatment"])
    )
    slopes = fitted(cuped_slopes([control + treatment]))
    assert slopes.treatment.slopes[0] == near(-0.0732119, 1e-7)
    assert fixed_p_value(told(adjusted_contrast(control, treatment, slopes))) == near(expected["p"], 2e-5)


def tea_tasted(metric: Any, values: tuple[np.ndarray, np.ndarray], names: list[str]) -> Any:
    import pyarrow as pa

    table = {name: np.concatenate([arm[:, i] for arm in values]) for i, name in enumerate(names)}
    table["variant"] = np.repeat([0, 1], [len(arm) for arm in values])
    return tea_tasting.Experiment(metric=metric).analyze(pa.table(table))["metric"]


@pytest.mark.parametrize("seed", range(3))
def test_tea_tasting_agrees_on_means_with_a_covariate(seed: int) -> None:
    values = drawn(seed, covariates=1)
    expected = tea_tasted(tea_tasting.Mean("y", "x"), values, ["y", "x"])
    arms = joints(values)
    found = told(adjusted_contrast(*arms, given(fitted(cuped_slopes([arms[0] + arms[1]])))))
    assert found.control == pytest.approx(expected.control)
    assert found.effect == pytest.approx(expected.effect_size)
    assert interval(found) == pytest.approx([expected.effect_size_ci_lower, expected.effect_size_ci_upper])
    assert fixed_p_value(found) == pytest.approx(expected.pvalue)


@pytest.mark.parametrize("seed", range(3))
def test_tea_tasting_agrees_on_ratios_with_a_covariate_but_for_the_slope_being_pooled(seed: int) -> None:
    rng = np.random.default_rng(seed)
    arms = []
    for units in (5000, 4000):
        rate = rng.beta(2, 5, units)
        events = 1 + rng.poisson(3, (2, units))
        clicks = rng.binomial(events, rate)
        arms.append(np.stack([clicks[0], events[0], clicks[1], events[1]], axis=1).astype(float))
    metric = tea_tasting.RatioOfMeans("x", "y", "px", "py")
    expected = tea_tasted(metric, (arms[0], arms[1]), ["x", "y", "px", "py"])

    linear = linearised([(1.0, *joints((arms[0], arms[1])))])
    assert not isinstance(linear, NotEstimable)
    [(_, control, treatment)] = linear
    found = told(adjusted_contrast(control, treatment, fitted(cuped_slopes([control, treatment]))))
    assert found.effect == pytest.approx(expected.effect_size, abs=0.02 * found.error)
    assert interval(found) == pytest.approx(
        [expected.effect_size_ci_lower, expected.effect_size_ci_upper], abs=0.02 * found.error
    )
    assert found.control == pytest.approx(expected.control, rel=1e-3)


def with_error_of_regression(
    seed: int, units: int, *, separate: bool
) -> tuple[Contrast, float, dict[str, Any]]:
    """The contrast, its error where the covariates' mean is held to be known, and OLS by kind of error."""
    values = drawn(seed, units, covariates=3)
    arms = joints(values)
    slopes = fitted(lin_slopes(arms[:1], arms[1:]) if separate else cuped_slopes(arms))
    found = told(adjusted_contrast(*arms, slopes))
    apart = np.array(slopes.treatment.slopes) - slopes.control.slopes
    within = sum(arm.scatter()[1:, 1:] for arm in arms) / (units - 2)
    noise = slopes.control.noise + slopes.treatment.noise
    error = math.sqrt(found.error**2 - max(0.0, float(apart @ within @ apart) - noise) / units)

    stacked = np.concatenate(values)
    treated = np.repeat([0.0, 1.0], [len(arm) for arm in values])
    centred = stacked[:, 1:] - stacked[:, 1:].mean(axis=0)
    columns = [treated, centred, *([centred * treated[:, None]] if separate else [])]
    fit = sm.OLS(stacked[:, 0], sm.add_constant(np.column_stack(columns)))
    return found, error, {kind: fit.fit(cov_type=kind) for kind in ("HC2", "HC3")}


@pytest.mark.parametrize("separate", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_the_effect_is_the_regressions_and_the_error_its_robust_one(seed: int, *, separate: bool) -> None:
    """Separate slopes: Lin's interacted regression; one for both arms: the one without interaction."""
    found, error, fits = with_error_of_regression(seed, 4000, separate=separate)
    assert found.effect == pytest.approx(fits["HC2"].params[1], rel=1e-9)
    assert found.control == pytest.approx(fits["HC2"].params[0], rel=1e-9) or not separate
    assert error == pytest.approx(fits["HC2"].bse[1], rel=0.01)
    assert error == pytest.approx(fits["HC3"].bse[1], rel=0.01)


@pytest.mark.parametrize("separate", [True, False])
def test_of_few_units_too_the_error_is_the_robust_one_on_average(*, separate: bool) -> None:
    runs = [with_error_of_regression(seed, 120, separate=separate) for seed in range(60)]
    assert np.mean([error / fits["HC2"].bse[1] for _, error, fits in runs]) == pytest.approx(1.005, abs=0.02)
    assert np.mean([error / fits["HC3"].bse[1] for _, error, fits in runs]) == pytest.approx(0.96, abs=0.03)


def test_slopes_over_strata_are_those_of_the_regression_with_a_constant_for_each_arm_of_each() -> None:
    rng = np.random.default_rng(12)
    groups = [
        rng.normal([loc, loc + 9, loc - 9], 1, (n, 3))
        for loc, n in ((0, 30), (5, 80), (-3, 50), (1, 2), (7, 1))
    ]
    samples = [Joint.of(group, [0.0, 9.0, -9.0]) for group in groups]
    slopes = fitted(cuped_slopes([*samples, Joint((0.0, 9.0, -9.0))]))
    stacked = np.concatenate(groups)
    dummies = np.repeat(np.eye(5), [len(group) for group in groups], axis=0)
    fit = sm.OLS(stacked[:, 0], np.column_stack([stacked[:, 1:], dummies])).fit()
    assert slopes.control.slopes == pytest.approx(fit.params[:2])
    assert slopes.control == slopes.treatment


def test_strata_of_other_covariates_and_shares_fake_no_effect_and_lose_no_precision() -> None:
    """The covariate tells the strata apart; the slope within them is what counts."""
    rng = np.random.default_rng(13)
    strata: list[tuple[float, Joint, Joint]] = []
    groups: list[Joint] = []
    for level, n0, n1 in ((0.0, 900, 100), (50.0, 200, 800)):
        arms = []
        for n in (n0, n1):
            x = rng.normal(level, 1, n)
            arms.append(Joint.of(np.column_stack([2 * x - 3 * level + rng.normal(0, 0.5, n), x]), [0.0, 0.0]))
        strata.append((n0 * n1 / (n0 + n1), arms[0], arms[1]))
        groups += arms
    slopes = fitted(cuped_slopes(groups))
    assert slopes.control.slopes[0] == pytest.approx(2, abs=0.05)
    plain = told(
        combine([(w, told(mean_contrast(c.linear([1, 0]), t.linear([1, 0])))) for w, c, t in strata])
    )
    found = told(combine([(w, told(adjusted_contrast(c, t, slopes))) for w, c, t in strata]))
    assert abs(found.effect) < 3 * found.error
    assert variance_removed(plain, found) == pytest.approx(1 - 0.25 / 4.25, abs=0.02)


def test_covariates_that_do_not_vary_or_repeat_others_are_left_out_and_named() -> None:
    values = drawn(14)
    arms = joints(values)
    more = [np.column_stack([v[:, :2], np.full(len(v), 7.0), v[:, 1] * 3 - 1, v[:, 2]]) for v in values]
    wide = joints((more[0], more[1]))
    for plain, slopes in (
        (cuped_slopes(arms), cuped_slopes(wide)),
        (lin_slopes(arms[:1], arms[1:]), lin_slopes(wide[:1], wide[1:])),
    ):
        assert fitted(slopes).unused == (1, 2)
        assert fitted(slopes).control.slopes[1:3] == (0.0, 0.0)
        one = told(adjusted_contrast(*arms, fitted(plain)))
        other = told(adjusted_contrast(*wide, fitted(slopes)))
        assert (one.effect, one.error) == pytest.approx((other.effect, other.error), rel=1e-9)


def test_without_a_covariate_that_varies_it_is_the_plain_comparison() -> None:
    values = drawn(15)
    flat = joints((values[0] * [1, 0, 0], values[1] * [1, 0, 0]))
    plain = told(mean_contrast(*(arm.linear([1.0, 0.0, 0.0]) for arm in flat)))
    for slopes in (cuped_slopes(flat), lin_slopes(flat[:1], flat[1:])):
        found = told(adjusted_contrast(*flat, fitted(slopes)))
        assert (found.effect, found.error, found.control) == pytest.approx(
            (plain.effect, plain.error, plain.control)
        )
        assert variance_removed(plain, found) == pytest.approx(0, abs=1e-12)


def test_the_share_of_variance_removed_is_the_covariates_share_of_the_outcomes() -> None:
    rng = np.random.default_rng(16)
    x = rng.normal(100, 3, 20_000)
    values = np.column_stack([x + rng.normal(0, 4, x.size), x])
    arms = joints((values[:10_000], values[10_000:]))
    plain = told(mean_contrast(*(arm.linear([1.0, 0.0]) for arm in arms)))
    found = told(adjusted_contrast(*arms, fitted(cuped_slopes(arms))))
    assert variance_removed(plain, found) == pytest.approx(9 / 25, abs=0.02)
    assert found.method == "Welch t, CUPED"


def test_units_of_outcome_and_covariates_and_their_distance_from_0_change_nothing() -> None:
    values = drawn(17)
    near_zero = joints(values)
    scale, far = np.array([1000.0, 1e-6, 1e6]), np.array([1e12, 1e3, -1e15])
    moved = (values[0] * scale + far, values[1] * scale + far)
    away = joints(moved)
    for one, other in (
        (cuped_slopes(near_zero), cuped_slopes(away)),
        (lin_slopes(near_zero[:1], near_zero[1:]), lin_slopes(away[:1], away[1:])),
    ):
        plain = told(adjusted_contrast(*near_zero, fitted(one)))
        found = told(adjusted_contrast(*away, fitted(other)))
        assert found.effect / 1000 == pytest.approx(plain.effect, rel=1e-4)
        assert found.error / 1000 == pytest.approx(plain.error, rel=1e-6)


@pytest.mark.parametrize("units", [0, 2, 20])
def test_too_few_units_for_slopes_are_refused(units: int) -> None:
    values = np.random.default_rng(18).normal(size=(units, 3))
    arm, large = (
        Joint.of(values, [0.0] * 3),
        Joint.of(np.random.default_rng(19).normal(size=(99, 3)), [0.0] * 3),
    )
    assert isinstance(cuped_slopes([arm]), NotEstimable)
    assert isinstance(lin_slopes([arm], [large]), NotEstimable)
    assert isinstance(lin_slopes([large], [arm]), NotEstimable)
    assert isinstance(cuped_slopes([large, arm]), Slopes)
    assert isinstance(cuped_slopes([]), NotEstimable)


def test_strata_without_two_units_in_an_arm_are_refused() -> None:
    large = Joint.of(np.random.default_rng(20).normal(size=(99, 2)), [0.0] * 2)
    slopes = fitted(cuped_slopes([large]))
    for units in (0, 1):
        small = Joint.of(np.ones((units, 2)), [0.0] * 2)
        assert isinstance(adjusted_contrast(small, large, slopes), NotEstimable)
        assert isinstance(adjusted_contrast(large, small, slopes), NotEstimable)
        assert isinstance(adjusted_contrast(small, small, slopes), NotEstimable)


def test_an_outcome_that_the_covariate_tells_wholly_is_refused() -> None:
    x = np.random.default_rng(21).lognormal(size=100)
    arms = joints((np.column_stack([3 * x + 1, x])[:50], np.column_stack([3 * x + 1, x])[50:]))
    assert isinstance(adjusted_contrast(*arms, fitted(cuped_slopes(arms))), NotEstimable)


def test_slopes_of_other_covariates_are_a_mistake() -> None:
    arms, others = joints(drawn(22)), joints(drawn(22, covariates=1))
    with pytest.raises(ValueError, match=r"^there must be 1 slopes, not 2 and 2$"):
        adjusted_contrast(*others, fitted(cuped_slopes(arms)))
