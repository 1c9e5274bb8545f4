"""Ratios of sums, and effects as a share of control's value."""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from calibration.studies.fixed_sample import Z, told
from calibration.study import Study, caught_above, caught_below, exactly
from meshtrial.stats.contrast import Contrast, combine, fieller
from meshtrial.stats.estimate import Interval, NotEstimable
from meshtrial.stats.fixed import fixed_critical
from meshtrial.stats.joint import Joint
from meshtrial.stats.moments import mean_contrast
from meshtrial.stats.ratio import linearised, ratio_contrast


def covers(contrast: Contrast, truth: float) -> bool:
    """Whether the interval of 0.95 holds the true effect."""
    return abs(contrast.effect - truth) <= fixed_critical(contrast, 0.05) * contrast.error


def joints(values: npt.NDArray[np.float64]) -> Iterator[Joint]:
    """One of each trial, of values by trial, unit and variable; all sums at once."""
    totals = values.sum(axis=1)
    products = np.einsum("rui,ruj->rij", values, values)
    rows, columns = np.triu_indices(values.shape[2])
    for total, product in zip(totals.tolist(), products[:, rows, columns].tolist(), strict=True):
        yield Joint((0.0,) * values.shape[2], values.shape[1], tuple(total), tuple(product))


def _clicks(rng: np.random.Generator, shape: tuple[int, int], loss: float) -> npt.NDArray[np.float64]:
    """Clicks and impressions by trial and unit; units differ in both. The true ratio is 2/7 (1 - loss)."""
    events = 1 + rng.poisson(4, shape)
    return np.stack([rng.binomial(events, rng.beta(2, 5, shape) * (1 - loss)), events], axis=2).astype(float)


def ratio(rng: np.random.Generator, runs: int) -> list[int]:
    """Of clicks by impressions; the treatment loses a tenth."""
    truth, covered, naive = -0.1 * 2 / 7, 0, 0
    arms = zip(joints(_clicks(rng, (runs, 400), 0.0)), joints(_clicks(rng, (runs, 200), 0.1)), strict=True)
    for control, treatment in arms:
        found = told(ratio_contrast(control, treatment))
        covered += covers(found, truth)
        shares, events = [found.control, found.treatment], [control.totals[1], treatment.totals[1]]
        error = math.sqrt(sum(p * (1 - p) / n for p, n in zip(shares, events, strict=True)))
        naive += abs(found.effect - truth) <= Z * error
    return [covered, naive]


def small_strata(rng: np.random.Generator, runs: int) -> list[int]:
    """20 strata of 3 and 15 units; clicks grow less than impressions, so ratios of few units are biased."""

    def drawn(units: int) -> list[Joint]:
        events = 1 + rng.geometric(0.3, (runs, units))
        return list(joints(np.stack([rng.binomial(events, 0.9 / events), events], axis=2).astype(float)))

    strata, covered, separate = [(drawn(3), drawn(15)) for _ in range(20)], 0, 0
    for run in range(runs):
        parts = [(3.0, control[run], treatment[run]) for control, treatment in strata]
        linear = linearised(parts)
        assert not isinstance(linear, NotEstimable)
        found = [(w, told(mean_contrast(c.linear([1.0]), t.linear([1.0])))) for w, c, t in linear]
        covered += covers(told(combine(found)), 0.0)
        separate += covers(told(combine([(w, _alone(c, t)) for w, c, t in parts])), 0.0)
    return [covered, separate]


def _alone(control: Joint, treatment: Joint) -> Contrast:
    """The difference of two ratios of one stratum."""
    ratios = [arm.totals[0] / arm.totals[1] for arm in (control, treatment)]
    residuals = [
        arm.mapped([[1.0, -value]], 0.0, 0.0).products[0]
        for arm, value in zip((control, treatment), ratios, strict=True)
    ]
    errors = [
        math.sqrt(square / arm.units / (arm.units - 1)) * arm.units / arm.totals[1]
        for square, arm in zip(residuals, (control, treatment), strict=True)
    ]
    units = control.units, treatment.units
    return Contrast("", ratios[0], ratios[1] - ratios[0], errors[0], errors[1], math.inf, *units)


def share(rng: np.random.Generator, runs: int) -> list[int]:
    """Control is 6 of its errors away from 0, the share is 50%."""
    control, treatment = rng.normal(6, 1, runs), rng.normal(9, 1, runs)
    below = above = delta_below = delta_above = 0
    for m0, m1 in zip(control.tolist(), treatment.tolist(), strict=True):
        found = fieller(Contrast("", m0, m1 - m0, 1.0, 1.0, math.inf, 9, 9), Z)
        if isinstance(found, Interval):
            below += found.high < 0.5
            above += found.low > 0.5
        half = Z * math.sqrt(1 / m0**2 + m1**2 / m0**4)
        delta_below += m1 / m0 - 1 + half < 0.5
        delta_above += m1 / m0 - 1 - half > 0.5
    return [below, above, delta_below, delta_above]


def skewed_share(rng: np.random.Generator, runs: int) -> list[int]:
    """Means of skewed values, a fifth more of them."""
    covered = 0
    arms = (rng.gamma(0.5, 2.0 * (1 + lift), (runs, n, 1)) for n, lift in ((600, 0.0), (400, 0.2)))
    for control, treatment in zip(*map(joints, arms), strict=True):
        contrast = told(mean_contrast(control.linear([1.0]), treatment.linear([1.0])))
        found = fieller(contrast, fixed_critical(contrast, 0.05))
        assert isinstance(found, Interval)
        covered += found.low <= 0.2 <= found.high
    return [covered]


STUDIES = (
    Study(
        "Clicks by impressions, 400 units against 200",
        20_271,
        2_000,
        20_000,
        ratio,
        (
            exactly("the delta method's interval of 0.95 covers", 0.95),
            caught_below("one of independent impressions covers", 0.93),
        ),
    ),
    Study(
        "Clicks by impressions in 20 strata of 3 units against 15",
        20_272,
        500,
        5_000,
        small_strata,
        (
            exactly("the interval of weighted means' ratio covers", 0.95),
            caught_below("the mean of ratios covers", 0.92),
        ),
        at_once=100,
    ),
    Study(
        "An effect of 50%, control 6 of its errors from 0",
        20_273,
        4_000,
        20_000,
        share,
        (
            exactly("Fieller's interval of 0.95 is all below", 0.025),
            exactly("Fieller's is all above", 0.025),
            caught_above("the delta method's is all below", 0.035),
            caught_below("the delta method's is all above", 0.015),
        ),
        at_once=5_000,
    ),
    Study(
        "An effect of 20% on gamma values of shape 1/2, 600 units against 400",
        20_274,
        4_000,
        20_000,
        skewed_share,
        (exactly("Fieller's interval of 0.95 covers", 0.95),),
    ),
)
