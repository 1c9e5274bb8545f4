import numpy as np
import pytest
from scipy.stats import chi2_contingency

from meshtrial.stats.balance import strata_balance
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.srm import ChiSquared


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
