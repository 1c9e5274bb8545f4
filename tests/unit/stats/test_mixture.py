import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from meshtrial.stats.mixture import Sides, boundary, log_e, tuned_rho


@pytest.mark.parametrize(("total", "variance", "rho"), [(3.0, 2.0, 1.5), (-4.0, 9.0, 0.3), (0.5, 0.1, 4.0)])
def test_it_is_the_likelihood_ratio_mixed_over_a_normal_or_half_normal_drift(
    total: float, variance: float, rho: float
) -> None:
    def mixed(low: float, scale: float) -> float:
        def term(drift: float) -> float:
            ratio = math.exp(drift * total - drift**2 * variance / 2)
            return float(scale * norm.pdf(drift, scale=1 / math.sqrt(rho)) * ratio)

        return float(quad(term, low, 60)[0])

    assert np.exp(log_e(total, variance, rho)) == pytest.approx(mixed(-60, 1), rel=1e-7)
    assert np.exp(log_e(total, variance, rho, sides=1)) == pytest.approx(mixed(0, 2), rel=1e-7)


@pytest.mark.parametrize("seed", range(10))
def test_it_is_the_mixture_sequential_probability_ratio_test(seed: int) -> None:
    # Johari, Koomen, Pekelis & Walsh: n pairs, V the variance of a difference, tau2 that of the effect.
    rng = np.random.default_rng(seed)
    n, v, tau2, effect = int(rng.integers(1, 1000)), rng.uniform(0.1, 5), rng.uniform(0.01, 2), rng.normal()
    msprt = 0.5 * math.log(v / (v + n * tau2)) + n * n * tau2 * effect**2 / (2 * v * (v + n * tau2))
    assert log_e(n * effect, n * v, v * v / tau2) == pytest.approx(msprt, rel=1e-10)


@pytest.mark.parametrize("alpha", [1e-4, 0.01, 0.05, 0.4])
@pytest.mark.parametrize("variance", [1e-6, 1.0, 1e9])
@pytest.mark.parametrize("sides", [1, 2])
def test_on_the_boundary_the_e_value_is_1_by_alpha(alpha: float, variance: float, sides: Sides) -> None:
    bound = boundary(variance, 3.0, alpha, sides)
    assert log_e(bound, variance, 3.0, sides) == pytest.approx(-math.log(alpha), rel=1e-9)


def test_tuned_the_boundary_is_nearly_the_least_it_can_be() -> None:
    best = minimize_scalar(lambda rho: float(boundary(500.0, rho, 0.05)), bounds=(1, 1000), method="bounded")
    assert boundary(500.0, tuned_rho(500.0, 0.05), 0.05) == pytest.approx(best.fun, rel=1e-3)


def test_impossible_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"alpha must be above 0 and below 0\.5"):
        boundary(1.0, 1.0, 0.5)
    with pytest.raises(ValueError, match="variance must be above 0"):
        tuned_rho(0.0, 0.05)
