import math

import numpy as np
import pytest
import statsmodels.api as sm

from meshtrial.stats.contrast import Contrast, Contrasted, combine, fieller
from meshtrial.stats.estimate import Interval, NotEstimable
from meshtrial.stats.fixed import fixed_critical
from meshtrial.stats.joint import Joint
from meshtrial.stats.moments import mean_contrast
from meshtrial.stats.ratio import METHOD, linearised, ratio_contrast
from stats_cases import near, published


def told(contrast: Contrasted) -> Contrast:
    assert isinstance(contrast, Contrast)
    return contrast


def test_fiellers_interval_of_a_ratio_is_near_the_published_one_of_the_log_ratio() -> None:
    inputs, expected = published("tea-tasting-orders_per_session")
    arms = []
    for arm in (inputs["0"], inputs["1"]):
        n, sums, squares = arm["n"], arm["sum"], arm["sum_squares"]
        product = arm["cov"]["sessions|orders"] * (n - 1) + sums["orders"] * sums["sessions"] / n
        totals = (sums["orders"], sums["sessions"])
        arms.append(Joint((0.0, 0.0), n, totals, (squares["orders"], product, squares["sessions"])))
    found = told(ratio_contrast(*arms))
    assert found.method == METHOD
    relative = fieller(found, fixed_critical(found, 0.05))
    assert isinstance(relative, Interval)
    assert [relative.low, relative.high] == near(expected["rel_ci"], 0.003)


def of_units(rng: np.random.Generator, units: int) -> np.ndarray:
    """Some events a unit, a share of which count; the share differs by unit."""
    events = 1 + rng.poisson(4, units)
    return np.stack([rng.binomial(events, rng.beta(2, 5, units)), events], axis=1).astype(float)


@pytest.mark.parametrize("seed", range(5))
def test_the_error_is_the_cluster_robust_one_of_all_events(seed: int) -> None:
    """A mean over events, with units as clusters (CR1), is the same ratio."""
    rng = np.random.default_rng(seed)
    values = of_units(rng, 150)
    events = values[:, 1].astype(int)
    unit = np.repeat(np.arange(150), events)
    counted = np.concatenate([[1.0] * int(x) + [0.0] * int(n - x) for x, n in values])
    fit = sm.OLS(counted, np.ones_like(counted)).fit(cov_type="cluster", cov_kwds={"groups": unit})

    sample = Joint.of(values, [1.0, 4.0])
    found = told(ratio_contrast(sample, sample))
    assert found.control == pytest.approx(fit.params[0])
    assert found.control_error == pytest.approx(fit.bse[0], rel=1e-9)


def test_arms_of_a_constant_denominator_are_means() -> None:
    rng = np.random.default_rng(6)
    x = [rng.normal(3, 1, n) for n in (40, 70)]
    arms = [Joint.of(np.stack([v, np.full(v.size, 2.0)], axis=1), [3.0, 2.0]) for v in x]
    found = told(ratio_contrast(*arms))
    plain = told(mean_contrast(*(arm.linear([0.5, 0.0]) for arm in arms)))
    assert (found.control, found.effect, found.error, found.freedom) == pytest.approx(
        (plain.control, plain.effect, plain.error, plain.freedom)
    )


def test_large_numerators_and_denominators_cost_no_digit() -> None:
    rng = np.random.default_rng(7)
    values = rng.integers(-4, 5, (2, 300, 2)).astype(float)
    far = np.array([2e9, 1e9])
    arms = [Joint.of(v + far, far.tolist()) for v in values]
    found = told(ratio_contrast(*arms))
    # 2 + (x - 2 y) / 1e9 to first order; the rest is 1e-9 of that.
    gaps = values @ [1.0, -2.0]
    assert found.effect * 1e9 == pytest.approx(gaps[1].mean() - gaps[0].mean(), rel=1e-7)
    assert found.control_error * 1e9 == pytest.approx(gaps[0].std(ddof=1) / math.sqrt(300), rel=1e-7)


