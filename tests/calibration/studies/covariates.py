"""Means with covariates: CUPED, which has one slope for both arms, and Lin's regression, one for each."""

import math
from functools import partial

import numpy as np
import numpy.typing as npt

from calibration.studies.fixed_sample import told
from calibration.studies.ratios import covers, joints
from calibration.study import Study, at_least, caught_below, exactly
from meshtrial.stats.adjust import Slopes, adjusted_contrast, cuped_slopes, lin_slopes
from meshtrial.stats.fixed import fixed_critical
from meshtrial.stats.joint import Joint
from meshtrial.stats.moments import mean_contrast


def _slopes(control: Joint, treatment: Joint, *, separate: bool) -> Slopes:
    found = lin_slopes([control], [treatment]) if separate else cuped_slopes([control, treatment])
    assert isinstance(found, Slopes)
    return found


def _adjustable(rng: np.random.Generator, shape: tuple[int, int], treated: float) -> npt.NDArray[np.float64]:
    """Outcome, a covariate from before, and one from after that the arm has moved; the effect is 0.5."""
    before = rng.normal(5, 2, shape)
    outcome = before * (1 + 0.5 * treated) - 2 * treated + rng.normal(0, 1 + treated, shape)
    return np.stack([outcome, before, outcome + rng.normal(0, 1, shape)], axis=2)


def covariate(rng: np.random.Generator, runs: int, *, separate: bool) -> list[int]:
    """One that tells much of the outcome; slopes differ by arm."""
    covered = after = shorter = 0
    arms = (joints(_adjustable(rng, (runs, n), treated)) for n, treated in ((150, 0.0), (300, 1.0)))
    for pair in zip(*arms, strict=True):
        found = []
        for variable in (1, 2):
            c, t = (arm.mapped(np.eye(3)[[0, variable]], 0.0, [0.0, 0.0]) for arm in pair)
            found.append(told(adjusted_contrast(c, t, _slopes(c, t, separate=separate))))
        covered += covers(found[0], 0.5)
        after += covers(found[1], 0.5)
        plain = told(mean_contrast(*(arm.linear([1.0, 0.0, 0.0]) for arm in pair)))
        shorter += plain.error > found[0].error
    return [covered, shorter, after]


def many_covariates(rng: np.random.Generator, runs: int, *, separate: bool) -> list[int]:
    """6 that explain nothing, 32 units an arm."""
    covered = unpaid = 0
    for c, t in zip(*(joints(rng.normal(size=(runs, 32, 7))) for _ in range(2)), strict=True):
        slopes = _slopes(c, t, separate=separate)
        found = told(adjusted_contrast(c, t, slopes))
        covered += covers(found, 0.0)
        price = math.sqrt(max(slopes.control.inflation, slopes.treatment.inflation))
        unpaid += abs(found.effect) <= fixed_critical(found, 0.05) * found.error / price
    return [covered, unpaid]


def _studies(name: str, *, separate: bool) -> tuple[Study, Study]:
    return (
        Study(
            f"A covariate from before exposure, 150 units against 300: {name}",
            20_291 + separate,
            1_500,
            20_000,
            partial(covariate, separate=separate),
            (
                exactly("the adjusted interval of 0.95 covers", 0.95),
                at_least("it is shorter than the plain one", 0.99),
                caught_below("with a covariate from after exposure it covers", 0.9),
            ),
        ),
        Study(
            f"6 covariates that explain nothing, 32 units an arm: {name}",
            20_293 + separate,
            2_000,
            20_000,
            partial(many_covariates, separate=separate),
            (
                exactly("the adjusted interval of 0.95 covers", 0.95),
                caught_below("without the price of fitted slopes it covers", 0.935),
            ),
        ),
    )


STUDIES = (*_studies("CUPED", separate=False), *_studies("regression adjustment", separate=True))
