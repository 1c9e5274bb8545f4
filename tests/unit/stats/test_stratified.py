import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import norm, t
from statsmodels.stats.contingency_tables import StratifiedTable
from statsmodels.stats.proportion import proportion_confint

from meshtrial.stats.contrast import Contrast, combine
from meshtrial.stats.estimate import Comparison, Difference, NotEstimable
from meshtrial.stats.fixed import fixed
from meshtrial.stats.moments import Moments, mean_contrast
from meshtrial.stats.proportion import Proportion, compare_proportions
from meshtrial.stats.stratified import Stratum, compare_stratified_proportions


def estimated(comparison: Comparison) -> Difference:
    assert isinstance(comparison, Difference)
    return comparison


def of_means(*strata: tuple[float, Moments, Moments]) -> list[tuple[float, Contrast]]:
    """Of (weight, control, treatment) each."""
    contrasts = [(weight, mean_contrast(control, treatment)) for weight, control, treatment in strata]
    return [(weight, contrast) for weight, contrast in contrasts if isinstance(contrast, Contrast)]


def of_proportions(*strata: tuple[int, int, int, int]) -> list[Stratum]:
    """Of (n0, x0, n1, x1) each."""
    return [Stratum(n0 + n1, Proportion(n0, x0), Proportion(n1, x1)) for n0, x0, n1, x1 in strata]


@pytest.mark.parametrize("seed", range(10))
def test_means_are_those_of_the_interacted_regression_with_hc2(seed: int) -> None:
    rng = np.random.default_rng(seed)
    stratum, arm = rng.integers(0, 3, 300), rng.random(300)
    treated = (arm < np.array([0.5, 0.1, 0.8])[stratum]).astype(float)
    y = rng.lognormal(stratum, 1.0) + 0.3 * treated
    strata = []
    for s in range(3):
        control, treatment = y[(stratum == s) & (treated == 0)], y[(stratum == s) & (treated == 1)]
        strata.append(((stratum == s).sum(), Moments.of(control, 5.0), Moments.of(treatment, 5.0)))

    found = estimated(fixed(combine(of_means(*strata)), 0.1))

    centred = np.stack([(stratum == s) - np.mean(stratum == s) for s in (1, 2)], axis=1)
    design = sm.add_constant(np.column_stack([treated, centred, centred * treated[:, None]]))
    fit = sm.OLS(y, design).fit(cov_type="HC2")
    assert found.effect == pytest.approx(fit.params[1])
    # The interval's half is that error times a quantile of t, whose degrees of freedom are recomputed here.
    terms = [
        (x.size, (np.mean(stratum == s) ** 2) * x.var(ddof=1) / x.size)
        for s in range(3)
        for x in (y[(stratum == s) & (treated == 0)], y[(stratum == s) & (treated == 1)])
    ]
    freedom = sum(v for _, v in terms) ** 2 / sum(v**2 / (n - 1) for n, v in terms)
    half = t.isf(0.05, freedom) * fit.bse[1]
    assert found.interval.high - found.effect == pytest.approx(half)
    assert found.p_value == pytest.approx(2 * t.sf(abs(fit.params[1]) / fit.bse[1], freedom))


def test_the_test_of_proportions_is_cochrans_where_the_arms_have_one_share() -> None:
    """Mantel and Haenszel divide the variance by n - 1 where Cochran has n: the one difference."""
    tables = [(400, 40, 400, 60), (400, 200, 400, 190), (400, 10, 400, 25)]
    found = estimated(compare_stratified_proportions(of_proportions(*tables), 0.05))

    arrays = [np.array([[x1, n1 - x1], [x0, n0 - x0]]) for n0, x0, n1, x1 in tables]
    mantel_haenszel = StratifiedTable(arrays).test_null_odds(correction=False).statistic
    z = norm.isf(found.p_value / 2)
    assert z**2 == pytest.approx(mantel_haenszel * 800 / 799)
    assert found.effect == pytest.approx(np.mean([20 / 400, -10 / 400, 15 / 400]))


