import math

import numpy as np
import pytest
from scipy.stats import chi2_contingency
from statsmodels.stats.proportion import confint_proportions_2indep

from meshtrial.stats.estimate import Difference, Interval, NotEstimable
from meshtrial.stats.proportion import Proportion, compare_proportions
from stats_cases import near


def compared(control: Proportion, treatment: Proportion, alpha: float = 0.05) -> Difference:
    comparison = compare_proportions(control, treatment, alpha)
    assert isinstance(comparison, Difference)
    return comparison


def test_the_published_interval_of_10_against_11_and_two_thirds_percent() -> None:
    difference = compared(Proportion(1800, 180), Proportion(1800, 210))
    assert 100 * difference.interval.low == near(-0.366, 5e-4)
    assert 100 * difference.interval.high == near(3.703, 5e-4)
    assert difference.effect == near(30 / 1800, 1e-15)
    assert difference.relative == near(30 / 180, 1e-12)
    assert difference.method == "two-proportion z, Newcombe interval"


@pytest.mark.parametrize("seed", range(25))
def test_scipy_and_statsmodels_agree(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n0, n1 = (int(n) for n in rng.integers(5, 5000, 2))
    x0, x1 = (int(x) for x in rng.binomial([n0, n1], rng.uniform(0.05, 0.95, 2)))
    alpha = float(rng.uniform(0.001, 0.4))
    difference = compared(Proportion(n0, x0), Proportion(n1, x1), alpha)

    chi2 = chi2_contingency([[x0, n0 - x0], [x1, n1 - x1]], correction=False)
    assert difference.p_value == pytest.approx(chi2.pvalue, rel=1e-9)
    newcombe = confint_proportions_2indep(x1, n1, x0, n0, method="newcomb", alpha=alpha)
    assert (difference.interval.low, difference.interval.high) == pytest.approx(newcombe, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("control", "treatment", "reason"),
    [
        (Proportion(), Proportion(10, 3), "the control arm has no units"),
        (Proportion(10, 3), Proportion(), "the treatment arm has no units"),
        (
            Proportion(10, 0),
            Proportion(20, 0),
            "no unit of either arm had the outcome, so the test has no variance to stand on",
        ),
        (
            Proportion(10, 10),
            Proportion(20, 20),
            "every unit of either arm had the outcome, so the test has no variance to stand on",
        ),
    ],
)
def test_what_the_counts_do_not_determine_is_refused_with_the_reason(
    control: Proportion, treatment: Proportion, reason: str
) -> None:
    assert compare_proportions(control, treatment, 0.05) == NotEstimable(reason)


def test_a_control_without_successes_is_compared_but_has_no_relative_effect() -> None:
    difference = compared(Proportion(1000, 0), Proportion(1000, 20))
    assert difference.effect == 0.02
    assert 0 < difference.interval.low < 0.02 < difference.interval.high
    assert isinstance(difference.relative, NotEstimable)


@pytest.mark.parametrize("units", [(1, 5), (1, 8), (3, 3), (20, 7)])
def test_an_interval_never_leaves_what_two_proportions_can_differ_by(units: tuple[int, int]) -> None:
    none, every = Proportion(units[0], 0), Proportion(units[1], units[1])
    up = compared(none, every).interval
    assert up.low < up.high == 1.0
    assert compared(every, none).interval == Interval(-1.0, -up.low)


def test_a_share_needs_units() -> None:
    assert Proportion(8, 2).value() == 0.25
    assert Proportion().value() == NotEstimable("the arm has no units")


@pytest.mark.parametrize(("units", "successes"), [(3, 4), (3, -1), (-1, 0), (-2, -2)])
def test_impossible_counts_are_refused(units: int, successes: int) -> None:
    with pytest.raises(
        ValueError, match=rf"^successes must be within 0\.\.units, not {successes} of {units}$"
    ):
        Proportion(units, successes)


@pytest.mark.parametrize("alpha", [0.0, 0.5, math.nan])
def test_an_alpha_out_of_range_is_refused_even_without_data(alpha: float) -> None:
    with pytest.raises(ValueError, match=r"^alpha must be above 0 and below 0\.5"):
        compare_proportions(Proportion(), Proportion(), alpha)
