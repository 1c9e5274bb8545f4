"""Whether arms lose alike: against scipy's and statsmodels' tests of the same tables, and by simulation."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import StratifiedTable

from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.loss import Losses, equal_loss


@pytest.mark.parametrize(
    ("lost", "units"),
    [((0, 12), (1000, 1000)), ((3, 9), (100, 900)), ((40, 2), (2000, 2100)), ((1, 0), (5, 7))],
)
def test_of_two_arms_the_p_value_is_twice_fishers_smaller_tail(
    lost: tuple[int, int], units: tuple[int, int]
) -> None:
    table = [[lost[0], units[0] - lost[0]], [lost[1], units[1] - lost[1]]]
    tails = [stats.fisher_exact(table, alternative=side).pvalue for side in ("less", "greater")]

    assert equal_loss([Losses(lost, units)]) == pytest.approx(min(1, 2 * min(tails)), rel=1e-9)


def test_many_lost_units_give_the_p_value_of_mantel_and_haenszel() -> None:
    strata = [
        Losses((5_000, 5_400), (100_000, 101_000)),
        Losses((9_000, 2_100), (200_000, 50_000)),
    ]
    tables = [
        np.array([[s.lost[0], s.units[0] - s.lost[0]], [s.lost[1], s.units[1] - s.lost[1]]]) for s in strata
    ]

    expected = StratifiedTable(tables).test_null_odds(correction=True).pvalue

    assert equal_loss(strata) == pytest.approx(expected, rel=1e-6)


def test_of_strata_the_sum_is_exact() -> None:
    strata = [
        Losses((4, 1), (10, 12)),
        Losses((3, 0), (8, 9)),
        Losses((1, 0), (1, 0)),
        Losses((1, 0), (2, 2)),
    ]
    chance = np.random.default_rng(3)
    drawn = sum(
        (chance.hypergeometric(s.units[0], s.units[1], sum(s.lost), 400_000) for s in strata),
        start=np.zeros(400_000, int),
    )
    observed = sum(s.lost[0] for s in strata)
    expected = 2 * min((drawn <= observed).mean(), (drawn >= observed).mean())

    assert equal_loss(strata) == pytest.approx(expected, rel=0.02)


def test_strata_of_other_shares_and_losses_fake_no_difference() -> None:
    strata = [Losses((10, 90), (100, 900)), Losses((9, 1), (900, 100))]  # 10% and 1% in either arm

    p_value = equal_loss(strata)

    assert isinstance(p_value, float)
    assert p_value > 0.9
    assert stats.fisher_exact([[19, 981], [91, 909]]).pvalue < 1e-9  # what the arms as wholes show


def test_of_several_arms_the_worst_counts_times_their_number() -> None:
    one = equal_loss([Losses((30, 20), (1000, 2000))])
    three = equal_loss([Losses((30, 10, 10), (1000, 1000, 1000))])

    assert isinstance(one, float)
    assert three == pytest.approx(3 * one)


def test_equal_losses_are_found_unequal_at_most_as_often_as_said() -> None:
    chance = np.random.default_rng(11)
    found = [
        equal_loss(
            [
                Losses(tuple(map(int, chance.binomial(units, 0.02))), units)
                for units in ((500, 2000), (800, 700))
            ]
        )
        for _ in range(2000)
    ]
    p_values = [p for p in found if isinstance(p, float)]

    assert 0.02 < np.mean(np.array(p_values) < 0.05) < 0.065


def test_nothing_lost_and_one_arm_cannot_be_compared() -> None:
    assert isinstance(equal_loss([Losses((0, 0), (5, 5))]), NotEstimable)
    assert isinstance(equal_loss([Losses((2, 0), (5, 0))]), NotEstimable)
    assert isinstance(equal_loss([]), NotEstimable)


def test_all_lost_in_every_arm_is_no_difference() -> None:
    assert equal_loss([Losses((5, 9), (5, 9))]) == 1


@pytest.mark.parametrize(("lost", "units"), [((3, 0), (2, 5)), ((-1, 0), (2, 5)), ((1,), (2, 5))])
def test_more_lost_than_there_were_is_refused(lost: tuple[int, ...], units: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="cannot be lost"):
        Losses(lost, units)