def test_the_interval_of_proportions_is_newcombes_of_as_many_units_as_the_variances_are_worth() -> None:
    tables = [(400, 40, 100, 16), (90, 45, 810, 380)]
    found = estimated(compare_stratified_proportions(of_proportions(*tables), 0.05))

    shares = np.array([500, 900]) / 1400
    values, limits = [], []
    for n, x in (([400, 90], [40, 45]), ([100, 810], [16, 380])):
        p = np.array(x) / n
        value = float(shares @ p)
        units = value * (1 - value) / float(shares**2 @ (p * (1 - p) / n))
        values.append(value)
        limits.append(proportion_confint(value * units, units, 0.05, "wilson"))
    effect = values[1] - values[0]
    below = math.hypot(values[1] - limits[1][0], limits[0][1] - values[0])
    above = math.hypot(limits[1][1] - values[1], values[0] - limits[0][0])
    assert (found.interval.low, found.interval.high) == pytest.approx((effect - below, effect + above))


def test_one_stratum_gives_the_plain_comparison() -> None:
    plain = estimated(compare_proportions(Proportion(900, 90), Proportion(100, 14), 0.05))
    [stratum] = of_proportions((900, 90, 100, 14))
    found = estimated(compare_stratified_proportions([stratum], 0.05))
    assert (found.effect, found.p_value, found.relative) == pytest.approx(
        (plain.effect, plain.p_value, plain.relative)
    )
    assert found.interval.low == pytest.approx(plain.interval.low)
    assert found.interval.high == pytest.approx(plain.interval.high)

    rng = np.random.default_rng(1)
    control, treatment = Moments.of(rng.normal(9, 1, 40), 9.0), Moments.of(rng.normal(9, 3, 7), 9.0)
    welch = estimated(fixed(mean_contrast(control, treatment), 0.05))
    mean = estimated(fixed(combine(of_means((47, control, treatment))), 0.05))
    assert (mean.effect, mean.p_value, mean.interval.low, mean.relative) == pytest.approx(
        (welch.effect, welch.p_value, welch.interval.low, welch.relative)
    )


def test_other_shares_of_arms_in_strata_of_other_rates_make_no_effect() -> None:
    """10% against 50% in both arms; the arms as wholes have 40% and 15%."""
    strata = of_proportions((100, 10, 700, 70), (900, 450, 100, 50))
    found = estimated(compare_stratified_proportions(strata, 0.05))

    pooled = estimated(compare_proportions(Proportion(1000, 460), Proportion(800, 120), 0.05))
    assert pooled.interval.high < -0.25
    assert found.effect == pytest.approx(0, abs=1e-15)
    assert found.p_value == pytest.approx(1)
    assert found.interval.low < 0 < found.interval.high


def test_the_share_is_of_controls_value_with_the_weights_of_the_effect() -> None:
    strata = of_proportions((100, 10, 700, 80), (900, 450, 100, 60))
    found = estimated(compare_stratified_proportions(strata, 0.05))
    assert found.relative == pytest.approx(found.effect / ((800 * 0.1 + 1000 * 0.5) / 1800))


@pytest.mark.parametrize(
    ("strata", "reason"),
    [
        ([], "there is no stratum with units of both arms"),
        ([(10, 5, 10, 5), (10, 5, 1, 0)], "a stratum has under 2 units in an arm"),
        (
            [(10, 0, 10, 0), (9, 9, 9, 9)],
            "the outcome does not vary within any stratum, so the test has no variance",
        ),
    ],
)
def test_what_the_strata_do_not_determine_is_refused(
    strata: list[tuple[int, int, int, int]], reason: str
) -> None:
    assert compare_stratified_proportions(of_proportions(*strata), 0.05) == NotEstimable(reason)


def test_no_stratum_is_refused() -> None:
    assert combine([]) == NotEstimable("there is no stratum with units of both arms")
