"""Designs other than by unit, simulated: do they err as often as they say, and do the short cuts fail?"""

import math
from collections.abc import Callable

import numpy as np
from scipy.stats import binomtest, norm
from scipy.stats import t as student

from meshtrial.stats.cluster_regression import ClusterFit, cluster_fit
from meshtrial.stats.clusters import FEW, MANY, Clusters, cluster_contrast
from meshtrial.stats.contrast import Contrast, Contrasted
from meshtrial.stats.estimate import Difference
from meshtrial.stats.fixed import fixed, fixed_p_value
from meshtrial.stats.interaction import Heterogeneity, interaction
from meshtrial.stats.interference import Interference, interference
from meshtrial.stats.moments import Moments
from meshtrial.stats.switchback import Windows, randomisation_p_value, switchback_contrast
from meshtrial.stats.trend import day_weights, trend_contrast
from proof import often

RUNS = often(2_000, 20_000)
ICC = 0.1
Sizes = Callable[[np.random.Generator, int], np.ndarray]


def told(contrast: Contrasted) -> Contrast:
    assert isinstance(contrast, Contrast)
    return contrast


def near(hits: int, runs: int, rate: float) -> bool:
    """Whether so many hits agree with a rate, on a two-sided 99.9% band."""
    return bool(binomtest(hits, runs, rate).pvalue >= 0.001)


def at_most(hits: int, runs: int, rate: float) -> bool:
    """Whether so many hits may come of a rate or a lower one, on a one-sided 99.9% band."""
    return hits / runs <= rate + 3.09 * math.sqrt(rate * (1 - rate) / runs)


def equal(_: np.random.Generator, clusters: int) -> np.ndarray:
    return np.full(clusters, 20.0)


def skewed(rng: np.random.Generator, clusters: int) -> np.ndarray:
    return np.maximum(1.0, np.round(rng.lognormal(2.5, 1, clusters)))


def clusters_drawn(
    rng: np.random.Generator, counts: tuple[int, int], sizes_of: Sizes
) -> tuple[Clusters, Clusters]:
    """Units of variance 1 with the intraclass correlation `ICC`, and no effect."""
    whole = sum(counts)
    sizes = sizes_of(rng, whole)
    sums = sizes * rng.normal(0, math.sqrt(ICC), whole) + np.sqrt(sizes * (1 - ICC)) * rng.normal(size=whole)
    first = counts[0]
    return Clusters(sums[:first], sizes[:first]), Clusters(sums[first:], sizes[first:])


def naive_p_value(control: Clusters, treatment: Clusters) -> float:
    """As if units were independent, with their variance known."""
    effect = treatment.sums.sum() / treatment.sizes.sum() - control.sums.sum() / control.sizes.sum()
    return float(2 * norm.sf(abs(effect) / math.sqrt(1 / control.sizes.sum() + 1 / treatment.sizes.sum())))


def cr1_p_value(control: Clusters, treatment: Clusters) -> float:
    """CR1 with the degrees of freedom of all clusters less one, however few they are."""
    counts = len(control.sums), len(treatment.sums)
    arm = np.repeat([[1.0, 0.0], [0.0, 1.0]], counts, axis=0)
    sums = np.concatenate([control.sums, treatment.sums])
    fit = cluster_fit(arm, sums, np.concatenate([control.sizes, treatment.sizes]))
    assert isinstance(fit, ClusterFit)
    change = [-1.0, 1.0]
    statistic = fit.estimate(change) / math.sqrt(fit.variance_many(change))
    return float(2 * student.sf(abs(statistic), sum(counts) - 1))


def alarms(
    seed: int, counts: tuple[int, int], sizes_of: Sizes, *, naive: bool = True
) -> tuple[int, int, int]:
    """Of all runs without an effect, how many alarm: naive, CR1, and what is in use."""
    rng = np.random.default_rng(seed)
    found = [0, 0, 0]
    for _ in range(RUNS):
        arms = clusters_drawn(rng, counts, sizes_of)
        found[0] += naive and naive_p_value(*arms) < 0.05
        found[1] += naive and cr1_p_value(*arms) < 0.05
        found[2] += fixed_p_value(told(cluster_contrast(*arms))) < 0.05
    return found[0], found[1], found[2]


