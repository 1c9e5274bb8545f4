"""Post-stratified comparisons, simulated: do they err as often as they say?"""

import math

import numpy as np
from scipy.stats import binomtest

from meshtrial.stats.contrast import Contrast, combine
from meshtrial.stats.estimate import Comparison, Difference
from meshtrial.stats.fixed import fixed
from meshtrial.stats.moments import Moments, mean_contrast
from meshtrial.stats.proportion import Proportion, compare_proportions
from meshtrial.stats.stratified import Stratum, compare_stratified_proportions
from proof import often

RUNS = often(2_000, 20_000)
SIZES, SHARES, RATES = np.array([3_000, 600]), np.array([0.5, 0.1]), np.array([0.08, 0.35])
"""By cohort: units, the arm's share of them, and the outcome's rate without the arm."""


def estimated(comparison: Comparison) -> Difference:
    assert isinstance(comparison, Difference)
    return comparison


def drawn(rng: np.random.Generator, effects: float | np.ndarray) -> list[Stratum]:
    """One trial in which the arm adds these effects, by cohort."""
    n1 = rng.binomial(SIZES, SHARES)
    x0, x1 = rng.binomial(SIZES - n1, RATES), rng.binomial(n1, RATES + effects)
    rows = zip((SIZES - n1).tolist(), x0.tolist(), n1.tolist(), x1.tolist(), strict=True)
    return [Stratum(m0 + m1, Proportion(m0, y0), Proportion(m1, y1)) for m0, y0, m1, y1 in rows]


def in_band(covered: int, exact: float = 0.95) -> bool:
    """Whether so many of all runs agree with this coverage, on a two-sided 99.9% band."""
    return bool(binomtest(covered, RUNS, exact).pvalue >= 0.001)


def test_the_interval_of_proportions_covers_the_effect_as_often_as_it_says() -> None:
    rng = np.random.default_rng(20_261)
    effects = np.array([0.02, -0.03])
    truth = float((SIZES * effects).sum() / SIZES.sum())
    covered = naive = 0
    for _ in range(RUNS):
        strata = drawn(rng, effects)
        found = estimated(compare_stratified_proportions(strata, 0.05)).interval
        covered += found.low <= truth <= found.high
        control, treatment = Proportion(), Proportion()
        for stratum in strata:
            control, treatment = control + stratum.control, treatment + stratum.treatment
        pooled = estimated(compare_proportions(control, treatment, 0.05)).interval
        naive += pooled.low <= truth <= pooled.high

    assert in_band(covered)
    assert naive < RUNS / 2  # what is to be cured


def test_the_interval_of_means_covers_the_effect_as_often_as_it_says() -> None:
    rng = np.random.default_rng(20_262)
    sizes, means, spreads = (300, 100), (10.0, 40.0), (3.0, 12.0)
    truth = (300 * 0.5 + 100 * 2.0) / 400
    covered = 0
    for _ in range(RUNS):
        strata = []
        for size, share, mean, spread, effect in zip(
            sizes, (0.5, 0.3), means, spreads, (0.5, 2.0), strict=True
        ):
            n1 = int(rng.binomial(size, share))
            control, treatment = rng.normal(mean, spread, size - n1), rng.normal(mean + effect, spread, n1)
            contrast = mean_contrast(Moments.of(control, mean), Moments.of(treatment, mean))
            assert isinstance(contrast, Contrast)
            strata.append((size, contrast))
        found = estimated(fixed(combine(strata), 0.05)).interval
        covered += found.low <= truth <= found.high

    assert in_band(covered)


def test_without_an_effect_the_test_of_proportions_alarms_as_often_as_it_says() -> None:
    rng = np.random.default_rng(20_263)
    alarms = 0
    for _ in range(RUNS):
        alarms += estimated(compare_stratified_proportions(drawn(rng, 0.0), 0.05)).p_value < 0.05

    assert in_band(alarms, 0.05)


def test_outcomes_that_are_rare_on_each_of_many_days_are_covered_without_waste() -> None:
    """An interval of each day's own Wilson limits covers all of the time here, and is twice as wide."""
    rng = np.random.default_rng(20_264)
    days, units, rate, z = 28, 100, 0.005, 1.959964
    covered, width, of_limits = 0, 0.0, 0.0
    for x0, x1 in rng.binomial(units, rate, (RUNS, 2, days)).tolist():
        strata = [Stratum(1, Proportion(units, a), Proportion(units, b)) for a, b in zip(x0, x1, strict=True)]
        comparison = compare_stratified_proportions(strata, 0.05)
        if not isinstance(comparison, Difference):
            continue
        covered += comparison.interval.low <= 0 <= comparison.interval.high
        width += comparison.interval.high - comparison.interval.low
        p = np.array([x0, x1]) / units
        middle = (p + z * z / (2 * units)) / (1 + z * z / units)
        half = z * np.sqrt(p * (1 - p) / units + z * z / (4 * units**2)) / (1 + z * z / units)
        low, high = p - middle + half, middle + half - p
        of_limits += math.sqrt((low[1] ** 2 + high[0] ** 2).sum()) / days
        of_limits += math.sqrt((high[1] ** 2 + low[0] ** 2).sum()) / days

    assert in_band(covered, 0.9558)  # of 20,000 runs of the same, written apart
    assert width < 0.6 * of_limits
