import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from meshtrial.stats.contrast import Contrast
from meshtrial.stats.estimate import Interval
from meshtrial.stats.fixed import fixed_critical
from meshtrial.stats.practical import Standing, standing, tost


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (2.0, 3.0, Standing.PRACTICALLY_BETTER),
        (2.1, 3.0, Standing.PRACTICALLY_BETTER),
        (1.9, 3.0, Standing.BETTER_MAYBE_SMALL),
        (0.1, 2.0, Standing.BETTER_MAYBE_SMALL),
        (0.1, 1.9, Standing.EQUIVALENT),
        (-1.9, 1.9, Standing.EQUIVALENT),
        (-1.9, -0.1, Standing.EQUIVALENT),
        (0.0, 2.0, Standing.INCONCLUSIVE),
        (-0.1, 5.0, Standing.INCONCLUSIVE),
        (-2.0, 1.0, Standing.INCONCLUSIVE),
        (-2.0, 0.0, Standing.INCONCLUSIVE),
        (-9.0, 9.0, Standing.INCONCLUSIVE),
        (-2.0, -0.1, Standing.WORSE),
        (-9.0, -5.0, Standing.WORSE),
    ],
)
def test_an_interval_stands_where_it_lies_beside_the_minimum_effect(
    low: float, high: float, expected: Standing
) -> None:
    assert standing(Interval(low, high), 2.0, higher_is_better=True) is expected
    assert standing(Interval(-high, -low), 2.0, higher_is_better=False) is expected


def contrast(effect: float, error: float, freedom: float = math.inf, control: float = 10.0) -> Contrast:
    return Contrast("test", control, effect, error, 1e-9, freedom, 90, 90)


@given(st.floats(-5, 5), st.floats(0.01, 3), st.floats(0.1, 4), st.floats(2, 100))
def test_equivalent_is_what_two_one_sided_tests_find(
    effect: float, error: float, margin: float, freedom: float
) -> None:
    one = contrast(effect, error, freedom)
    half = fixed_critical(one, 0.1) * one.error
    equivalent = standing(Interval(effect - half, effect + half), margin, higher_is_better=True)
    p_value = tost(one, margin, relative=False).p_value
    if abs(p_value - 0.05) > 1e-9:
        assert (equivalent is Standing.EQUIVALENT) is (p_value < 0.05)


def test_a_relative_margin_counts_controls_error() -> None:
    one = Contrast("test", 10.0, 0.2, 0.3, 0.4, 30.0, 90, 90)
    found = tost(one, 0.1, relative=True)
    above = (10.2 - 0.9 * 10) / math.hypot(0.9 * 0.3, 0.4)
    below = (10.2 - 1.1 * 10) / math.hypot(1.1 * 0.3, 0.4)
    assert (found.above, found.below) == pytest.approx((above, below))
    assert found.p_value == pytest.approx(t.cdf(below, 30))


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan])
def test_a_minimum_effect_that_is_none_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=r"^minimum_effect must be above 0 and finite"):
        standing(Interval(0.0, 1.0), bad, higher_is_better=True)
    with pytest.raises(ValueError, match=r"^margin must be above 0"):
        tost(contrast(0, 1), bad, relative=False)
    with pytest.raises(ValueError, match=r"^margin must be above 0 and below 1"):
        tost(contrast(0, 1), 1.0, relative=True)
