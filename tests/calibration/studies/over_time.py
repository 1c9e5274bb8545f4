"""Designs in time: switchbacks with what they carry over, and effects by day."""

import math
from functools import partial

import numpy as np

from calibration.studies.fixed_sample import told
from calibration.study import Study, at_most, caught_above, exactly
from meshtrial.stats.estimate import Difference
from meshtrial.stats.fixed import fixed, fixed_p_value
from meshtrial.stats.moments import Moments
from meshtrial.stats.switchback import Windows, randomisation_p_value, switchback_contrast
from meshtrial.stats.trend import day_weights, trend_contrast

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


def carried(rng: np.random.Generator, runs: int, *, now: float, later: float) -> list[int]:
    """How many intervals miss what both windows together do: of the right order, and of order 0."""
    missed = [0, 0]
    for _ in range(runs):
        windows = switched(rng, now, later)
        for i, order in enumerate((1, 0)):
            found = fixed(switchback_contrast(windows, order), 0.05)
            assert isinstance(found, Difference)
            missed[i] += not found.interval.low <= now + later <= found.interval.high
    return missed


def re_drawn(rng: np.random.Generator, runs: int) -> list[int]:
    """False alarms of the randomisation test, with 199 re-draws each."""
    hits = 0
    for _ in range(runs):
        p_value = randomisation_p_value(switched(rng, 0, 0), 2, rng, 199)
        assert isinstance(p_value, float)
        hits += p_value <= 0.05
    return [hits]


def slopes(rng: np.random.Generator, runs: int) -> list[int]:
    """An effect that stays as it is over 7 days, while each unit's own taste drifts; 60 units an arm."""
    days, units, hits, rows = 7, 60, 0, 0
    weights, day = day_weights(days), np.arange(days) - 3
    for _ in range(runs):
        values = 1 + rng.normal(0, 0.5, (2, units, 1)) * day + rng.normal(size=(2, units, days))
        values[1] += 0.5
        found = told(trend_contrast(*(Moments.of(arm, 0.0) for arm in values @ weights)))
        hits += fixed_p_value(found) < 0.05
        residual = values - values.mean(axis=1, keepdims=True)
        row_error = math.sqrt(2 * residual.var() / units * (weights @ weights))
        rows += abs(found.effect) > 1.96 * row_error
    return [hits, rows]


_RIGHT, _WRONG = "the interval of 0.95 misses, carryover order 1", "with order 0 it misses"
STUDIES = (
    Study(
        "A switchback whose effect is only brought forward from the next window",
        20_311,
        1_000,
        20_000,
        partial(carried, now=0.5, later=-0.5),
        (at_most(_RIGHT, 0.05), caught_above(_WRONG, 0.5)),
        at_once=250,
    ),
    Study(
        "A switchback whose effect takes two windows",
        20_313,
        1_000,
        20_000,
        partial(carried, now=0.4, later=0.4),
        (at_most(_RIGHT, 0.05, least=0.02), caught_above(_WRONG, 0.3)),
        at_once=250,
    ),
    Study(
        "A/A, a switchback of 4 keys and 84 windows",
        20_315,
        600,
        5_000,
        re_drawn,
        (exactly("the randomisation test alarms at 0.05", 0.05),),
        at_once=250,
    ),
    Study(
        "An effect without novelty over 7 days",
        20_321,
        2_000,
        20_000,
        slopes,
        (exactly("the slope's test, by unit, alarms at 0.05", 0.05), caught_above("by row it alarms", 0.1)),
    ),
)
