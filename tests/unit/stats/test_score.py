import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from meshtrial.stats.estimate import Interval, NotEstimable
from meshtrial.stats.proportion import Proportion
from meshtrial.stats.score import constrained_rates, miettinen_nurminen, score


def told(interval: Interval | NotEstimable) -> tuple[float, float]:
    assert isinstance(interval, Interval)
    return interval.low, interval.high


@pytest.mark.parametrize("seed", range(10))
def test_the_interval_holds_all_differences_that_are_not_rejected(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n0, n1 = (int(n) for n in rng.integers(5, 800, 2))
    x0, x1 = (1 + int(x) for x in rng.binomial([n0 - 2, n1 - 2], rng.uniform(0.01, 0.9)))
    control, treatment = Proportion(n0, x0), Proportion(n1, x1)
    low, high = told(miettinen_nurminen(control, treatment, 0.1))
    z = [score(control, treatment, limit) for limit in (low, high)]
    assert z == pytest.approx([1.6448536, -1.6448536], abs=1e-6)
    assert abs(score(control, treatment, (low + high) / 2)) < 1.6448536


@pytest.mark.parametrize("seed", range(20))
def test_constrained_rates_are_the_likeliest_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n0, n1 = rng.integers(1, 300, 2)
    x0, x1 = rng.integers(0, n0 + 1), rng.integers(0, n1 + 1)
    difference = float(rng.uniform(-0.9, 0.9))

    def unlikely(rate: float) -> float:
        p = np.clip([rate, rate + difference], 1e-300, 1 - 1e-16)
        return -float(x0 * np.log(p[0]) + (n0 - x0) * np.log1p(-p[0])) - float(
            x1 * np.log(p[1]) + (n1 - x1) * np.log1p(-p[1])
        )

    low, high = max(0.0, -difference), min(1.0, 1 - difference)
    best = minimize_scalar(unlikely, bounds=(low, high), method="bounded", options={"xatol": 1e-10})
    rates = constrained_rates(x0 / n0, x1 / n1, n0, n1, difference)
    assert rates[1] - rates[0] == pytest.approx(difference)
    assert rates[0] == pytest.approx(float(best.x), abs=1e-5)


def test_nothing_and_everything_have_an_interval_to_the_end_of_the_range() -> None:
    nothing, everything = Proportion(5, 0), Proportion(5, 5)
    assert told(miettinen_nurminen(nothing, everything, 0.05))[1] == pytest.approx(1)
    assert told(miettinen_nurminen(everything, nothing, 0.05))[0] == pytest.approx(-1)
    assert isinstance(miettinen_nurminen(Proportion(), nothing, 0.05), NotEstimable)


def test_at_no_difference_it_is_the_pooled_test_with_its_factor() -> None:
    control, treatment = Proportion(200, 20), Proportion(100, 18)
    p = 38 / 300
    pooled = 0.08 / (p * (1 - p) * (1 / 200 + 1 / 100)) ** 0.5
    assert score(control, treatment, 0.0) == pytest.approx(pooled * (299 / 300) ** 0.5)
