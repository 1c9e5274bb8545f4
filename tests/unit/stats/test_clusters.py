import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import ttest_ind

from cluster_matrices import cr2
from meshtrial.stats.clusters import (
    FEW,
    MANY,
    Clusters,
    Likeness,
    cluster_contrast,
    design_effect,
    likeness,
)
from meshtrial.stats.contrast import Contrast, Contrasted
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.fixed import fixed, fixed_p_value
from meshtrial.stats.moments import Moments, mean_contrast

Trial = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def told(contrast: Contrasted) -> Contrast:
    assert isinstance(contrast, Contrast)
    return contrast


def reason(found: object) -> str:
    assert isinstance(found, NotEstimable)
    return found.reason


def drawn(rng: np.random.Generator, g0: int, g1: int, most: int = 9) -> Trial:
    """Values and clusters of units; treated clusters and their sizes."""
    sizes = rng.integers(1, most, g0 + g1)
    cluster = np.repeat(np.arange(g0 + g1), sizes)
    values = 5 + rng.normal(size=len(cluster)) + rng.normal(size=g0 + g1)[cluster]
    return values, cluster, np.repeat([False, True], [g0, g1]), sizes.astype(float)


def arms_of(trial: Trial, covariate: np.ndarray | None = None) -> tuple[Clusters, Clusters]:
    values, cluster, treated, sizes = trial
    sums = np.bincount(cluster, values).astype(float)
    columns = np.empty((len(sizes), 0)) if covariate is None else covariate
    control, treatment = (Clusters(sums[of], sizes[of], columns[of]) for of in (~treated, treated))
    return control, treatment


@pytest.mark.parametrize("seed", range(5))
def test_the_error_and_its_freedom_are_those_of_the_matrix_formulas(seed: int) -> None:
    trial = drawn(np.random.default_rng(seed), 5, 8)
    values, cluster, treated, _ = trial
    x = np.column_stack([~treated[cluster], treated[cluster]]).astype(float)
    found = told(cluster_contrast(*arms_of(trial)))
    variance, freedom = cr2(values, x, cluster, np.array([-1.0, 1.0]))

    assert found.method == FEW
    assert found.effect == pytest.approx(values[x[:, 1] == 1].mean() - values[x[:, 0] == 1].mean())
    assert found.control == pytest.approx(values[x[:, 0] == 1].mean())
    assert found.error**2 == pytest.approx(variance)
    assert found.freedom == pytest.approx(freedom)
    assert found.control_error**2 == pytest.approx(cr2(values, x, cluster, np.array([1.0, 0.0]))[0])
    assert (found.control_units, found.treatment_units) == (5, 8)


@pytest.mark.parametrize("seed", range(3))
def test_covariates_are_columns_of_the_same_regression(seed: int) -> None:
    rng = np.random.default_rng(seed)
    trial = drawn(rng, 6, 9)
    values, cluster, treated, sizes = trial
    covariate = rng.normal(100, 3, (15, 2))
    centred = covariate - np.average(covariate, axis=0, weights=sizes)
    x = np.column_stack([~treated[cluster], treated[cluster], centred[cluster]]).astype(float)
    found = told(cluster_contrast(*arms_of(trial, covariate)))
    ols = sm.OLS(values, x).fit()
    variance, freedom = cr2(values, x, cluster, np.array([-1.0, 1, 0, 0]))

    assert found.method == f"{FEW}, adjusted for covariates"
    assert found.effect == pytest.approx(ols.params[1] - ols.params[0])
    assert found.control == pytest.approx(ols.params[0])
    assert found.error**2 == pytest.approx(variance)
    assert found.freedom == pytest.approx(freedom)


def test_many_balanced_clusters_have_the_errors_of_other_programs() -> None:
    trial = drawn(np.random.default_rng(7), 45, 60, most=6)
    values, cluster, treated, _ = trial
    found = told(cluster_contrast(*arms_of(trial)))
    n = len(values)
    ols = sm.OLS(values, sm.add_constant(treated[cluster].astype(float)))
    # Stata's and statsmodels' further factor for the units is left out.
    theirs = ols.fit(cov_type="cluster", cov_kwds={"groups": cluster}).bse[1] / math.sqrt((n - 1) / (n - 2))

    assert found.method == MANY
    assert found.error == pytest.approx(theirs)
    assert found.freedom == 104


