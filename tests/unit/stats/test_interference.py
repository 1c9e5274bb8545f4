import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import t

from cluster_matrices import cr2
from meshtrial.stats.clusters import Clusters
from meshtrial.stats.estimate import Comparison, Difference, NotEstimable
from meshtrial.stats.interference import Interference, interference


def told(found: Comparison) -> Difference:
    assert isinstance(found, Difference)
    return found


def answered(found: Interference | NotEstimable) -> Interference:
    assert isinstance(found, Interference)
    return found


def reason(found: Interference | NotEstimable) -> str:
    assert isinstance(found, NotEstimable)
    return found.reason


Town = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def drawn(rng: np.random.Generator, clusters: int, most: int = 8) -> Town:
    """Units' values and clusters, clusters' sizes, arms and neighbours' shares; effects 2 and 3."""
    sizes = rng.integers(2, most, clusters)
    cluster = np.repeat(np.arange(clusters), sizes)
    treated = rng.permutation(np.arange(clusters) % 2 == 1)
    around = np.mean([np.roll(treated, shift) for shift in (-2, -1, 1, 2)], axis=0)
    values = 10 + (2 * treated + 3 * around + rng.normal(0, 0.5, clusters))[cluster]
    return values + rng.normal(size=len(cluster)), cluster, sizes.astype(float), treated, around


def sums(town: Town) -> Clusters:
    return Clusters(np.bincount(town[1], town[0]).astype(float), town[2])


@pytest.mark.parametrize("seed", range(3))
def test_effects_errors_and_freedom_are_those_of_a_regression_on_units(seed: int) -> None:
    town = drawn(np.random.default_rng(seed), 20)
    values, cluster, _, treated, around = town
    found = answered(interference(sums(town), treated, around, 0.05))
    x = np.column_stack([np.ones(len(values)), treated[cluster], around[cluster]]).astype(float)
    params = sm.OLS(values, x).fit().params
    for answer, change in (
        (found.own, [0.0, 1, 0]),
        (found.neighbours, [0.0, 0, 1]),
        (found.everywhere, [0.0, 1, 1]),
    ):
        variance, freedom = cr2(values, x, cluster, np.array(change))
        effect = float(np.dot(change, params))
        assert told(answer).effect == pytest.approx(effect)
        assert told(answer).error ** 2 == pytest.approx(variance)
        assert told(answer).relative == pytest.approx(effect / params[0])
        assert told(answer).p_value == pytest.approx(2 * t.sf(abs(effect) / variance**0.5, freedom))
    assert (found.shares.low, found.shares.high) == (around.min(), around.max())


def test_what_spills_over_is_told_from_the_own_effect() -> None:
    town = drawn(np.random.default_rng(4), 400)
    found = answered(interference(sums(town), town[3], town[4], 0.001))
    for answer, truth in ((found.own, 2), (found.neighbours, 3), (found.everywhere, 5)):
        assert told(answer).interval.low < truth < told(answer).interval.high
        assert told(answer).error < 0.3


def test_without_shares_that_vary_neither_effect_is_told() -> None:
    values, cluster, sizes, treated, _ = drawn(np.random.default_rng(5), 20)
    clusters = Clusters(np.bincount(cluster, values).astype(float), sizes)
    assert "same share" in reason(interference(clusters, treated, np.full(20, 0.5), 0.05))
    assert "the same as the arm" in reason(interference(clusters, treated, treated * 0.5, 0.05))


def test_too_few_clusters_of_an_arm_tell_nothing() -> None:
    values, cluster, sizes, _, around = drawn(np.random.default_rng(6), 20)
    clusters = Clusters(np.bincount(cluster, values).astype(float), sizes)
    assert reason(interference(clusters, np.arange(20) < 3, around, 0.05)) == (
        "an arm has 3 clusters, and it takes 4"
    )


def test_outcomes_that_the_exposure_makes_up_have_no_error() -> None:
    _, _, sizes, treated, around = drawn(np.random.default_rng(7), 20)
    found = answered(interference(Clusters(sizes * (0.1 + treated + around), sizes), treated, around, 0.05))
    assert found.own == NotEstimable("the clusters' means do not vary beyond their exposure")


def test_what_cannot_be_is_refused() -> None:
    town = drawn(np.random.default_rng(8), 20)
    with pytest.raises(ValueError, match="alpha"):
        interference(sums(town), town[3], town[4], 0.5)
    with pytest.raises(ValueError, match="one arm"):
        interference(sums(town), town[3][:5], town[4], 0.05)
    with pytest.raises(ValueError, match="shares"):
        interference(sums(town), town[3], town[4] + 1, 0.05)