def test_over_strata_the_ratio_is_that_of_weighted_means_and_not_the_mean_of_ratios() -> None:
    rng = np.random.default_rng(8)
    arms = [(of_units(rng, n0), 2 * of_units(rng, n1)) for n0, n1 in ((50, 60), (3, 2), (200, 90))]
    weights = [2.0, 0.5, 7.0]
    linear = linearised(
        [
            (w, Joint.of(a, [1.0, 4.0]), Joint.of(b, [1.0, 4.0]))
            for w, (a, b) in zip(weights, arms, strict=True)
        ]
    )
    assert not isinstance(linear, NotEstimable)
    parts = [(w, told(mean_contrast(c.linear([1.0]), t.linear([1.0])))) for w, c, t in linear]
    found = told(combine(parts))

    shares = np.array(weights) / sum(weights)
    means = [shares @ [pair[arm].mean(axis=0) for pair in arms] for arm in (0, 1)]
    assert found.control == pytest.approx(means[0][0] / means[0][1])
    assert found.treatment == pytest.approx(means[1][0] / means[1][1])
    variance = 0.0
    for share, (control, _) in zip(shares, arms, strict=True):
        z = (control[:, 0] - found.control * control[:, 1]) / means[0][1]
        variance += share**2 * z.var(ddof=1) / len(z)
    assert found.control_error == pytest.approx(math.sqrt(variance))


def test_a_stratum_where_nobody_brought_a_denominator_does_not_stop_the_others() -> None:
    rng = np.random.default_rng(9)
    some, none = Joint.of(of_units(rng, 100), [0.0, 0.0]), Joint.of(np.zeros((5, 2)), [0.0, 0.0])
    linear = linearised([(100, some, some), (10, none, some)])
    assert not isinstance(linear, NotEstimable)
    assert linear[1][1].covariance() == pytest.approx(0)


@pytest.mark.parametrize(
    "values",
    [np.zeros((50, 2)), np.stack([np.ones(50), np.tile([-1.0, 1.0], 25)], axis=1)],
)
def test_denominators_that_add_up_to_0_are_refused(values: np.ndarray) -> None:
    good, bad = Joint.of(of_units(np.random.default_rng(10), 50), [0.0, 0.0]), Joint.of(values, [0.0, 0.0])
    reason = "the denominators are 0, or too few or too different for a ratio to be told"
    assert ratio_contrast(bad, good) == NotEstimable(f"control: {reason}")
    assert ratio_contrast(good, bad) == NotEstimable(f"treatment: {reason}")


def test_a_denominator_that_a_few_units_brought_is_refused() -> None:
    values = np.zeros((1000, 2))
    values[:3] = [[1.0, 2.0], [0.0, 5.0], [4.0, 9.0]]
    assert isinstance(
        ratio_contrast(Joint.of(values, [0.0, 0.0]), Joint.of(values, [0.0, 0.0])), NotEstimable
    )


def test_a_ratio_that_does_not_vary_is_refused() -> None:
    y = np.random.default_rng(11).lognormal(size=100)
    sample = Joint.of(np.stack([0.3 * y, y], axis=1), [0.3, 1.0])
    assert isinstance(ratio_contrast(sample, sample), NotEstimable)


def test_arms_without_two_units_and_no_strata_are_refused() -> None:
    assert isinstance(ratio_contrast(Joint((0.0, 0.0)), Joint((0.0, 0.0))), NotEstimable)
    one = Joint.of(np.array([[1.0, 2.0]]), [0.0, 0.0])
    assert isinstance(ratio_contrast(one, one), NotEstimable)
    assert isinstance(linearised([]), NotEstimable)


def test_an_odd_number_of_variables_is_a_mistake() -> None:
    with pytest.raises(
        ValueError, match=r"^numerators and denominators must come in pairs, not 3 variables$"
    ):
        ratio_contrast(Joint((0.0,) * 3), Joint((0.0,) * 3))
