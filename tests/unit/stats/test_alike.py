"""Covariates of two arms: few false alarms whatever their skew, and unlike units are found."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from meshtrial.stats.alike import Alike, Pair, alike
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.moments import Moments
from proof import often

Floats = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Floats]


def lognormal(sd: float, zeros: float = 0.0) -> Draw:
    return lambda chance, units: chance.lognormal(0, sd, units) * (chance.random(units) >= zeros)


def p_value(control: Floats, treatment: Floats, *, binary: bool = False) -> float:
    found = alike([Pair(1, Moments.of(control, 0.5), Moments.of(treatment, 0.5))], binary=binary)
    assert isinstance(found, Alike)
    return found.p_value


def alarms(draw: Draw, sizes: tuple[int, int], times: float = 1.0, trials: int = 300) -> float:
    chance = np.random.default_rng(20)
    found = [p_value(draw(chance, sizes[0]), times * draw(chance, sizes[1])) for _ in range(trials)]
    return float(np.mean(np.array(found) < 0.001))


@pytest.mark.parametrize("draw", [lognormal(1), lognormal(1.5), lognormal(1, 0.7), lognormal(1.5, 0.7)])
@pytest.mark.parametrize("sizes", [(900, 100), (100, 900)])
def test_skewed_covariates_of_uneven_arms_make_few_false_alarms(draw: Draw, sizes: tuple[int, int]) -> None:
    # Welch's test alarms in 12 to 16 of 1,000: of 4,000 trials 48, where 8 are tolerated (.002).
    assert alarms(draw, sizes, trials=often(4000, 40_000)) <= 0.002


@pytest.mark.parametrize(
    ("draw", "sizes", "times", "least"),
    [
        (lognormal(1), (4500, 500), 1.5, 0.9),
        (lognormal(1), (500, 500), 1.5, 0.7),
        (lognormal(1.5), (9000, 1000), 2.0, 0.9),
        (lognormal(1.5), (5000, 5000), 1.3, 0.9),
        (lognormal(1.5, 0.7), (5000, 5000), 1.6, 0.8),
    ],
)
def test_units_that_were_unlike_before_are_found(
    draw: Draw, sizes: tuple[int, int], times: float, least: float
) -> None:
    assert alarms(draw, sizes, times) > least


def test_of_even_arms_it_is_the_permutation_test() -> None:
    chance = np.random.default_rng(3)
    control, treatment = chance.lognormal(0, 0.5, 200), chance.lognormal(0.12, 0.5, 200)

    permuted = stats.permutation_test(
        (treatment, control),
        lambda a, b, axis: np.mean(a, axis) - np.mean(b, axis),
        vectorized=True,
        n_resamples=9999,
        rng=np.random.default_rng(4),
    )

    assert p_value(control, treatment) == pytest.approx(permuted.pvalue, rel=0.2)


def test_what_is_0_or_1_in_a_small_arm_is_near_fishers_exact_test() -> None:
    control, treatment = np.repeat([1.0, 0.0], [180, 8820]), np.repeat([1.0, 0.0], [37, 963])
    exact = stats.fisher_exact([[37, 963], [180, 8820]]).pvalue

    assert exact / 2 < p_value(control, treatment, binary=True) < 2 * exact


def test_strata_are_compared_within() -> None:
    chance = np.random.default_rng(6)
    few, many = chance.gamma(4, 1, 1000), 100 + chance.gamma(4, 1, 1000)
    pairs = [
        Pair(1, Moments.of(few[:900], 50), Moments.of(few[900:], 50)),
        Pair(1, Moments.of(many[:100], 50), Moments.of(many[100:], 50)),
    ]

    found = alike(pairs, binary=False)

    assert isinstance(found, Alike)
    assert found.p_value > 0.01  # all together the arms' means are 80 apart
    assert found.control == pytest.approx((few[:900].mean() + many[:100].mean()) / 2)
    assert found.treatment == pytest.approx((few[900:].mean() + many[100:].mean()) / 2)


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_what_does_not_vary_tells_nothing(shift: float) -> None:
    same = Moments.of(np.full(50, 1e6), shift)

    assert isinstance(alike([Pair(1, same, same)], binary=False), NotEstimable)
    assert isinstance(alike([], binary=False), NotEstimable)
    assert isinstance(alike([Pair(1, same, Moments(shift))], binary=False), NotEstimable)


def test_a_mean_of_0_is_judged_as_skewed_as_any() -> None:
    both = np.array([-1.0, 1.0] * 500)

    assert p_value(both, both[:100]) == 1.0
