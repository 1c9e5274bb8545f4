"""Arms given to clusters of units that are alike, with few clusters or many, of one size or of several."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy.stats import norm
from scipy.stats import t as student

from calibration.studies.fixed_sample import told
from calibration.study import Claim, Study, at_least, at_most, caught_above, chosen, exactly
from meshtrial.stats.cluster_regression import ClusterFit, cluster_fit
from meshtrial.stats.clusters import FEW, MANY, Clusters, cluster_contrast
from meshtrial.stats.contrast import Contrast
from meshtrial.stats.estimate import Difference
from meshtrial.stats.fixed import fixed_p_value
from meshtrial.stats.interaction import Heterogeneity, interaction
from meshtrial.stats.interference import Interference, interference

ICC = 0.1
"""How alike the units of a cluster are: 20 of them then vary 2.9 times as much as independent ones."""
Sizes = Callable[[np.random.Generator, int], npt.NDArray[np.float64]]


def equal(_: np.random.Generator, clusters: int) -> npt.NDArray[np.float64]:
    """20 units each."""
    return np.full(clusters, 20.0)


def skewed(rng: np.random.Generator, clusters: int) -> npt.NDArray[np.float64]:
    """12 units at the median, a standard deviation of the logarithm of 1."""
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
    rng: np.random.Generator, runs: int, *, counts: tuple[int, int], sizes: Sizes, method: str = FEW
) -> list[int]:
    """Of trials without an effect, those that alarm: by the method in use, CR1, and without clusters."""
    found = [0, 0, 0]
    for _ in range(runs):
        arms = clusters_drawn(rng, counts, sizes)
        used = told(cluster_contrast(*arms))
        assert used.method == method
        found[0] += fixed_p_value(used) < 0.05
        found[1] += cr1_p_value(*arms) < 0.05
        found[2] += naive_p_value(*arms) < 0.05
    return found


def too_few(rng: np.random.Generator, runs: int) -> list[int]:
    """2 clusters against 18."""
    refused = cr1 = 0
    for _ in range(runs):
        arms = clusters_drawn(rng, (2, 18), equal)
        refused += not isinstance(cluster_contrast(*arms), Contrast)
        cr1 += cr1_p_value(*arms) < 0.05
    return [refused, cr1]


def covariate(rng: np.random.Generator, runs: int) -> list[int]:
    """Clusters' means from before the trial."""
    hits = shorter = 0
    for _ in range(runs):
        plain = clusters_drawn(rng, (10, 10), equal)
        before = [arm.sums / arm.sizes + rng.normal(0, 0.2, (10,)) for arm in plain]
        control, treatment = (
            Clusters(arm.sums, arm.sizes, x[:, None]) for arm, x in zip(plain, before, strict=True)
        )
        adjusted = told(cluster_contrast(control, treatment))
        hits += fixed_p_value(adjusted) < 0.05
        shorter += adjusted.error < told(cluster_contrast(*plain)).error
    return [hits, shorter]


def groups(rng: np.random.Generator, runs: int) -> list[int]:
    """Four groups of 6 clusters an arm, that differ in nothing."""
    hits = 0
    for _ in range(runs):
        found = interaction([told(cluster_contrast(*clusters_drawn(rng, (6, 6), equal))) for _ in range(4)])
        assert isinstance(found, Heterogeneity)
        hits += found.p_value < 0.05
    return [hits]


