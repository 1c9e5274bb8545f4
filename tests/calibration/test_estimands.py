"""Ratios, shares, covariates and quantiles, simulated: do intervals cover as often as they say?

Beside each right one stands a wrong one that is often met, and must be found out.
"""

import math
from collections.abc import Iterator

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from meshtrial.stats.adjust import Sloped, Slopes, adjusted_contrast, cuped_slopes, lin_slopes
from meshtrial.stats.contrast import Contrast, Contrasted, combine, fieller
from meshtrial.stats.estimate import Interval, NotEstimable
from meshtrial.stats.fixed import fixed_critical
from meshtrial.stats.joint import Joint
from meshtrial.stats.moments import mean_contrast
from meshtrial.stats.quantile import (
    QuantileSample,
    Ranks,
    cluster_inflation,
    order_ranks,
    quantile_contrast,
    value_rank,
)
from meshtrial.stats.ratio import linearised, ratio_contrast
from proof import often

RUNS = often(2_000, 20_000)
QUANTILE_RUNS = often(1_000, 10_000)
Z = float(norm.isf(0.025))


def told(contrast: Contrasted) -> Contrast:
    assert isinstance(contrast, Contrast)
    return contrast


def fitted(slopes: Sloped) -> Slopes:
    assert isinstance(slopes, Slopes)
    return slopes


def in_band(covered: int, runs: int = RUNS, exact: float = 0.95) -> bool:
    """Whether so many of all runs agree with this coverage, on a two-sided 99.9% band."""
    print(f"covered {covered} of {runs}: {covered / runs:.4f}")
    return bool(binomtest(covered, runs, exact).pvalue >= 0.001)


def covers(contrast: Contrast, truth: float) -> bool:
    return abs(contrast.effect - truth) <= fixed_critical(contrast, 0.05) * contrast.error


def joints(values: np.ndarray) -> Iterator[Joint]:
    """One of each run, of values by run, unit and variable; all sums of a batch of runs at once."""
    totals = values.sum(axis=1)
    products = np.einsum("rui,ruj->rij", values, values)
    rows, columns = np.triu_indices(values.shape[2])
    for total, product in zip(totals.tolist(), products[:, rows, columns].tolist(), strict=True):
        yield Joint((0.0,) * values.shape[2], values.shape[1], tuple(total), tuple(product))


def batches(runs: int, size: int = 250) -> Iterator[int]:
    """Runs in batches that fit in memory."""
    yield from (min(size, runs - at) for at in range(0, runs, size))


def clicks(rng: np.random.Generator, shape: tuple[int, int], loss: float) -> np.ndarray:
    """Clicks and impressions by run and unit; units differ in both. The true ratio is 2/7 (1 - loss)."""
    events = 1 + rng.poisson(4, shape)
    return np.stack([rng.binomial(events, rng.beta(2, 5, shape) * (1 - loss)), events], axis=2).astype(float)


def test_the_interval_of_a_ratio_covers_and_one_of_independent_events_does_not() -> None:
    rng = np.random.default_rng(20_271)
    truth, covered, naive = -0.1 * 2 / 7, 0, 0
    for batch in batches(RUNS):
        arms = zip(
            joints(clicks(rng, (batch, 400), 0.0)), joints(clicks(rng, (batch, 200), 0.1)), strict=True
        )
        for control, treatment in arms:
            found = told(ratio_contrast(control, treatment))
            covered += covers(found, truth)
            shares = [found.control, found.treatment]
            events = [control.totals[1], treatment.totals[1]]
            error = math.sqrt(sum(p * (1 - p) / n for p, n in zip(shares, events, strict=True)))
            naive += abs(found.effect - truth) <= Z * error

    assert in_band(covered)
    assert not in_band(naive)