def test_many_clusters_of_which_few_make_up_an_arm_are_few() -> None:
    rng = np.random.default_rng(8)
    sizes = np.where(np.arange(50) < 3, 1_000.0, 5.0)
    arms = [Clusters(rng.normal(0, 1, 50) * sizes, sizes) for _ in range(2)]
    assert told(cluster_contrast(*arms)).method == FEW
    assert told(cluster_contrast(*arms)).freedom < 10


def test_arms_far_apart_in_number_are_not_balanced() -> None:
    rng = np.random.default_rng(9)
    arms = [Clusters(rng.normal(0, 1, count), np.ones(count)) for count in (40, 400)]
    assert told(cluster_contrast(*arms)).method == FEW


def test_clusters_of_one_unit_are_units() -> None:
    rng = np.random.default_rng(10)
    control, treatment = rng.normal(3, 1, 8), rng.normal(3, 2, 12)
    found = told(cluster_contrast(*(Clusters(arm, np.ones(len(arm))) for arm in (control, treatment))))
    welch = told(mean_contrast(Moments.of(control, 3), Moments.of(treatment, 3)))
    assert found.effect == pytest.approx(welch.effect)
    assert found.control_error == pytest.approx(welch.control_error)
    assert found.treatment_error == pytest.approx(welch.treatment_error)


def test_as_many_clusters_of_one_size_in_each_arm_are_student_s_t_test_of_their_means() -> None:
    control, treatment = np.random.default_rng(15).normal(0, 1, (2, 6))
    found = told(cluster_contrast(*(Clusters(arm * 20, np.full(6, 20.0)) for arm in (control, treatment))))
    assert found.freedom == pytest.approx(10)
    assert fixed_p_value(found) == pytest.approx(ttest_ind(treatment, control).pvalue)


def test_a_ratio_counts_by_its_denominators_and_may_have_clusters_without() -> None:
    clicks, views = np.array([3.0, 5, 2, 8, 1]), np.array([30.0, 40, 10, 90, 0])
    found = told(cluster_contrast(Clusters(clicks, views), Clusters(clicks * 2, views)))
    assert found.control == pytest.approx(19 / 170)
    assert found.treatment == pytest.approx(38 / 170)
    shares, residuals = views / 170, clicks - views * 19 / 170
    assert found.control_error**2 == pytest.approx(np.sum((residuals / 170) ** 2 / (1 - shares)))
    assert found.control_units == 4


def test_a_large_mean_keeps_the_digits_of_a_small_spread() -> None:
    trial = drawn(np.random.default_rng(11), 6, 6)
    near = told(cluster_contrast(*arms_of(trial)))
    far = told(cluster_contrast(*arms_of((trial[0] + 1e7, *trial[1:]))))
    assert far.error == pytest.approx(near.error, rel=1e-6)
    assert far.effect == pytest.approx(near.effect, rel=1e-6)


def test_under_four_clusters_in_an_arm_nothing_is_said() -> None:
    three, four = (Clusters(np.arange(g, dtype=float), np.ones(g)) for g in (3, 4))
    assert reason(cluster_contrast(three, four)) == "the control arm has 3 clusters, and it takes 4"
    assert reason(cluster_contrast(four, three)) == "the treatment arm has 3 clusters, and it takes 4"
    empty = Clusters(np.append(np.arange(3.0), 0), np.append(np.ones(3), 0))
    assert "has 3 clusters" in reason(cluster_contrast(four, empty))
    assert isinstance(fixed(cluster_contrast(four, four), 0.05).error, float)  # type: ignore[union-attr]


def test_what_does_not_vary_has_no_error() -> None:
    sizes = np.array([3.0, 7, 11, 2])
    flat = Clusters(0.1 * sizes, sizes)
    assert "do not vary" in reason(cluster_contrast(flat, flat))