def neighbours(rng: np.random.Generator, runs: int) -> list[int]:
    """24 clusters on a ring: an own effect of 0.5, one of 1 by the share of 4 neighbours treated."""
    clusters, missed = 24, [0, 0, 0]
    for _ in range(runs):
        sizes = skewed(rng, clusters)
        treated = rng.permutation(np.arange(clusters) % 2 == 1)
        around = np.mean([np.roll(treated, shift) for shift in (-2, -1, 1, 2)], axis=0)
        means = 5 + 0.5 * treated + around + rng.normal(0, math.sqrt(ICC), clusters)
        sums = sizes * means + np.sqrt(sizes * (1 - ICC)) * rng.normal(size=clusters)
        found = interference(Clusters(sums, sizes), treated, around, 0.05)
        assert isinstance(found, Interference)
        truths = ((found.own, 0.5), (found.neighbours, 1.0), (found.everywhere, 1.5))
        for i, (answer, truth) in enumerate(truths):
            assert isinstance(answer, Difference)
            missed[i] += not answer.interval.low <= truth <= answer.interval.high
    return missed


def _study(
    title: str,
    seed: int,
    counts: tuple[int, int],
    sizes: Sizes,
    claims: tuple[Claim, ...],
    method: str = FEW,
    places: tuple[int, ...] = (0, 1, 2),
    note: str = "",
) -> Study:
    short, full = (2_000, 20_000) if sum(counts) < 400 else (1_000, 10_000)
    count = partial(alarms, counts=counts, sizes=sizes, method=method)
    return Study(f"A/A, {title}", seed, short, full, chosen(count, *places), claims, note=note)


_CR2, _CR1 = "CR2 alarms at 0.05", "CR1 alarms at 0.05"
_NAIVE = "units as if independent alarm"
_OF_20 = round(2 * norm.sf(1.96 / math.sqrt(1 + 19 * ICC)), 4)
STUDIES = (
    _study(
        "10 clusters against 10, of 20 units",
        20_301,
        (10, 10),
        equal,
        (exactly(_CR2, 0.053, give=0.003), exactly(_NAIVE, _OF_20, wrong=True)),
        places=(0, 2),
    ),
    _study(
        "4 clusters against 16, of 20 units",
        20_302,
        (4, 16),
        equal,
        (exactly(_CR2, 0.042, give=0.002), caught_above(_CR1, 0.08), caught_above(_NAIVE, 0.2)),
    ),
    _study(
        "10 clusters against 10, of very different sizes",
        20_303,
        (10, 10),
        skewed,
        (at_most(_CR2, 0.07, least=0.04), caught_above(_CR1, 0.08), caught_above(_NAIVE, 0.28)),
        note="Sizes are lognormal, their logarithm has a standard deviation of 1: few clusters are then most"
        " of an arm, and Satterthwaite's degrees of freedom do not quite make up for it.",
    ),
    _study(
        "50 clusters against 60, of 20 units",
        20_305,
        (50, 60),
        equal,
        (exactly(_CR1, 0.05), exactly(_NAIVE, _OF_20, wrong=True)),
        MANY,
        (0, 2),
    ),
    _study(
        "40 clusters against 400, of very different sizes",
        20_306,
        (40, 400),
        skewed,
        (at_most(_CR2, 0.06), caught_above(_CR1, 0.065), caught_above(_NAIVE, 0.2)),
    ),
    Study(
        "A/A, 2 clusters against 18, of 20 units",
        20_304,
        2_000,
        20_000,
        too_few,
        (exactly("refused: too few clusters", 1), caught_above(_CR1, 0.2)),
    ),
    Study(
        "A/A, a covariate of 10 clusters against 10",
        20_307,
        2_000,
        20_000,
        covariate,
        (exactly(_CR2, 0.05), at_least("the error is less than without it", 0.95)),
    ),
    Study(
        "Four groups of 6 clusters against 6, alike",
        20_322,
        1_000,
        20_000,
        groups,
        (at_most("the test of interaction alarms at 0.05", 0.055, least=0.03),),
    ),
    Study(
        "Effects of own and of neighbours' arms over 24 clusters of very different sizes",
        20_323,
        1_000,
        20_000,
        neighbours,
        (
            at_most("the own effect's interval of 0.95 misses", 0.06, least=0.03),
            at_most("the neighbours' misses", 0.06, least=0.03),
            at_most("both together's misses", 0.06, least=0.03),
        ),
    ),
)