def test_over_small_strata_the_ratio_of_weighted_means_covers_and_the_mean_of_ratios_does_not() -> None:
    """20 strata of 3 and 15 units; clicks grow less than impressions, so ratios of few units are biased."""
    rng = np.random.default_rng(20_272)
    covered = separate = 0

    def drawn(batch: int, units: int) -> np.ndarray:
        events = 1 + rng.geometric(0.3, (batch, units))
        return np.stack([rng.binomial(events, 0.9 / events), events], axis=2).astype(float)

    runs = RUNS // 4
    for batch in batches(runs, 25):
        strata = [(list(joints(drawn(batch, 3))), list(joints(drawn(batch, 15)))) for _ in range(20)]
        for run in range(batch):
            parts = [(3.0, control[run], treatment[run]) for control, treatment in strata]
            linear = linearised(parts)
            assert not isinstance(linear, NotEstimable)
            found = combine(
                [(w, told(mean_contrast(c.linear([1.0]), t.linear([1.0])))) for w, c, t in linear]
            )
            covered += covers(told(found), 0.0)
            alone = []
            for w, c, t in parts:
                ratios = [arm.mapped([[1.0, -arm.totals[0] / arm.totals[1]]], 0.0, 0.0) for arm in (c, t)]
                errors = [
                    math.sqrt(z.products[0] / z.units / (z.units - 1)) * z.units / arm.totals[1]
                    for z, arm in zip(ratios, (c, t), strict=True)
                ]
                base, other = (arm.totals[0] / arm.totals[1] for arm in (c, t))
                alone.append(
                    (w, Contrast("", base, other - base, errors[0], errors[1], math.inf, c.units, t.units))
                )
            separate += covers(told(combine(alone)), 0.0)

    assert in_band(covered, runs)
    assert not in_band(separate, runs)


def test_fiellers_interval_errs_equally_on_both_sides_and_the_delta_methods_does_not() -> None:
    """Control is 6 of its errors away from 0, the share is 50%."""
    rng = np.random.default_rng(20_273)
    control, treatment = rng.normal(6, 1, RUNS), rng.normal(9, 1, RUNS)
    below = above = delta_below = delta_above = 0
    for m0, m1 in zip(control.tolist(), treatment.tolist(), strict=True):
        found = fieller(Contrast("", m0, m1 - m0, 1.0, 1.0, math.inf, 9, 9), Z)
        if isinstance(found, Interval):
            below += found.high < 0.5
            above += found.low > 0.5
        half = Z * math.sqrt(1 / m0**2 + m1**2 / m0**4)
        delta_below += m1 / m0 - 1 + half < 0.5
        delta_above += m1 / m0 - 1 - half > 0.5

    assert in_band(below, RUNS, 0.025)
    assert in_band(above, RUNS, 0.025)
    assert not in_band(delta_below, RUNS, 0.025)
    assert not in_band(delta_above, RUNS, 0.025)


def test_fiellers_interval_of_skewed_means_covers() -> None:
    rng = np.random.default_rng(20_274)
    covered = 0
    for batch in batches(RUNS):
        arms = (rng.gamma(0.5, 2.0 * (1 + lift), (batch, n, 1)) for n, lift in ((600, 0.0), (400, 0.2)))
        for control, treatment in zip(*map(joints, arms), strict=True):
            contrast = told(mean_contrast(control.linear([1.0]), treatment.linear([1.0])))
            found = fieller(contrast, fixed_critical(contrast, 0.05))
            assert isinstance(found, Interval)
            covered += found.low <= 0.2 <= found.high

    assert in_band(covered)


def adjustable(rng: np.random.Generator, shape: tuple[int, int], treated: float) -> np.ndarray:
    """Outcome, a covariate from before, and one from after that the arm has moved; the effect is 0.5."""
    before = rng.normal(5, 2, shape)
    outcome = before * (1 + 0.5 * treated) - 2 * treated + rng.normal(0, 1 + treated, shape)
    return np.stack([outcome, before, outcome + rng.normal(0, 1, shape)], axis=2)


