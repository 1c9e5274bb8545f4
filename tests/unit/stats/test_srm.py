import math
import re
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import chisquare

from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.srm import ChiSquared, srm


def p_value(observed: list[int], shares: list[Fraction | float]) -> float:
    result = srm(observed, shares)
    assert isinstance(result, ChiSquared)
    return result.p_value()


@pytest.mark.parametrize("seed", range(25))
def test_scipy_agrees(seed: int) -> None:
    rng = np.random.default_rng(seed)
    buckets = rng.integers(1000, 5000, int(rng.integers(2, 6)))
    shares = [Fraction(int(b), int(buckets.sum())) for b in buckets]
    observed = rng.multinomial(int(rng.integers(500, 10**6)), buckets / buckets.sum())
    expected = observed.sum() * buckets / buckets.sum()
    assert p_value(observed.tolist(), list(shares)) == pytest.approx(
        chisquare(observed, expected).pvalue, rel=1e-7
    )


def test_only_the_ratios_of_the_shares_count() -> None:
    halves = srm([510, 490], [Fraction(1, 2), Fraction(1, 2)])
    assert srm([510, 490], [0.5, 0.5]) == halves
    assert srm([510, 490], [3, 3]) == halves


def test_an_arm_of_share_0_is_left_out() -> None:
    assert srm([510, 0, 490], [0.5, 0, 0.5]) == srm([510, 490], [0.5, 0.5])


@pytest.mark.parametrize(
    ("observed", "shares"),
    [([5000, 1, 5000], [0.5, 0, 0.5]), ([0, 1], [1, 0]), ([1], [Fraction(0)])],
)
def test_one_unit_in_an_arm_of_share_0_is_a_mismatch_for_sure(
    observed: list[int], shares: list[Fraction | float]
) -> None:
    assert p_value(observed, shares) == 0.0


def test_an_arm_that_got_nothing_is_a_mismatch() -> None:
    # chi-squared is 100 with one degree of freedom, z is 10.
    assert p_value([100, 0], [1, 1]) == pytest.approx(1.523970604832e-23, rel=1e-9)


@pytest.mark.parametrize(
    ("observed", "shares", "reason"),
    [
        ([0, 0], [0.5, 0.5], "no arm has units"),
        ([100, 0], [1, 0], "a ratio needs two arms with a share above 0"),
        ([], [], "a ratio needs two arms with a share above 0"),
        (
            [3, 96],
            [Fraction(1, 25), Fraction(24, 25)],
            "too few units for a chi-squared test: 99 in all leave an arm 3.96 expected, and it takes 5",
        ),
    ],
)
def test_where_no_ratio_can_be_tested_the_reason_is_said(
    observed: list[int], shares: list[float], reason: str
) -> None:
    assert srm(observed, shares) == NotEstimable(reason)


def test_5_expected_units_are_enough() -> None:
    assert p_value([5, 5], [1, 1]) == 1.0


@pytest.mark.parametrize(
    ("observed", "shares", "message"),
    [
        ([1, 2], [1.0], "there must be one share for each arm, not 1 for 2"),
        ([1, -2], [1.0, 1.0], "observed must be finite and 0 or more, not -2"),
        ([1, 2], [1.0, -0.5], "shares must be finite and 0 or more, not -0.5"),
        ([1, 2], [1.0, math.nan], "shares must be finite and 0 or more, not nan"),
        ([1, 2], [1.0, math.inf], "shares must be finite and 0 or more, not inf"),
    ],
)
def test_impossible_input_is_refused(observed: list[int], shares: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^{re.escape(message)}$"):
        srm(observed, shares)
