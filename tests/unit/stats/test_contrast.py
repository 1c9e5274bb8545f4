import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import norm, t

from meshtrial.stats.contrast import Contrast, combine, difference, fieller
from meshtrial.stats.estimate import Interval, NotEstimable
from meshtrial.stats.fixed import fixed_p_value
from meshtrial.stats.proportion import Proportion, compare_proportions


def contrast(
    control: float,
    effect: float,
    control_error: float = 0.1,
    treatment_error: float = 0.1,
    freedom: float = math.inf,
) -> Contrast:
    return Contrast("test", control, effect, control_error, treatment_error, freedom, 60, 40)


def bounded(interval: Interval | NotEstimable) -> tuple[float, float]:
    assert isinstance(interval, Interval)
    return interval.low, interval.high


def test_a_contrast_tells_its_error_information_units_and_treatment() -> None:
    one = contrast(10, 2, 3, 4)
    assert (one.error, one.information, one.units, one.treatment) == (5, 0.04, 100, 12)


@pytest.mark.parametrize("margin", [-0.2, 0.0, 0.3])
def test_above_an_absolute_margin_the_effect_is_less_by_it_and_the_error_stays(margin: float) -> None:
    moved = contrast(10, 0.5, 0.2, 0.3).above(margin, relative=False)
    assert moved.effect == pytest.approx(0.5 - margin)
    assert moved.treatment == pytest.approx(10.5)
    assert (moved.control_error, moved.treatment_error) == (0.2, 0.3)


@pytest.mark.parametrize("margin", [-0.2, 0.0, 0.3])
def test_above_a_share_the_controls_error_counts_as_often_as_its_value(margin: float) -> None:
    """m1 - (1 + d) m0 with variance v1 + (1 + d)^2 v0."""
    moved = contrast(10, 0.5, 0.2, 0.3).above(margin, relative=True)
    assert moved.effect == pytest.approx(10.5 - (1 + margin) * 10)
    assert moved.error**2 == pytest.approx(0.3**2 + (1 + margin) ** 2 * 0.2**2)
    assert moved.treatment == pytest.approx(10.5)


@pytest.mark.parametrize("seed", range(20))
def test_fiellers_limit_is_the_share_that_the_test_just_does_not_refuse(seed: int) -> None:
    rng = np.random.default_rng(seed)
    errors = rng.uniform(0.01, 0.4, 2)
    one = contrast(rng.uniform(1, 5), rng.normal(), errors[0], errors[1], rng.uniform(3, 90))
    low, high = bounded(fieller(one, t.isf(0.025, one.freedom)))
    for limit in (low, high):
        assert fixed_p_value(one.above(limit, relative=True)) == pytest.approx(0.05, rel=1e-6)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_share_of_a_control_that_may_be_0_has_no_bounds(sign: int) -> None:
    z = norm.isf(0.025)
    assert isinstance(fieller(contrast(sign * 0.1 * z, 1), z), NotEstimable)
    assert isinstance(fieller(contrast(0, 1), z), NotEstimable)
    low, high = bounded(fieller(contrast(sign * 0.101 * z, sign * 1.0), z))
    assert 0 < low < high


def test_of_a_negative_control_more_is_a_positive_share_where_it_is_more_negative() -> None:
    assert bounded(fieller(contrast(-10, -2), 2)) == pytest.approx(bounded(fieller(contrast(10, 2), 2)))


@pytest.mark.parametrize("error", [1e-6, 0.1])
def test_a_control_1e9_times_the_effect_costs_the_share_no_digit(error: float) -> None:
    one = contrast(1e9, 1.0, error, 2 * error)
    m0, m1, q = Fraction(10**9), Fraction(10**9 + 1), Fraction(2)
    v0, v1 = Fraction(error) ** 2, Fraction(2 * error) ** 2
    a, b = m0**2 - q**2 * v0, m0 + q**2 * v0
    root = math.sqrt(q**2 * (v0 * m1**2 + v1 * a))
    low, high = bounded(fieller(one, 2.0))
    assert low == pytest.approx((float(b) - root) / float(a), rel=1e-12)
    assert high == pytest.approx((float(b) + root) / float(a), rel=1e-12)
    # Beside so large a value its own error is nothing, so the interval is the absolute one by the value.
    assert (low, high) == pytest.approx(
        ((1 - 2 * one.error) / 1e9, (1 + 2 * one.error) / 1e9), rel=1e-6, abs=1e-17
    )


@pytest.mark.parametrize(
    ("control", "treatment"),
    [(Proportion(20, 10), Proportion(20, 0)), (Proportion(10, 10), Proportion(10, 0))],
)
def test_no_success_is_not_minus_100_percent_for_certain(control: Proportion, treatment: Proportion) -> None:
    found = compare_proportions(control, treatment, 0.05)
    assert not isinstance(found, NotEstimable)
    assert found.relative == -1
    assert isinstance(found.relative_interval, NotEstimable)
    assert found.interval.high < 0


def test_strata_are_weighed_by_the_ratios_of_their_weights() -> None:
    parts = [(1.0, contrast(10, 1, 0.3, 0.4)), (3.0, contrast(20, -1, 0.6, 0.8))]
    for scale in (1.0, 1e-9, 1e9):
        both = combine([(scale * weight, part) for weight, part in parts])
        assert isinstance(both, Contrast)
        assert both.control == pytest.approx(0.25 * 10 + 0.75 * 20)
        assert both.effect == pytest.approx(0.25 - 0.75)
        assert both.control_error == pytest.approx(math.hypot(0.25 * 0.3, 0.75 * 0.6))
        assert both.treatment_error == pytest.approx(math.hypot(0.25 * 0.4, 0.75 * 0.8))
        assert math.isinf(both.freedom)
        assert (both.control_units, both.treatment_units) == (120, 80)
        assert both.method == "stratified test"


def test_one_stratum_is_itself() -> None:
    one = contrast(10, 1, 0.3, 0.4, 8.0)
    assert combine([(7, one)]) == one


def test_degrees_of_freedom_are_satterthwaites_over_the_strata() -> None:
    parts = [(1.0, contrast(0, 0, 0.3, 0.4, 5)), (1.0, contrast(0, 0, 0.6, 0.8, 20))]
    both = combine(parts)
    assert isinstance(both, Contrast)
    assert both.freedom == pytest.approx((0.25 + 1.0) ** 2 / (0.25**2 / 5 + 1.0**2 / 20))


def test_weights_by_units_add_up_the_information_of_strata_of_one_variance() -> None:
    """With weights n1 n0 / (n1 + n0) information is the sum of the strata's."""
    parts = []
    for n0, n1 in ((100, 50), (20, 70), (1000, 10)):
        errors = (math.sqrt(4 / n0), math.sqrt(4 / n1))
        parts.append((n0 * n1 / (n0 + n1), contrast(0, 0, *errors)))
    both = combine(parts)
    assert isinstance(both, Contrast)
    assert both.information == pytest.approx(sum(part.information for _, part in parts))


def test_no_stratum_is_refused() -> None:
    assert isinstance(combine([]), NotEstimable)


def test_a_difference_is_as_wide_as_the_method_says() -> None:
    found = difference(contrast(10, 1, 0.3, 0.4), 3.0, 0.01)
    assert found.interval == Interval(-0.5, 2.5)
    assert (found.effect, found.error, found.relative, found.p_value) == (1, 0.5, 0.1, 0.01)
    assert isinstance(found.relative_interval, Interval)
    assert found.relative_interval.low < 0.1 < found.relative_interval.high