def test_ten_clusters_an_arm_alarm_as_often_as_they_say() -> None:
    naive, _, used = alarms(20_300, (10, 10), equal)
    assert near(naive, RUNS, 2 * norm.sf(1.96 / math.sqrt(1 + 19 * ICC)))  # what is to be cured: 25%
    assert near(used, RUNS, 0.05)


def test_four_clusters_against_sixteen_do_so_where_cr1_does_not() -> None:
    naive, cr1, used = alarms(20_302, (4, 16), equal)
    assert naive > 0.2 * RUNS
    assert cr1 > 0.08 * RUNS
    assert at_most(used, RUNS, 0.05)
    assert used > 0.025 * RUNS


def test_clusters_of_very_different_sizes_do_so_where_cr1_does_not() -> None:
    naive, cr1, used = alarms(20_303, (10, 10), skewed)
    assert naive > 0.28 * RUNS
    assert cr1 > 0.08 * RUNS
    assert at_most(used, RUNS, 0.06)
    assert used > 0.04 * RUNS


def test_two_clusters_against_eighteen_are_refused_where_cr1_alarms_in_a_quarter_of_trials() -> None:
    rng, cr1 = np.random.default_rng(20_304), 0
    for _ in range(RUNS):
        arms = clusters_drawn(rng, (2, 18), equal)
        cr1 += cr1_p_value(*arms) < 0.05
        assert not isinstance(cluster_contrast(*arms), Contrast)
    assert cr1 > 0.2 * RUNS


def test_many_clusters_of_like_sizes_are_left_to_cr1_and_alarm_as_often_as_they_say() -> None:
    arms = clusters_drawn(np.random.default_rng(1), (50, 60), equal)
    assert told(cluster_contrast(*arms)).method == MANY
    *_, used = alarms(20_305, (50, 60), equal, naive=False)
    assert near(used, RUNS, 0.05)


def test_ten_times_as_many_clusters_in_an_arm_are_not_left_to_it() -> None:
    rng, runs, used, cr1 = np.random.default_rng(20_306), often(2_000, 10_000), 0, 0
    for _ in range(runs):
        arms = clusters_drawn(rng, (40, 400), skewed)
        found = told(cluster_contrast(*arms))
        assert found.method == FEW
        used += fixed_p_value(found) < 0.05
        cr1 += cr1_p_value(*arms) < 0.05
    assert cr1 > 0.07 * runs
    assert at_most(used, runs, 0.06)


def test_a_covariate_of_clusters_narrows_the_error_and_the_alarms_stay() -> None:
    rng, hits, shorter = np.random.default_rng(20_307), 0, 0
    for _ in range(RUNS):
        plain = clusters_drawn(rng, (10, 10), equal)
        before = [arm.sums / arm.sizes + rng.normal(0, 0.2, (10,)) for arm in plain]
        adjusted = told(
            cluster_contrast(
                *(Clusters(arm.sums, arm.sizes, x[:, None]) for arm, x in zip(plain, before, strict=True))
            )
        )
        hits += fixed_p_value(adjusted) < 0.05
        shorter += adjusted.error < told(cluster_contrast(*plain)).error
    assert near(hits, RUNS, 0.05)
    assert shorter > 0.95 * RUNS


KEYS, TIMES = 4, 84
"""Four keys with 84 windows: a week of two hours each."""


def switched(rng: np.random.Generator, now: float, later: float) -> Windows:
    """Windows whose arm acts by so much in its own time, and in the window after it.

    What keys do without it moves slowly, and by the time of the day.
    """
    treated = rng.random((KEYS, TIMES)) < 0.5
    drift = rng.normal(size=(KEYS, TIMES))
    for time in range(1, TIMES):
        drift[:, time] = 0.5 * drift[:, time - 1] + math.sqrt(0.75) * drift[:, time]
    before = np.concatenate([np.zeros((KEYS, 1), bool), treated[:, :-1]], axis=1)
    sums = 20 + drift + 2 * np.sin(np.arange(TIMES) * np.pi / 6) + now * treated + later * before
    return Windows(
        np.repeat(np.arange(KEYS), TIMES),
        np.tile(np.arange(TIMES), KEYS),
        treated.ravel(),
        np.full(KEYS * TIMES, 0.5),
        sums.ravel(),
        np.ones(KEYS * TIMES),
    )