def test_a_covariate_that_is_the_arm_or_a_cluster_tells_no_effect() -> None:
    ones, rng = np.ones(6), np.random.default_rng(12)
    sums = rng.normal(size=6)
    same = [Clusters(sums, ones, np.full((6, 1), value)) for value in (0.0, 1.0)]
    assert "comes to the same as the arm" in reason(cluster_contrast(*same))
    single = np.zeros((6, 1))
    single[2] = 1
    alone = Clusters(sums, ones, single), Clusters(sums, ones, np.zeros((6, 1)))
    assert "one cluster alone" in reason(cluster_contrast(*alone))


@pytest.mark.parametrize(
    ("sums", "sizes", "covariates"),
    [
        (np.ones(3), np.ones(4), np.empty((0, 0))),
        (np.array([1.0, math.nan]), np.ones(2), np.empty((0, 0))),
        (np.ones(2), np.array([1.0, -1]), np.empty((0, 0))),
        (np.ones(2), np.ones(2), np.ones((3, 1))),
    ],
)
def test_clusters_that_cannot_be_are_refused(
    sums: np.ndarray, sizes: np.ndarray, covariates: np.ndarray
) -> None:
    with pytest.raises(ValueError, match=r"must"):
        Clusters(sums, sizes, covariates)


def test_arms_with_other_covariates_are_refused() -> None:
    plain, more = Clusters(np.arange(5.0), np.ones(5)), Clusters(np.arange(5.0), np.ones(5), np.ones((5, 1)))
    with pytest.raises(ValueError, match="same covariates"):
        cluster_contrast(plain, more)


def within_of(trial: Trial) -> float:
    values, cluster, _, sizes = trial
    return float(np.sum((values - (np.bincount(cluster, values) / sizes)[cluster]) ** 2))


def test_likeness_is_that_of_the_analysis_of_variance() -> None:
    trial = drawn(np.random.default_rng(13), 7, 9)
    values, cluster, treated, sizes = trial
    of_arms = sm.OLS(values, sm.add_constant(treated[cluster].astype(float))).fit().ssr
    of_clusters = sm.OLS(values, (cluster[:, None] == np.arange(16)).astype(float)).fit().ssr
    between, within = (of_arms - of_clusters) / 14, of_clusters / (len(values) - 16)
    typical = (sizes.sum() - sum(np.sum(n**2) / n.sum() for n in (sizes[~treated], sizes[treated]))) / 14
    found = likeness(*arms_of(trial), within_of(trial))

    assert isinstance(found, Likeness)
    assert found.icc == pytest.approx((between - within) / (between + (typical - 1) * within))
    assert found.size == pytest.approx(sizes.mean())
    assert found.size_variation == pytest.approx(sizes.std(ddof=1) / sizes.mean())


def test_likeness_finds_the_share_of_variance_between_clusters() -> None:
    rng = np.random.default_rng(14)
    cluster = np.repeat(np.arange(4_000), 20)
    values = rng.normal(0, math.sqrt(0.9), 80_000) + rng.normal(0, math.sqrt(0.1), 4_000)[cluster]
    trial = values, cluster, np.arange(4_000) % 2 == 1, np.full(4_000, 20.0)
    found = likeness(*arms_of(trial), within_of(trial))
    assert isinstance(found, Likeness)
    assert found.icc == pytest.approx(0.1, abs=0.01)
    assert design_effect(found) == pytest.approx(2.9, abs=0.2)


def test_the_design_effect_is_what_the_effect_s_variance_is_more_than_that_of_units() -> None:
    assert design_effect(Likeness(0.1, 20, 0)) == pytest.approx(2.9)
    assert design_effect(Likeness(0.1, 20, 0.5)) == pytest.approx(1 + (1.25 * 20 - 1) * 0.1)
    assert design_effect(Likeness(-0.02, 20, 0)) == 1


def test_likeness_is_not_told_by_clusters_of_one_unit() -> None:
    ones = Clusters(np.arange(5.0), np.ones(5))
    assert "no cluster has two units" in reason(likeness(ones, ones, 0.0))
    assert "too few clusters" in reason(
        likeness(Clusters(np.ones(1), np.ones(1)), Clusters(np.ones(1), np.ones(1)), 0)
    )
    flat = Clusters(np.full(4, 2.0), np.full(4, 2.0))
    assert reason(likeness(flat, flat, 0.0)) == "the values do not vary"
    with pytest.raises(ValueError, match="within"):
        likeness(flat, flat, -1.0)
