"""One look: tests without an effect, and intervals of means and proportions."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.stats import norm
from scipy.stats import t as student

from calibration.study import Count, Study, at_most, caught_above, caught_below, chosen, exactly
from meshtrial.stats.contrast import Contrast, Contrasted
from meshtrial.stats.estimate import Comparison, Difference
from meshtrial.stats.fixed import fixed, fixed_p_value
from meshtrial.stats.moments import Moments, mean_contrast
from meshtrial.stats.proportion import Proportion, compare_proportions

Floats = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Floats]
Z = float(norm.isf(0.025))


def told(contrast: Contrasted) -> Contrast:
    """The estimate, which there must be."""
    assert isinstance(contrast, Contrast)
    return contrast


def estimated(comparison: Comparison) -> Difference:
    """The answer, which there must be."""
    assert isinstance(comparison, Difference)
    return comparison


def means_of(values: Floats) -> list[Moments]:
    """One of each trial, of values by trial and unit."""
    sums, squares = values.sum(axis=1).tolist(), np.square(values).sum(axis=1).tolist()
    return [Moments(0.0, values.shape[1], s, q) for s, q in zip(sums, squares, strict=True)]


def zero_inflated(share: float) -> Draw:
    """Lognormal values of a share of units, 0 of the others."""

    def drawn(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        return np.where(rng.random(shape) < share, rng.lognormal(0, 1, shape), 0.0)

    return drawn


def lognormal(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """Values whose standard deviation is 1.3 of their mean."""
    return rng.lognormal(0, 1, shape)


def proportions(rate: float, units: int) -> Count:
    """False alarms of the two-proportion z test."""

    def count(rng: np.random.Generator, runs: int) -> list[int]:
        hits = 0
        for x0, x1 in rng.binomial(units, rate, (runs, 2)).tolist():
            found = compare_proportions(Proportion(units, x0), Proportion(units, x1), 0.05)
            hits += isinstance(found, Difference) and found.p_value < 0.05
        return [hits]

    return count


def means(draw: Draw, units: int) -> Count:
    """False alarms of Welch's test, and of one of the share by the delta method: two-sided, and of harm."""

    def count(rng: np.random.Generator, runs: int) -> list[int]:
        hits = harm = by_share = 0
        pairs = zip(*(means_of(draw(rng, (runs, units))) for _ in range(2)), strict=True)
        for control, treatment in pairs:
            found = told(mean_contrast(control, treatment))
            p_value = fixed_p_value(found)
            hits += p_value < 0.05
            harm += p_value < 0.05 and found.effect < 0
            share = found.treatment / found.control
            error = np.hypot(found.treatment_error, share * found.control_error) / found.control
            by_share += (share - 1) / error < -Z
        return [hits, harm, by_share]

    return count


def welch(rng: np.random.Generator, runs: int) -> list[int]:
    """Unlike arms: 40 units of spread 3 against 200 of spread 1, the effect is 0.5."""
    control, treatment = rng.normal(2, 3, (runs, 40)), rng.normal(2.5, 1, (runs, 200))
    covered = 0
    for c, t in zip(means_of(control), means_of(treatment), strict=True):
        interval = estimated(fixed(mean_contrast(c, t), 0.05)).interval
        covered += interval.low <= 0.5 <= interval.high
    pooled = (39 * control.var(axis=1, ddof=1) + 199 * treatment.var(axis=1, ddof=1)) / 238
    half = student.isf(0.025, 238) * np.sqrt(pooled * (1 / 40 + 1 / 200))
    effect = treatment.mean(axis=1) - control.mean(axis=1)
    return [covered, int((np.abs(effect - 0.5) <= half).sum())]


def rare(rng: np.random.Generator, runs: int) -> list[int]:
    """A rate of 0.005, 500 units against 4,500."""
    n0, n1 = 500, 4500
    counts = rng.binomial([n0, n1], 0.005, (runs, 2))
    newcombe = wald = 0
    for x0, x1 in counts.tolist():
        found = compare_proportions(Proportion(n0, x0), Proportion(n1, x1), 0.05)
        newcombe += isinstance(found, Difference) and found.interval.low <= 0 <= found.interval.high
        p0, p1 = x0 / n0, x1 / n1
        wald += abs(p1 - p0) <= Z * (p0 * (1 - p0) / n0 + p1 * (1 - p1) / n1) ** 0.5
    return [newcombe, wald]


def _of_proportions(rate: float, units: int, exact: float, seed: int) -> Study:
    title = f"A/A, proportion of {rate:g}, {units:,} units an arm"
    claims = (exactly("two-proportion z alarms at 0.05", exact),)
    return Study(title, seed, 4_000, 20_000, proportions(rate, units), claims, at_once=2_000)


STUDIES = (
    # The exact rates of these discrete counts, by summing over all of them.
    _of_proportions(0.01, 500, 0.0425, 40_001),
    _of_proportions(0.01, 2_000, 0.0483, 40_002),
    _of_proportions(0.05, 2_000, 0.0500, 40_003),
    _of_proportions(0.5, 2_000, 0.0518, 40_004),
    Study(
        "A/A, lognormal values, 2,000 units an arm",
        40_005,
        4_000,
        20_000,
        chosen(means(lognormal, 2_000), 0),
        (exactly("Welch t alarms at 0.05", 0.05),),
    ),
    Study(
        "A/A, a tenth of units with lognormal values, 2,000 units an arm",
        40_006,
        4_000,
        20_000,
        chosen(means(zero_inflated(0.1), 2_000), 0),
        (exactly("Welch t alarms at 0.05", 0.05),),
    ),
    Study(
        "A/A, control's mean 5 of its errors from 0",
        40_007,
        4_000,
        20_000,
        means(zero_inflated(0.03), 2_000),
        (
            at_most("Welch t alarms at 0.05", 0.05, least=0.035),
            at_most("Welch t finds harm at 0.025", 0.025, least=0.016),
            caught_above("the share's p-value by the delta method finds harm at 0.025", 0.035),
        ),
    ),
    Study(
        "An effect on 40 units of spread 3 against 200 of spread 1",
        40_008,
        4_000,
        20_000,
        welch,
        (
            exactly("Welch's interval of 0.95 covers", 0.95),
            caught_below("Student's of a common variance covers", 0.8),
        ),
        at_once=2_000,
    ),
    Study(
        "A proportion of 0.005, 500 units against 4,500",
        40_009,
        4_000,
        20_000,
        rare,
        (
            exactly("Newcombe's interval of 0.95 covers", 0.9613),
            exactly("Wald's covers", 0.8999, wrong=True),
        ),
        at_once=2_000,
        note="Both are the exact coverages, by summing over all counts.",
    ),
)
