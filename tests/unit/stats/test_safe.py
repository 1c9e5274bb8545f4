import math

import numpy as np
import pytest
from scipy.stats import binom

from meshtrial.stats.proportion import Proportion
from meshtrial.stats.safe import Prior, SafeTest, safe_log_e
from stats_cases import published


def test_with_the_default_prior_the_published_data_give_more() -> None:
    given, _ = published("safe2x2-vignette-unbalanced")
    log_e = safe_log_e(given["na"], given["ya"], given["nb"], given["yb"])
    assert math.exp(log_e[-1]) == pytest.approx(3.35, abs=0.005)


def test_the_first_block_says_nothing_and_the_second_what_its_likelihoods_say() -> None:
    first = SafeTest().after(Proportion(10, 2), Proportion(20, 9))
    assert first.log_e == pytest.approx(0, abs=1e-12)

    a, b = 2.18 / 10.36, 9.18 / 20.36
    middle = (5 * a + 3 * b) / 8
    ratio = binom.pmf(1, 5, a) * binom.pmf(2, 3, b) / (binom.pmf(1, 5, middle) * binom.pmf(2, 3, middle))
    assert math.exp(first.after(Proportion(5, 1), Proportion(3, 2)).log_e) == pytest.approx(ratio, rel=1e-10)


@pytest.mark.parametrize("rate", [0.01, 0.3, 0.9])
def test_whatever_the_common_proportion_a_block_multiplies_by_1_on_average_or_less(rate: float) -> None:
    before = SafeTest().after(Proportion(30, 3), Proportion(20, 9))
    expected = math.fsum(
        binom.pmf(ya, 6, rate)
        * binom.pmf(yb, 4, rate)
        * math.exp(before.after(Proportion(6, ya), Proportion(4, yb)).log_e - before.log_e)
        for ya in range(7)
        for yb in range(5)
    )
    assert expected <= 1 + 1e-12


def test_the_p_value_is_the_least_one_so_far() -> None:
    test, least = SafeTest(), 1.0
    rng = np.random.default_rng(8)
    for rate in [0.4] * 30 + [0.1] * 30:
        test = test.after(Proportion(5, int(rng.binomial(5, 0.1))), Proportion(5, int(rng.binomial(5, rate))))
        least = min(least, math.exp(-test.log_e))
        assert test.p_value() == pytest.approx(least, rel=1e-9)
    assert test.p_value() < math.exp(-test.log_e)


def test_many_trials_at_once_are_as_one_after_the_other() -> None:
    rng = np.random.default_rng(4)
    n = rng.integers(0, 6, (2, 3, 40))
    y = rng.binomial(n, 0.3)
    log_e = safe_log_e(n[0], y[0], n[1], y[1])
    for trial in range(3):
        test = SafeTest()
        for block in range(40):
            (na, nb), (ya, yb) = n[:, trial, block].tolist(), y[:, trial, block].tolist()
            test = test.after(Proportion(na, ya), Proportion(nb, yb))
            assert log_e[trial, block] == pytest.approx(test.log_e, abs=1e-10)


def test_a_block_with_units_of_one_arm_alone_is_no_evidence_but_is_learned_from() -> None:
    before = SafeTest().after(Proportion(30, 3), Proportion(20, 9))
    after = before.after(Proportion(0, 0), Proportion(40, 39))
    assert after.log_e == pytest.approx(before.log_e, abs=1e-12)
    assert after.treatment == Proportion(60, 48)
    assert after.after(Proportion(), Proportion()) == after


@pytest.mark.parametrize("prior", [(0.0, 1.0), (1.0, -1.0), (math.inf, 1.0)])
def test_a_prior_without_weight_on_either_side_is_refused(prior: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="events must be above 0"):
        Prior(*prior)
