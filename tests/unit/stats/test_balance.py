import numpy as np
import pytest
from scipy.stats import chi2_contingency, ttest_ind

from meshtrial.stats.balance import Balance, covariate_balance, strata_balance
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.moments import Moments
from meshtrial.stats.srm import ChiSquared


def told(found: Balance | NotEstimable) -> Balance:
    assert isinstance(found, Balance)
    return found


def arms(control: np.ndarray, treatment: np.ndarray) -> tuple[Moments, Moments]:
    return Moments.of(control, 0.0), Moments.of(treatment, 0.0)


def test_covariates_are_compared_in_standard_deviations_and_tested_together() -> None:
    rng = np.random.default_rng(1)
    same = rng.normal(5, 2, 300), rng.normal(5, 2, 500)
    other = rng.normal(5, 2, 300), rng.normal(6, 3, 500)
    found = covariate_balance({"same": arms(*same), "other": arms(*other)})
    for name, (control, treatment) in (("same", same), ("other", other)):
        spread = np.sqrt((control.var(ddof=1) + treatment.var(ddof=1)) / 2)
        assert told(found[name]).standardised == pytest.approx((treatment.mean() - control.mean()) / spread)
        raw = ttest_ind(control, treatment, equal_var=False).pvalue
        assert told(found[name]).p_value == pytest.approx(min(1, 2 * raw))
    assert not told(found["same"]).alarming
    assert told(found["other"]).alarming


def test_the_more_covariates_the_less_one_alarms() -> None:
    rng = np.random.default_rng(2)
    control, treatment = rng.normal(0, 1, 400), rng.normal(0.29, 1, 400)
    raw = ttest_ind(control, treatment, equal_var=False).pvalue
    assert 1e-4 < raw < 1e-3
    one = covariate_balance({"x": arms(control, treatment)})
    many = covariate_balance({str(i): arms(control, treatment) for i in range(20)})
    assert told(one["x"]).alarming
    assert not told(many["7"]).alarming
    assert told(covariate_balance({"x": arms(control, treatment)}, alpha=1e-5)["x"]).alarming is False


def test_a_covariate_that_does_not_vary_says_so_and_counts_for_none() -> None:
    rng = np.random.default_rng(3)
    control, treatment = rng.normal(0, 1, 50), rng.normal(0, 1, 50)
    found = covariate_balance({"flat": arms(np.ones(9), np.ones(9)), "x": arms(control, treatment)})
    assert isinstance(found["flat"], NotEstimable)
    assert told(found["x"]).p_value == pytest.approx(ttest_ind(control, treatment, equal_var=False).pvalue)
    with pytest.raises(ValueError, match="alpha"):
        covariate_balance({}, alpha=0.5)


def test_strata_are_compared_by_pearson_s_test() -> None:
    counts = np.array([[30, 40, 20], [55, 60, 70], [12, 9, 30]])
    found = strata_balance(counts)
    theirs = chi2_contingency(counts, correction=False)
    assert isinstance(found, ChiSquared)
    assert (found.statistic, found.freedom) == pytest.approx((theirs.statistic, theirs.dof))
    assert found.p_value() == pytest.approx(theirs.pvalue)


def test_an_arm_without_units_is_no_part_of_it() -> None:
    counts = np.array([[30, 0, 20], [55, 0, 70]])
    assert strata_balance(counts) == strata_balance(counts[:, [0, 2]])


def test_rare_strata_are_merged_by_how_many_units_they_have() -> None:
    large = np.array([[300, 330], [200, 190]])
    rare = np.array([[3, 1], [2, 3], [6, 4]])
    found = strata_balance(np.vstack([rare, large]))
    theirs = chi2_contingency(np.vstack([rare.sum(axis=0), large]), correction=False)
    assert isinstance(found, ChiSquared)
    assert (found.statistic, found.freedom) == pytest.approx((theirs.statistic, theirs.dof))


def test_rare_strata_that_are_too_few_even_together_go_to_the_next_larger_one() -> None:
    found = strata_balance(np.array([[1, 0], [300, 330], [0, 2], [40, 30]]))
    theirs = chi2_contingency(np.array([[41, 32], [300, 330]]), correction=False)
    assert isinstance(found, ChiSquared)
    assert found.statistic == pytest.approx(theirs.statistic)


def test_one_stratum_or_one_arm_has_no_mix() -> None:
    assert isinstance(strata_balance(np.array([[30, 40]])), NotEstimable)
    assert isinstance(strata_balance(np.array([[3, 4], [2, 2]])), NotEstimable)
    assert isinstance(strata_balance(np.array([[30, 0], [40, 0]])), NotEstimable)
    assert isinstance(strata_balance(np.zeros((2, 2), int)), NotEstimable)
    with pytest.raises(ValueError, match="counts"):
        strata_balance(np.array([1, 2]))
    with pytest.raises(ValueError, match="counts"):
        strata_balance(np.array([[1, -2], [3, 4]]))