def missed(seed: int, now: float, later: float, carried: int) -> int:
    """Of all runs, in how many the interval misses what both windows together do."""
    rng, hits = np.random.default_rng(seed), 0
    for _ in range(RUNS):
        found = fixed(switchback_contrast(switched(rng, now, later), carried), 0.05)
        assert isinstance(found, Difference)
        hits += not found.interval.low <= now + later <= found.interval.high
    return hits


def test_what_is_only_brought_forward_is_no_effect_where_the_order_is_right() -> None:
    assert at_most(missed(20_311, 0.5, -0.5, 1), RUNS, 0.05)
    assert missed(20_312, 0.5, -0.5, 0) > 0.5 * RUNS  # a window's own time alone is taken for an effect


def test_an_effect_that_takes_two_windows_is_covered_where_the_order_is_right() -> None:
    misses = missed(20_313, 0.4, 0.4, 1)
    assert at_most(misses, RUNS, 0.05)
    assert misses > 0.02 * RUNS
    assert missed(20_314, 0.4, 0.4, 0) > 0.3 * RUNS


def test_without_an_effect_the_re_draws_alarm_as_often_as_they_say() -> None:
    rng, runs, draws, hits = np.random.default_rng(20_315), often(600, 5_000), 199, 0
    for _ in range(runs):
        p_value = randomisation_p_value(switched(rng, 0, 0), 2, rng, draws)
        assert isinstance(p_value, float)
        hits += p_value <= 0.05
    assert near(hits, runs, 0.05)


def test_without_novelty_the_slope_alarms_as_often_as_it_says_where_rows_do_not() -> None:
    rng, days, units = np.random.default_rng(20_321), 7, 60
    weights, day = day_weights(days), np.arange(days) - 3
    hits = rows = 0
    for _ in range(RUNS):
        # A unit's own taste for the product drifts; the effect does not.
        values = 1 + rng.normal(0, 0.5, (2, units, 1)) * day + rng.normal(size=(2, units, days))
        values[1] += 0.5
        slopes = values @ weights
        found = told(trend_contrast(*(Moments.of(arm, 0.0) for arm in slopes)))
        hits += fixed_p_value(found) < 0.05
        # As if all days of all units were independent.
        residual = values - values.mean(axis=1, keepdims=True)
        row_error = math.sqrt(2 * residual.var() / units * (weights @ weights))
        rows += abs(found.effect) > 1.96 * row_error
    assert near(hits, RUNS, 0.05)
    assert rows > 0.1 * RUNS


def test_few_clusters_a_group_differ_as_often_as_they_should() -> None:
    rng, hits = np.random.default_rng(20_322), 0
    for _ in range(RUNS):
        groups = [told(cluster_contrast(*clusters_drawn(rng, (6, 6), equal))) for _ in range(4)]
        found = interaction(groups)
        assert isinstance(found, Heterogeneity)
        hits += found.p_value < 0.05
    assert at_most(hits, RUNS, 0.055)
    assert hits > 0.03 * RUNS


def test_neighbours_effects_are_covered_as_often_as_they_say() -> None:
    rng, clusters, hits = np.random.default_rng(20_323), 24, np.zeros(3, int)
    for _ in range(RUNS):
        sizes = skewed(rng, clusters)
        treated = rng.permutation(np.arange(clusters) % 2 == 1)
        around = np.mean([np.roll(treated, shift) for shift in (-2, -1, 1, 2)], axis=0)
        means = 5 + 0.5 * treated + around + rng.normal(0, math.sqrt(ICC), clusters)
        sums = sizes * means + np.sqrt(sizes * (1 - ICC)) * rng.normal(size=clusters)
        found = interference(Clusters(sums, sizes), treated, around, 0.05)
        assert isinstance(found, Interference)
        for i, (answer, truth) in enumerate(
            ((found.own, 0.5), (found.neighbours, 1.0), (found.everywhere, 1.5))
        ):
            assert isinstance(answer, Difference)
            hits[i] += not answer.interval.low <= truth <= answer.interval.high
    assert all(at_most(int(missing), RUNS, 0.06) for missing in hits)
    assert all(missing > 0.03 * RUNS for missing in hits)
