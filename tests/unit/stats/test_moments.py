import math
import re

import numpy as np
import pytest
from scipy.stats import ttest_ind

from meshtrial.stats.estimate import Difference, NotEstimable
from meshtrial.stats.fixed import fixed
from meshtrial.stats.moments import Moments, mean_contrast
from stats_cases import near, published

NO_SPREAD = NotEstimable("the values do not vary in either arm, or by no more than rounding")


def of(values: object, shift: float = 0.0) -> Moments:
    return Moments.of(np.asarray(values, float), shift)


def compared(control: Moments, treatment: Moments, alpha: float = 0.05) -> Difference:
    comparison = fixed(mean_contrast(control, treatment), alpha)
    assert isinstance(comparison, Difference)
    return comparison


@pytest.mark.parametrize("shift", [0.0, 1.5, -20.0])
def test_wherever_the_shift_is_the_published_numbers_of_the_sleep_data_come(shift: float) -> None:
    inputs, expected = published("welch-sleep")
    difference = compared(of(inputs["group2"], shift), of(inputs["group1"], shift))
    assert difference.p_value == near(expected["p"], 1e-5)
    assert [difference.interval.low, difference.interval.high] == near(expected["ci"], 1e-7)
    assert difference.method == "Welch t"


@pytest.mark.parametrize("seed", range(25))
def test_scipy_agrees(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mean, spread = rng.uniform(-100, 100), rng.uniform(0.1, 50)
    control = rng.normal(mean, spread, int(rng.integers(2, 400)))
    treatment = rng.gamma(2.0, spread, int(rng.integers(2, 400))) + mean
    alpha = float(rng.uniform(0.001, 0.4))

    welch = ttest_ind(treatment, control, equal_var=False)
    interval = welch.confidence_interval(1 - alpha)
    difference = compared(of(control, mean), of(treatment, mean), alpha)
    assert difference.p_value == pytest.approx(welch.pvalue, rel=1e-8)
    ours = (difference.interval.low, difference.interval.high)
    assert ours == pytest.approx((interval.low, interval.high), rel=1e-8, abs=1e-8)
    assert difference.effect == pytest.approx(treatment.mean() - control.mean(), rel=1e-9, abs=1e-10)


def test_a_mean_a_billion_times_the_spread_loses_no_digit_of_the_effect() -> None:
    rng = np.random.default_rng(5)
    control, treatment = rng.integers(-3, 4, 500).astype(float), rng.integers(-2, 5, 500).astype(float)
    near_zero = compared(of(control), of(treatment))
    far_away = compared(of(control + 1e9, 1e9), of(treatment + 1e9, 1e9))
    assert far_away.effect == near_zero.effect
    assert far_away.interval == near_zero.interval
    assert far_away.p_value == near_zero.p_value
    assert far_away.relative == pytest.approx(near_zero.effect / (1e9 + control.mean()), rel=1e-12)


def test_arms_may_be_summed_about_different_shifts() -> None:
    one, other = [1.0, 2.0, 4.0], [2.0, 5.0, 9.0]
    difference = compared(of(one, 2.0), of(other, 5.0))
    assert difference.effect == pytest.approx(3.0)
    assert difference.p_value == pytest.approx(ttest_ind(other, one, equal_var=False).pvalue)


@pytest.mark.parametrize("value", [0.0, 0.1, 7.0, 1e9 / 3])
@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_two_arms_that_do_not_vary_are_refused(value: float, shift: float) -> None:
    control, treatment = of([value] * 50, shift), of([2 * value] * 70, shift)
    assert mean_contrast(control, treatment) == NO_SPREAD


def test_one_arm_that_does_not_vary_is_compared() -> None:
    control, treatment = [0.1] * 50, np.linspace(0, 1, 40)
    with pytest.warns(RuntimeWarning, match="Precision loss"):
        welch = ttest_ind(treatment, control, equal_var=False)
    difference = compared(of(control), of(treatment))
    assert difference.p_value == pytest.approx(welch.pvalue, rel=1e-8)


def test_a_spread_that_rounding_has_eaten_is_refused_and_a_better_shift_brings_it_back() -> None:
    rng = np.random.default_rng(1)
    control, treatment = 1e8 + rng.normal(0, 1, 100), 1e8 + rng.normal(1, 1, 100)
    assert mean_contrast(of(control), of(treatment)) == NO_SPREAD
    assert compared(of(control, 1e8), of(treatment, 1e8)).effect == pytest.approx(1, abs=0.5)


@pytest.mark.parametrize(
    ("control", "treatment", "reason"),
    [
        ([], [1.0, 2.0], "control: a variance needs 2 units or more, and the arm has 0"),
        ([1.0, 2.0], [3.0], "treatment: a variance needs 2 units or more, and the arm has 1"),
    ],
)
def test_under_2_units_in_an_arm_is_refused(
    control: list[float], treatment: list[float], reason: str
) -> None:
    assert mean_contrast(of(control), of(treatment)) == NotEstimable(reason)


def test_a_control_of_mean_0_has_no_relative_effect() -> None:
    assert isinstance(compared(of([-1.0, 1.0]), of([0.0, 3.0])).relative, NotEstimable)


def test_mean_and_variance_of_a_sample() -> None:
    sample = of([2.0, 4.0, 9.0], 3.0)
    assert sample == Moments(3.0, 3, 6.0, 38.0)
    assert sample.mean() == 5.0
    assert sample.variance() == 13.0


@pytest.mark.parametrize("units", [3, 15, 19, 100])
def test_rounding_never_makes_a_variance_negative(units: int) -> None:
    variance = of([0.1] * units).variance()
    assert isinstance(variance, float)
    assert 0 <= variance < 1e-15


def test_an_empty_sample_has_neither_mean_nor_variance() -> None:
    assert of([], 3.0) == Moments(3.0)
    assert Moments(3.0).mean() == NotEstimable("the arm has no units")
    assert isinstance(Moments(3.0).variance(), NotEstimable)
    assert of([4.0], 3.0).mean() == 4.0
    assert isinstance(of([4.0], 3.0).variance(), NotEstimable)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_is_refused_with_its_place(bad: float) -> None:
    with pytest.raises(ValueError, match=rf"^values must be finite, not {bad} \(at index 2\)$"):
        of([1.0, 2.0, bad, 3.0])


def test_a_value_too_large_to_square_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^squares must be finite, not inf$"):
        of([1.0, 1e200])


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((math.nan, 1, 0.0, 0.0), "shift must be finite, not nan"),
        ((0.0, 1, math.inf, 0.0), "total must be finite, not inf"),
        ((0.0, 1, 1.0, math.inf), "squares must be finite, not inf"),
        ((0.0, -1, 1.0, 1.0), "units and squares must be 0 or more, not -1 and 1.0"),
        ((0.0, 1, 1.0, -1.0), "units and squares must be 0 or more, not 1 and -1.0"),
        ((0.0, 0, 1.0, 1.0), "sums of no units must be 0, not 1.0 and 1.0"),
    ],
)
def test_impossible_sums_are_refused(numbers: tuple[float, int, float, float], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^{re.escape(message)}$"):
        Moments(*numbers)


def test_samples_about_different_shifts_do_not_add() -> None:
    with pytest.raises(ValueError, match=r"^samples with different shifts do not add: 1\.0 and 2\.0$"):
        _ = of([1.0], 1.0) + of([1.0], 2.0)


def test_an_alpha_out_of_range_is_refused_even_without_data() -> None:
    with pytest.raises(ValueError, match=r"^alpha must be above 0 and below 0\.5"):
        fixed(mean_contrast(Moments(0.0), Moments(0.0)), 0.5)
