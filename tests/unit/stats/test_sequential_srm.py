import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import dirichlet_multinomial, multinomial

from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.srm import Split, SrmEvidence, sequential_srm

HALVES = (Fraction(1, 2), Fraction(1, 2))


def evidence(*splits: Split) -> SrmEvidence:
    found = sequential_srm(splits)
    assert isinstance(found, SrmEvidence)
    return found


@pytest.mark.parametrize("seed", range(10))
def test_scipy_agrees(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(3, 5.0))
    buckets = rng.multinomial(500, shares, size=4)
    found = evidence(Split(tuple(shares.tolist()), tuple(map(tuple, buckets.tolist()))))
    for bucket, counts in enumerate(np.cumsum(buckets, axis=0)):
        exact = dirichlet_multinomial.logpmf(counts, 100 * shares, counts.sum()) - multinomial.logpmf(
            counts, counts.sum(), shares
        )
        assert found.log_e[bucket] == pytest.approx(exact, abs=1e-8)


def test_a_mismatch_that_came_and_went_stays_found() -> None:
    found = evidence(Split(HALVES, ((1000, 700), (0, 300))))
    assert found.log_e[0] > math.log(1000) > found.log_e[1]
    assert found.alarm()
    assert found.p_value() == pytest.approx(math.exp(-found.log_e[0]), rel=1e-12)


def test_a_sound_split_is_no_evidence() -> None:
    found = evidence(Split((3, 1), ((750, 250), (760, 240))))
    assert max(found.log_e) < 0
    assert found.p_value() == 1
    assert not found.alarm()


def test_phases_and_cohorts_each_by_their_own_shares_multiply() -> None:
    first, second = Split((9, 1), ((900, 130), (0, 0))), Split((1, 1), ((0, 0), (500, 590)))
    both = evidence(first, second)
    assert both.log_e == pytest.approx([a + b for a, b in zip(*map(log_e_of, (first, second)), strict=True)])
    assert both.log_e[0] == pytest.approx(evidence(first).log_e[0])
    assert not evidence(second).alarm()


def log_e_of(split: Split) -> tuple[float, ...]:
    return evidence(split).log_e


def test_one_unit_in_an_arm_of_share_0_is_a_mismatch_for_sure_from_then_on() -> None:
    found = evidence(Split((0.5, 0, 0.5), ((50, 0, 50), (50, 1, 50), (50, 0, 50))))
    assert found.log_e[0] == pytest.approx(evidence(Split(HALVES, ((50, 50),))).log_e[0])
    assert found.log_e[1:] == (math.inf, math.inf)
    assert found.p_value() == 0
    assert found.alarm()


def test_where_no_unit_was_seen_nothing_is_said() -> None:
    assert sequential_srm([]) == NotEstimable("no arm has units")
    assert sequential_srm([Split(HALVES, ((0, 0),))]) == NotEstimable("no arm has units")


def test_the_alarm_is_at_an_e_value_of_1000() -> None:
    assert SrmEvidence((math.log(1000.0001),)).alarm()
    assert not SrmEvidence((math.log(999.999),)).alarm()


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (Split((1, 1), ((1, 2, 3),)), "there must be one share for each arm"),
        (Split((1, 1), ((1, -2),)), "observed must be finite and 0 or more"),
        (Split((1, -1), ((1, 2),)), "shares must be finite and 0 or more"),
        (Split((0, 0), ((1, 2),)), "a split must have a share above 0"),
    ],
)
def test_impossible_input_is_refused(split: Split, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sequential_srm([split])


def test_splits_over_different_buckets_are_refused() -> None:
    with pytest.raises(ValueError, match="all splits must be over the same time buckets"):
        sequential_srm([Split(HALVES, ((1, 2),)), Split(HALVES, ((1, 2), (3, 4)))])
