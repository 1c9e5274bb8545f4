import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from meshtrial.stats.bayes import Prior, posterior
from meshtrial.stats.contrast import Contrast


def contrast(effect: float, error: float = 0.5) -> Contrast:
    return Contrast("test", 10.0, effect, 0.6 * error, 0.8 * error, math.inf, 90, 90)


@pytest.mark.parametrize("higher", [True, False])
@pytest.mark.parametrize("effect", [-1.3, 0.0, 0.4])
def test_the_posterior_is_prior_times_likelihood(effect: float, *, higher: bool) -> None:
    prior = Prior(0.7, -0.2)
    found = posterior(contrast(effect), prior, higher_is_better=higher)

    grid = np.linspace(-8, 8, 200_001)
    density = norm.pdf(grid, -0.2, 0.7) * norm.pdf(effect, grid, 0.5)
    weights = density / density.sum()
    better = grid if higher else -grid
    assert found.mean == pytest.approx(weights @ grid)
    assert found.sd == pytest.approx(math.sqrt(weights @ (grid - weights @ grid) ** 2))
    assert found.chance_to_win == pytest.approx(weights[better > 0].sum(), abs=1e-4)
    assert found.expected_loss == pytest.approx(weights @ np.maximum(0, -better), rel=1e-6)


def test_a_flat_prior_leaves_the_estimate_as_it_is() -> None:
    found = posterior(contrast(0.4), Prior(math.inf), higher_is_better=True)
    assert (found.mean, found.sd) == pytest.approx((0.4, 0.5))
    assert found.chance_to_win == pytest.approx(norm.cdf(0.8))
    assert found.expected_loss == pytest.approx(quad(lambda x: -x * norm.pdf(x, 0.4, 0.5), -9, 0)[0])


def test_a_prior_sure_of_no_effect_needs_no_data_to_say_so() -> None:
    found = posterior(contrast(3.0), Prior(1e-9), higher_is_better=True)
    assert found.mean == pytest.approx(0, abs=1e-15)
    assert found.sd == pytest.approx(1e-9)


@pytest.mark.parametrize("effect", [50.0, -50.0])
def test_far_out_chance_and_loss_stay_within_their_ranges(effect: float) -> None:
    found = posterior(contrast(effect), Prior(math.inf), higher_is_better=True)
    assert found.chance_to_win == (1.0 if effect > 0 else 0.0)
    assert found.expected_loss == pytest.approx(max(0.0, -effect))


@pytest.mark.parametrize(
    ("sd", "mean"), [(0.0, 0.0), (-1.0, 0.0), (math.nan, 0.0), (1.0, math.inf), (1.0, math.nan)]
)
def test_an_impossible_prior_is_refused(sd: float, mean: float) -> None:
    with pytest.raises(ValueError, match=r"must be above"):
        Prior(sd, mean)
