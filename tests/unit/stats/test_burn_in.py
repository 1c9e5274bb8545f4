import numpy as np
import pytest

from meshtrial.stats.burn_in import burn_in, burn_in_means, effective_units
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.moments import Moments
from meshtrial.stats.proportion import Proportion


def of(*values: float, shift: float = 0.0) -> Moments:
    return Moments.of(np.array(values, float), shift)


@pytest.mark.parametrize("few", [Proportion(5000, 9), Proportion(5000, 4991), Proportion()])
def test_proportions_wait_for_10_events_and_10_non_events_in_each_arm(few: Proportion) -> None:
    enough = Proportion(20, 10)
    assert burn_in(enough, enough) is None
    for arms in ((few, enough), (enough, few)):
        assert isinstance(burn_in(*arms), NotEstimable)


def test_the_reason_names_the_arm_and_its_counts() -> None:
    why = burn_in(Proportion(900, 40), Proportion(100, 3))
    assert why == NotEstimable(
        "a sequential look needs 10 units with the outcome and 10 without in each arm,"
        " and the treatment arm has 3 of 100"
    )


def test_effective_units_of_a_yes_or_no_outcome_are_its_events() -> None:
    assert effective_units(of(*[1.0] * 37, *[0.0] * 963)) == pytest.approx(37)
    assert effective_units(of(*[1.0] * 37, *[0.0] * 963, shift=0.04)) == pytest.approx(37)


def test_effective_units_are_few_where_a_few_units_hold_the_total() -> None:
    values = np.random.default_rng(0).lognormal(0, 1.5, 100_000)
    exact = values.sum() ** 2 / (values**2).sum()
    assert effective_units(Moments.of(values, 3.0)) == pytest.approx(exact, rel=1e-9)
    assert effective_units(of(*[0.01] * 999, 1e6)) == pytest.approx(1, rel=1e-3)
    assert effective_units(of(7.0, 7.0, 7.0, shift=1e9)) == pytest.approx(3)


def test_no_units_and_units_of_nothing_are_none() -> None:
    assert effective_units(Moments(0.0)) == 0
    assert effective_units(of(0.0, 0.0)) == 0
    assert effective_units(of(1e-200, 1e-200)) == 0  # squares too small to be told from 0


def test_means_wait_for_200_effective_units_in_each_arm() -> None:
    enough, few = of(*[2.0] * 200), of(*[2.0] * 198)
    assert burn_in_means(enough, enough, 200, 200) is None
    assert isinstance(burn_in_means(few, enough, 198, 200), NotEstimable)
    assert burn_in_means(enough, few, 200, 198) == NotEstimable(
        "a sequential look needs 200 effective units in each arm, or 2000 whose value is not 0;"
        " the treatment arm has 198 and 198"
    )


def test_values_of_both_signs_wait_for_2000_that_are_not_0() -> None:
    values = np.random.default_rng(1).normal(0, 1, 2000)
    sample = Moments.of(values, 0.0)
    assert effective_units(sample) < 200
    assert burn_in_means(sample, sample, 2000, 2000) is None
    assert isinstance(burn_in_means(sample, sample, 2000, 1999), NotEstimable)
