"""Trials looked at as often as possible, simulated: does looking cost more than it says?

A rate may exceed what is promised by chance alone: every bar is 3.09 standard errors above, which 1 in 1000
simulations of a method with exactly that rate would exceed.
"""

import math
from collections.abc import Iterator

import numpy as np
import pytest
from scipy.stats import norm

from meshtrial.stats.burn_in import LEAST_EFFECTIVE, LEAST_EVENTS
from meshtrial.stats.integration import Floats
from meshtrial.stats.safe import safe_log_e
from meshtrial.stats.sequence import sequence_critical
from meshtrial.stats.srm import CONCENTRATION, srm_log_e
from proof import often

ALPHA = 0.05
RUNS = often(1_000, 20_000)
POWER_RUNS = often(800, 5_000)
AT_ONCE = 100
"""Trials drawn together."""


def bar(rate: float, runs: int = RUNS) -> float:
    return rate + 3.09 * math.sqrt(rate * (1 - rate) / runs)


def batches(runs: int) -> Iterator[int]:
    """The trials, some at once."""
    return iter([AT_ONCE] * (runs // AT_ONCE))


class Looks:
    """Both arms after each look; values and arms of shape (trials, units)."""

    def __init__(self, values: Floats, treated: np.ndarray, every: int = 1) -> None:
        def sums(terms: np.ndarray) -> Floats:
            return np.cumsum(terms, axis=1, dtype=np.float64)[:, every - 1 :: every]

        squares = values * values
        units, totals, ones = sums(np.ones_like(treated)), sums(values), sums(squares)
        n1, s1, q1 = sums(treated), sums(values * treated), sums(squares * treated)
        self.units = units
        self.counts = np.stack([units - n1, n1])
        self.totals = np.stack([totals - s1, s1])
        self.squares = np.stack([ones - q1, q1])
        with np.errstate(divide="ignore", invalid="ignore"):
            means = self.totals / self.counts
            self.errors = np.maximum(self.squares / self.counts - means**2, 0) / (self.counts - 1)
        self.effect = means[1] - means[0]
        self.error = np.sqrt(self.errors.sum(axis=0))

    def misses(self, critical: Floats | float, effect: float = 0.0) -> np.ndarray:
        """Where the interval does not hold the effect; nowhere before an error can be told."""
        with np.errstate(invalid="ignore"):
            return np.asarray((self.error > 0) & (np.abs(self.effect - effect) >= critical * self.error))

    def effective(self) -> np.ndarray:
        """Where each arm has the effective units that a burn-in asks for."""
        return np.asarray((self.totals**2 >= LEAST_EFFECTIVE * self.squares).all(axis=0))


def alternating(trials: int, units: int) -> np.ndarray:
    return np.broadcast_to(np.arange(units) % 2 == 1, (trials, units))


def test_with_a_look_at_every_pair_a_confidence_sequence_errs_no_more_than_it_says() -> None:
    rng = np.random.default_rng(30_001)
    tuned_for, horizons = 500, (500, 1_000, 10_000)
    critical = sequence_critical(np.arange(2, 10_001, 2), ALPHA, tuned_for)
    erred, naive = np.zeros(3), 0
    for trials in batches(RUNS):
        looks = Looks(rng.poisson(2.0, (trials, 10_000)).astype(float), alternating(trials, 10_000), 2)
        ready = looks.units >= 20  # the values are hardly skewed
        missed = looks.misses(critical) & ready
        erred += [missed[:, : horizon // 2].any(axis=1).sum() for horizon in horizons]
        naive += (looks.misses(norm.ppf(0.975)) & ready)[:, :500].any(axis=1).sum()

    print("by horizon", erred / RUNS, "fixed intervals", naive / RUNS)
    assert (erred / RUNS <= bar(ALPHA)).all()
    assert erred[2] / RUNS > 0.01  # nor does it waste what it may spend
    assert naive / RUNS > 0.2  # what is to be cured


def test_rare_outcomes_at_10_to_90_are_right_after_the_burn_in_and_wrong_without() -> None:
    rng = np.random.default_rng(30_002)
    units = 20_000
    critical = sequence_critical(np.arange(1, units + 1), ALPHA, units)
    erred = hasty = 0
    for trials in batches(RUNS):
        values = (rng.random((trials, units), np.float32) < 0.005).astype(float)
        looks = Looks(values, rng.random((trials, units), np.float32) < 0.1)
        fewest = np.minimum(looks.totals, looks.counts - looks.totals).min(axis=0)
        missed = looks.misses(critical)
        erred += (missed & (fewest >= LEAST_EVENTS)).any(axis=1).sum()
        hasty += missed.any(axis=1).sum()

    print("with", erred / RUNS, "without", hasty / RUNS)
    assert erred / RUNS <= bar(ALPHA)
    assert hasty / RUNS > 0.15


@pytest.mark.parametrize(("spread", "nonzero", "tuned_for"), [(1.0, 0.3, 10_000), (1.25, 1.0, 5_000)])
def test_skewed_values_at_10_to_90_are_right_after_the_burn_in_and_wrong_without(
    spread: float, nonzero: float, tuned_for: int
) -> None:
    rng = np.random.default_rng(30_003)
    units, every, runs = 40_000, 20, often(800, 8_000)
    critical = sequence_critical(np.arange(every, units + 1, every), ALPHA, tuned_for)
    erred = hasty = looked = 0
    for trials in batches(runs):
        values = np.exp(spread * rng.standard_normal((trials, units), np.float32))
        values = (values * (rng.random((trials, units), np.float32) < nonzero)).astype(float)
        looks = Looks(values, rng.random((trials, units), np.float32) < 0.1, every)
        ready = looks.effective()
        missed = looks.misses(critical)
        erred += (missed & ready).any(axis=1).sum()
        looked += ready.any(axis=1).sum()
        hasty += missed.any(axis=1).sum()

    print("with", erred / runs, "without", hasty / runs)
    assert looked / runs > 0.9
    assert erred / runs <= bar(ALPHA, runs)
    assert hasty / runs > bar(ALPHA, runs)


def test_few_clusters_are_right_with_degrees_of_freedom_and_wrong_without() -> None:
    rng = np.random.default_rng(30_004)
    clusters = 300
    erred = normal = 0
    for trials in batches(RUNS):
        looks = Looks(rng.standard_normal((trials, clusters)), rng.random((trials, clusters)) < 0.2)
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = (looks.errors**2 / (looks.counts - 1)).sum(axis=0)
            freedom = np.nan_to_num(looks.error**4 / terms, nan=1.0)
        enough = (looks.counts >= 4).all(axis=0)
        freedom = np.where(enough, freedom, 1.0)
        erred += (looks.misses(sequence_critical(looks.units, ALPHA, 30, freedom)) & enough).any(axis=1).sum()
        normal += (looks.misses(sequence_critical(looks.units, ALPHA, 30)) & enough).any(axis=1).sum()

    print("with", erred / RUNS, "without", normal / RUNS)
    assert erred / RUNS <= bar(ALPHA)
    assert normal / RUNS > 0.05
    assert normal > 1.5 * erred


def test_through_a_ramp_information_is_the_clock_and_units_are_not() -> None:
    rng = np.random.default_rng(30_005)
    # As many units at 1% as the trial is tuned for, then 20 times as many at 50%; sums of unit variance.
    shares = np.repeat([0.01, 0.5], [200, 2_000])
    units, clock = np.cumsum(np.full(2_200, 0.005)), np.cumsum(0.005 * shares * (1 - shares))
    by_clock = sequence_critical(clock, ALPHA, 0.25)
    by_units = sequence_critical(units, ALPHA, 1.0)
    erred = wrong = 0
    for trials in batches(often(4_000, 20_000)):
        steps = rng.standard_normal((trials, 2_200)) * np.sqrt(np.diff(clock, prepend=0))
        z = np.abs(np.cumsum(steps, axis=1)) / np.sqrt(clock)
        erred += (z >= by_clock).any(axis=1).sum()
        wrong += (z >= by_units).any(axis=1).sum()

    runs = often(4_000, 20_000)
    print("information", erred / runs, "units", wrong / runs)
    assert erred / runs <= bar(ALPHA, runs)
    assert wrong > 1.2 * erred


def test_with_a_look_at_every_pair_a_safe_test_errs_no_more_than_it_says() -> None:
    rng = np.random.default_rng(30_006)
    runs = often(2_000, 20_000)
    erred = {0.01: 0, 0.5: 0}
    for rate in erred:
        for trials in batches(runs):
            had = (rng.random((2, trials, 4_000), np.float32) < rate).astype(float)
            erred[rate] += (safe_log_e(1, had[0], 1, had[1]) >= -math.log(ALPHA)).any(axis=1).sum()

    print({rate: count / runs for rate, count in erred.items()})
    assert all(count / runs <= bar(ALPHA, runs) for count in erred.values())


def test_over_100_days_sequential_srm_errs_no_more_than_it_says_and_daily_chi_squared_does() -> None:
    rng = np.random.default_rng(30_007)
    runs = often(20_000, 100_000)
    for shares in (np.array([0.5, 0.5]), np.array([0.9, 0.1]), np.array([0.6, 0.3, 0.1])):
        counts = rng.multinomial(500, shares, (runs, 100)).cumsum(axis=1)
        log_e = srm_log_e(counts, shares, CONCENTRATION * shares).max(axis=1)
        rates = [(log_e >= -math.log(alpha)).mean() for alpha in (0.05, 0.001)]
        expected = counts.sum(axis=2, keepdims=True) * shares
        statistic = ((counts - expected) ** 2 / expected).sum(axis=2)
        limit = {2: 10.8276, 3: 13.8155}[len(shares)]  # chi-squared at p = 0.001
        daily = (statistic > limit).any(axis=1).mean()
        print(shares, rates, "daily", daily)
        assert rates[0] <= bar(0.05, runs)
        assert rates[1] <= bar(0.001, runs)
        assert daily > 0.01  # ten times what it says


def test_a_rise_from_5_to_6_and_a_half_percent_is_covered_at_every_look_and_found_as_often_as_known() -> None:
    rng = np.random.default_rng(30_008)
    pairs, effect = 8_000, 0.015
    critical = sequence_critical(np.arange(2, 2 * pairs + 1, 2), ALPHA, 2 * pairs)
    missed = fixed = sequential = daily = safe = 0
    for trials in batches(POWER_RUNS):
        control = rng.random((trials, pairs), np.float32) < 0.05
        treatment = rng.random((trials, pairs), np.float32) < 0.05 + effect
        values = np.stack([control, treatment], axis=2).reshape(trials, 2 * pairs).astype(float)
        looks = Looks(values, alternating(trials, 2 * pairs), 2)
        ready = np.minimum(looks.totals, looks.counts - looks.totals).min(axis=0) >= LEAST_EVENTS
        missed += (looks.misses(critical, effect) & ready).any(axis=1).sum()
        found = looks.misses(critical) & ready
        fixed += looks.misses(norm.ppf(0.975))[:, -1].sum()
        sequential += found.any(axis=1).sum()
        daily += found[:, pairs // 14 - 1 :: pairs // 14].any(axis=1).sum()
        safe += (safe_log_e(1, control, 1, treatment) >= -math.log(ALPHA)).any(axis=1).sum()

    print("missed", missed / POWER_RUNS)
    print("power: fixed, CS at every pair, CS at 14 looks, safe at every pair")
    print([count / POWER_RUNS for count in (fixed, sequential, daily, safe)])
    spread = 4 / math.sqrt(POWER_RUNS) / 2  # more than 4 standard errors of any rate
    assert missed / POWER_RUNS <= 0.05 + 0.010
    assert abs(fixed / POWER_RUNS - 0.983) < 0.02
    assert abs(sequential / POWER_RUNS - 0.907) < spread
    assert abs(safe / POWER_RUNS - 0.698) < spread
    assert sequential > daily
