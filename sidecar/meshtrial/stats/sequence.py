"""As many looks as one likes: an asymptotic confidence sequence and its always-valid p-value.

Over all looks together, the interval ever misses the effect with a chance of at most alpha, for any way to
choose when to look or to stop. That holds in the limit of many units: before `meshtrial.stats.burn_in` lets
them, contrasts of rare or skewed outcomes must not be looked at.

Source: Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas 2024, Annals of Statistics 52:2613 (arXiv 2103.06476).
The boundary is the normal mixture's, with a unit's variance as the unit of time.
"""

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from meshtrial.stats.contrast import Contrasted, difference
from meshtrial.stats.estimate import Comparison, Interval, NotEstimable, require_between
from meshtrial.stats.integration import Floats
from meshtrial.stats.mixture import boundary, log_e, tuned_rho


def confidence_sequence(
    contrast: Contrasted, alpha: float, tuned_for: float, time: float | None = None
) -> Comparison:
    """One look at a contrast, of any number.

    Critical values for the normal distribution are carried over to Student's t, where the contrast has
    degrees of freedom, at equal tail chances: with few clusters the error is itself uncertain.

    Args:
        contrast: What is not estimable stays so; `contrast.above(margin)` tests a margin.
        alpha: Error rate of all looks together, two-sided, in (0, 0.5).
        tuned_for: The time at which the interval is narrowest beside the fixed one: units of both arms
            planned, above 0; the same at every look.
        time: How far the trial is, above 0, in the unit of `tuned_for`; must grow as the information does.
            None: the units of both arms, which is right while their shares stay the same. Over strata whose
            shares differ, such as the phases of a ramp, the sum of n1 n0 / (n1 + n0).

    Raises:
        ValueError: A parameter is out of range.
    """
    if isinstance(contrast, NotEstimable):
        return contrast
    time = contrast.units if time is None else time
    require_between("time", time, 0, math.inf)
    critical = float(sequence_critical(time, alpha, tuned_for, contrast.freedom))
    if not math.isfinite(critical):
        return NotEstimable("it is too early for an interval: the trial has hardly begun")
    score = contrast.effect / contrast.error
    return difference(
        contrast, critical, float(sequence_p_value(score, time, alpha, tuned_for, contrast.freedom))
    )


def sequence_critical(
    time: npt.ArrayLike, alpha: float, tuned_for: float, freedom: npt.ArrayLike = math.inf
) -> Floats:
    """Half the interval's width in standard errors, at each look; infinite or NaN where it is too early.

    Args:
        time: Units of both arms, above 0: any shape; it broadcasts with `freedom`.
        alpha: Error rate of all looks together, two-sided, in (0, 0.5).
        tuned_for: As in `confidence_sequence`.
        freedom: Degrees of freedom of the error, above 0.

    Raises:
        ValueError: `alpha` or `tuned_for` is out of range.
    """
    times, nu = np.asarray(time, np.float64), np.asarray(freedom, np.float64)
    normal = boundary(times, tuned_rho(tuned_for, alpha), alpha) / np.sqrt(times)
    if np.isinf(nu).all():
        return np.asarray(normal)
    return np.where(np.isinf(nu), normal, -stdtrit(nu, ndtr(-normal)))


def sequence_p_value(
    score: npt.ArrayLike,
    time: npt.ArrayLike,
    alpha: float,
    tuned_for: float,
    freedom: npt.ArrayLike = math.inf,
) -> Floats:
    """Two-sided p-value of no effect, 0..1, valid at any look; at most alpha where the score is critical.

    It is one look's. The least one of all looks so far is valid as well.

    Args:
        score: The effect in standard errors; all broadcast.
        time: Units of both arms, above 0.
        alpha: What the boundary is tuned for, in (0, 0.5); the p-value is valid at every level.
        tuned_for: As in `confidence_sequence`.
        freedom: Degrees of freedom of the error, above 0.

    Raises:
        ValueError: `alpha` or `tuned_for` is out of range.
    """
    times, nu = np.asarray(time, np.float64), np.asarray(freedom, np.float64)
    z = np.abs(np.asarray(score, np.float64))
    if not np.isinf(nu).all():
        z = np.where(np.isinf(nu), z, -ndtri(stdtr(nu, -z)))
    evidence = log_e(z * np.sqrt(times), times, tuned_rho(tuned_for, alpha))
    return np.asarray(np.exp(-np.maximum(evidence, 0)))


def running_intersection(intervals: Iterable[Interval]) -> list[Interval | NotEstimable]:
    """What all looks up to each one agree on; over all looks it errs no more often than they do.

    Only for an effect that stays as it is: where it changes as the trial runs, what the looks agree on
    becomes empty, and is then refused at every later look.

    Args:
        intervals: Of one confidence sequence, in the order of its looks.
    """
    low, high = -math.inf, math.inf
    agreed: list[Interval | NotEstimable] = []
    for interval in intervals:
        low, high = max(low, interval.low), min(high, interval.high)
        empty = NotEstimable("the looks so far contradict one another, so the effect has changed")
        agreed.append(Interval(low, high) if low <= high else empty)
    return agreed
