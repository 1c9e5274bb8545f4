import math

import numpy as np
import pytest
from scipy.stats import chi2
from statsmodels.stats.oneway import anova_oneway

from meshtrial.stats.contrast import Contrast
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.fixed import fixed_p_value
from meshtrial.stats.interaction import Compared, Heterogeneity, interaction, main_effect
from meshtrial.stats.moments import Moments, mean_contrast


def told(found: Compared) -> Heterogeneity:
    assert isinstance(found, Heterogeneity)
    return found


def of(effect: float, error: float, freedom: float = math.inf, control: float = 10.0) -> Contrast:
    """A contrast with the same error in both arms."""
    arm = error / math.sqrt(2)
    return Contrast("any", control, effect, arm, arm, freedom, 100, 100)


def test_with_large_samples_the_statistic_is_chi_squared() -> None:
    found = told(interaction([of(1, 0.5), of(2, 1), of(4, 0.8)]))
    weights, effects = np.array([4, 1, 1 / 0.64]), np.array([1, 2, 4.0])
    common = np.average(effects, weights=weights)
    assert found.common == pytest.approx(common)
    assert found.statistic == pytest.approx(np.sum(weights * (effects - common) ** 2))
    assert found.freedom == 2
    assert found.p_value == pytest.approx(chi2.sf(found.statistic, 2))


def test_of_means_it_is_welch_s_analysis_of_variance() -> None:
    rng = np.random.default_rng(1)
    samples = [rng.normal(mean, sd, n) for mean, sd, n in ((0, 1, 8), (1, 3, 12), (0.5, 2, 6), (0, 1, 20))]
    groups = [
        Contrast(
            "any", 0.0, float(x.mean()), 0.0, float(x.std(ddof=1) / math.sqrt(len(x))), len(x) - 1, 1, len(x)
        )
        for x in samples
    ]
    theirs = anova_oneway(samples, use_var="unequal", welch_correction=True)
    assert told(interaction(groups)).p_value == pytest.approx(theirs.pvalue)


def test_two_groups_differ_as_two_samples_do() -> None:
    rng = np.random.default_rng(2)
    one, other = Moments.of(rng.normal(0, 1, 7), 0), Moments.of(rng.normal(1, 2, 9), 0)
    welch = mean_contrast(one, other)
    assert isinstance(welch, Contrast)
    groups = [
        Contrast("any", 0.0, welch.control, 0.0, welch.control_error, 6, 1, 7),
        Contrast("any", 0.0, welch.treatment, 0.0, welch.treatment_error, 8, 1, 9),
    ]
    assert told(interaction(groups)).p_value == pytest.approx(fixed_p_value(welch))


def test_an_experiment_that_left_something_behind_is_seen_in_the_values_not_the_effects() -> None:
    before = [of(1, 0.2, control=10), of(1, 0.2, control=12)]
    assert told(main_effect(before)).p_value < 1e-6
    assert told(main_effect(before)).common == pytest.approx(11.5)
    assert told(interaction(before)).p_value == pytest.approx(1)


def test_the_value_of_a_group_is_the_mean_of_its_arms() -> None:
    groups = [of(2, 0.5, control=10), of(-2, 0.5, control=12.6)]
    gap = 11.6 - 11  # each with half the error of the effect
    assert told(main_effect(groups)).statistic == pytest.approx(gap**2 / (2 * 0.25**2))


def test_a_large_value_common_to_all_keeps_their_differences() -> None:
    near = told(main_effect([of(0, 1, control=c) for c in (0, 1, 3)]))
    far = told(main_effect([of(0, 1, control=1e9 + c) for c in (0, 1, 3)]))
    assert far.statistic == pytest.approx(near.statistic)
    assert far.common == pytest.approx(1e9 + near.common, rel=1e-15)


def test_one_group_or_one_without_an_error_tells_nothing() -> None:
    assert interaction([of(1, 1)]) == NotEstimable("it takes two groups to differ")
    flat = Contrast("any", 1.0, 0.0, 0.0, 0.0, math.inf, 5, 5)
    assert interaction([of(1, 1), flat]) == NotEstimable("the values do not vary in one of the groups")