@pytest.mark.parametrize("separate", [False, True])
def test_intervals_with_a_covariate_cover_but_not_with_one_from_after_the_exposure(*, separate: bool) -> None:
    rng = np.random.default_rng(20_275)
    covered = after = wider = 0
    for batch in batches(RUNS):
        arms = (joints(adjustable(rng, (batch, n), treated)) for n, treated in ((150, 0.0), (300, 1.0)))
        for pair in zip(*arms, strict=True):
            found = []
            for variable in (1, 2):
                c, t = (arm.mapped(np.eye(3)[[0, variable]], 0.0, [0.0, 0.0]) for arm in pair)
                slopes = fitted(lin_slopes([c], [t]) if separate else cuped_slopes([c, t]))
                found.append(told(adjusted_contrast(c, t, slopes)))
            covered += covers(found[0], 0.5)
            after += covers(found[1], 0.5)
            plain = told(mean_contrast(*(arm.linear([1.0, 0.0, 0.0]) for arm in pair)))
            wider += plain.error > found[0].error

    assert in_band(covered)
    assert not in_band(after)
    assert wider > 0.99 * RUNS


@pytest.mark.parametrize("separate", [False, True])
def test_the_price_of_fitted_slopes_is_paid_where_units_are_few(*, separate: bool) -> None:
    """6 covariates that explain nothing, 32 units an arm."""
    rng = np.random.default_rng(20_276)
    covered = unpaid = 0
    for batch in batches(RUNS):
        for c, t in zip(*(joints(rng.normal(size=(batch, 32, 7))) for _ in range(2)), strict=True):
            slopes = fitted(lin_slopes([c], [t]) if separate else cuped_slopes([c, t]))
            found = told(adjusted_contrast(c, t, slopes))
            covered += covers(found, 0.0)
            unpaid += abs(found.effect) <= fixed_critical(found, 0.05) * found.error / math.sqrt(
                max(slopes.control.inflation, slopes.treatment.inflation)
            )

    assert in_band(covered)
    assert not in_band(unpaid)


def quantile_sample(values: np.ndarray, q: float) -> QuantileSample:
    """Of values by unit and event, as the store delivers it."""
    units, events = values.shape
    ordered = np.sort(values, axis=None)
    at = ordered[value_rank(ordered.size, q) - 1]
    below = (values <= at).sum(axis=1)
    squares = (float((below**2).sum()), float(below.sum() * events), float(units * events**2))
    counts = Joint((0.0, 0.0), units, (float(below.sum()), float(values.size)), squares)
    inflation = cluster_inflation(counts, q)
    assert isinstance(inflation, float)
    ranks = order_ranks(values.size, q, inflation)
    assert isinstance(ranks, Ranks)
    lower, upper = (float(ordered[int(rank) - 1]) for rank in (ranks.lower, ranks.upper))
    return QuantileSample(float(at), counts, ranks, lower, upper)


def test_the_interval_of_a_99th_percentile_covers() -> None:
    rng = np.random.default_rng(20_277)
    truth = 0.2 * -math.log(0.01)
    covered = 0
    for _ in range(QUANTILE_RUNS):
        arms = [
            quantile_sample(rng.exponential(scale, (n, 1)), 0.99)
            for scale, n in ((1.0, 10_000), (1.2, 20_000))
        ]
        covered += covers(told(quantile_contrast(*arms)), truth)

    assert in_band(covered, QUANTILE_RUNS)


def test_the_interval_of_a_99th_percentile_covers_over_units_and_one_over_events_does_not() -> None:
    """Latencies of 600 units an arm with 20 events each, alike within a unit."""
    rng = np.random.default_rng(20_278)
    covered = naive = 0
    for _ in range(QUANTILE_RUNS):
        arms = []
        for _arm in range(2):
            typical = rng.normal(0, 0.6, (600, 1))
            arms.append(quantile_sample(np.exp(typical + rng.normal(0, 0.8, (600, 20))), 0.99))
        found = told(quantile_contrast(*arms))
        covered += covers(found, 0.0)
        inflation = cluster_inflation(arms[0].counts, 0.99)
        assert isinstance(inflation, float)
        naive += abs(found.effect) <= Z * found.error / math.sqrt(inflation)

    assert in_band(covered, QUANTILE_RUNS)
    assert not in_band(naive, QUANTILE_RUNS)
