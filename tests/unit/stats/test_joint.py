import math
import re

import numpy as np
import pytest

from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.joint import Joint
from meshtrial.stats.moments import Moments, mean_contrast


def drawn(seed: int, units: int = 200, variables: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(units, variables)) @ rng.normal(size=(variables, variables))


def test_sums_are_about_the_shifts_and_products_are_the_upper_triangle_by_rows() -> None:
    found = Joint.of(np.array([[1.0, 10.0, 7.0], [3.0, 30.0, 5.0]]), [1.0, 10.0, 4.0])
    assert found == Joint((1.0, 10.0, 4.0), 2, (2.0, 20.0, 4.0), (4.0, 40.0, 2.0, 400.0, 20.0, 10.0))
    assert found.variables == 3


@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_means_and_covariances_are_numpys(shift: float) -> None:
    values = drawn(1)
    found = Joint.of(values, [shift] * 3)
    assert found.means() == pytest.approx(values.mean(axis=0))
    assert found.covariance() == pytest.approx(np.cov(values, rowvar=False))


def test_means_a_billion_times_the_spread_cost_no_covariance_a_digit() -> None:
    gaps = np.random.default_rng(2).integers(-5, 6, (500, 3)).astype(float)
    far = np.array([1e9, -2e9, 3e9])
    found = Joint.of(gaps + far, far.tolist())
    assert found.covariance() == pytest.approx(np.cov(gaps, rowvar=False), rel=1e-12)
    one = found.linear([1.0, 2.0, 3.0], far)
    assert one.variance() == pytest.approx(np.var(gaps @ [1, 2, 3], ddof=1), rel=1e-12)
    assert one.mean() == pytest.approx((gaps @ [1, 2, 3]).mean(), rel=1e-12)


def test_a_linear_combination_has_the_moments_it_has_unit_by_unit() -> None:
    values, coefficients, origin = drawn(3), [0.5, -2.0, 3.0], [1.0, 2.0, -1.0]
    found = Joint.of(values, [0.1, 0.2, 0.3]).linear(coefficients, origin)
    one = (values - origin) @ coefficients
    assert found.units == 200
    assert found.mean() == pytest.approx(one.mean())
    assert found.variance() == pytest.approx(one.var(ddof=1))


def test_mapped_variables_have_the_sums_they_have_unit_by_unit() -> None:
    values = drawn(4)
    matrix, origin, at = np.array([[1.0, -0.5, 0.0], [0.0, 2.0, 4.0]]), [1.0, 0.0, -1.0], [5.0, -3.0]
    found = Joint.of(values, [0.1, 0.2, 0.3]).mapped(matrix, origin, at)
    new = at + (values - origin) @ matrix.T
    assert found.means() == pytest.approx(new.mean(axis=0))
    assert found.covariance() == pytest.approx(np.cov(new, rowvar=False))


def test_variables_that_cancel_up_to_rounding_have_no_spread() -> None:
    rng = np.random.default_rng(5)
    x = rng.lognormal(size=300)
    arms = [
        Joint.of(np.stack([0.3 * x, x], axis=1)[half], [0.1, 0.5]) for half in (slice(150), slice(150, 300))
    ]
    one, other = (arm.linear([1.0, -0.3]) for arm in arms)
    assert one.variance() == pytest.approx(0, abs=1e-20)
    assert isinstance(mean_contrast(one, other), NotEstimable)


def test_an_empty_sample_has_zeros_and_nothing_is_known_of_it() -> None:
    empty = Joint((1.0, 2.0))
    assert empty == Joint.of(np.zeros((0, 2)), [1.0, 2.0]) == Joint((1.0, 2.0), 0, (0.0,) * 2, (0.0,) * 3)
    assert empty.means() == NotEstimable("the arm has no units")
    assert isinstance(empty.covariance(), NotEstimable)
    assert isinstance(Joint.of(np.ones((1, 2)), [0.0, 0.0]).covariance(), NotEstimable)
    assert empty.linear([1.0, 1.0]) == Moments(3.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_value_that_is_no_number_is_refused_with_its_place(bad: float) -> None:
    with pytest.raises(ValueError, match=rf"^values must be finite, not {bad} \(at row 1, column 0\)$"):
        Joint.of(np.array([[1.0, 2.0], [bad, 3.0]]), [0.0, 0.0])


def test_a_value_too_large_to_square_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^products must be finite"):
        Joint.of(np.array([[1e200, 1.0]]), [0.0, 0.0])


@pytest.mark.parametrize(
    ("sums", "message"),
    [
        (((), 0, (), ()), "there must be one variable or more"),
        (((0.0,), 3, (), (1.0,)), "1 variables have 1 totals and 1 products, not 0 totals and 1 products"),
        (
            ((0.0, 0.0), 3, (1.0, 1.0), (1.0,)),
            "2 variables have 2 totals and 3 products, not 2 totals and 1 products",
        ),
        (((math.nan,), 0, (), ()), "shifts must be finite, not (nan,)"),
        (((0.0,), 1, (math.inf,), (1.0,)), "totals must be finite, not (inf,)"),
        (((0.0,), -1, (1.0,), (1.0,)), "units and squares must be 0 or more, not -1 and (1.0,)"),
        (
            ((0.0, 0.0), 1, (1.0, 1.0), (1.0, 1.0, -1.0)),
            "units and squares must be 0 or more, not 1 and (1.0, 1.0, -1.0)",
        ),
        (((0.0,), 0, (1.0,), (1.0,)), "sums of no units must be 0, not (1.0,) and (1.0,)"),
    ],
)
def test_impossible_sums_are_refused(
    sums: tuple[tuple[float, ...], int, tuple[float, ...], tuple[float, ...]], message: str
) -> None:
    with pytest.raises(ValueError, match=rf"^{re.escape(message)}$"):
        Joint(*sums)


def test_samples_about_different_shifts_do_not_add() -> None:
    with pytest.raises(
        ValueError, match=r"^samples with different shifts do not add: \(1\.0,\) and \(2\.0,\)$"
    ):
        _ = Joint((1.0,)) + Joint((2.0,))
