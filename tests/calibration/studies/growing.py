"""Metrics without a window: what a unit is worth goes on growing after it came.

Looks are then not what boundaries take them for. With a window, each unit enters once, with its final value.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from calibration.studies.looks import ever
from calibration.study import Study, at_most, caught_above, exactly
from meshtrial.plan.inference import Boundary, Shape
from meshtrial.stats.boundary import exact_bounds
from meshtrial.stats.integration import Floats
from meshtrial.stats.sequence import sequence_critical

LOOKS: Final = 10
UNITS: Final = 100
"""Of each arm, new between two looks."""
WINDOW: Final = 3
"""Times between two looks after which a closed metric is final."""
_TIMES = tuple((k + 1) / LOOKS for k in range(LOOKS))
_POCOCK = exact_bounds(Boundary(Shape.POCOCK), 0.05, _TIMES).z


def staggered(rng: np.random.Generator, runs: int) -> list[int]:
    """Units come all the time, and each spends more the longer it has been there; compared within cohorts."""
    spent = rng.standard_exponential((runs, 2, LOOKS, UNITS, LOOKS), np.float32) * np.arange(1, LOOKS + 1)
    values = spent.cumsum(axis=4)  # by run, arm, cohort, unit and age
    closed, growing = np.empty((runs, LOOKS)), np.empty((runs, LOOKS))
    for look in range(LOOKS):
        cohorts = np.arange(look + 1)
        closed[:, look] = _z(values[:, :, cohorts, :, np.full(look + 1, WINDOW - 1)])
        growing[:, look] = _z(values[:, :, cohorts, :, look - cohorts])
    return [ever(np.abs(z) >= _POCOCK) for z in (closed, growing)]


def at_once(rng: np.random.Generator, runs: int) -> list[int]:
    """All units come on the first of 60 days; a sequence is looked at daily, by the count of units."""
    units, days = 100, 60
    spent = rng.standard_exponential((runs, 2, units, days), np.float32) * np.arange(1, days + 1) ** 2
    values = spent.cumsum(axis=3)
    z = np.stack([_z(values[None, ..., day]) for day in range(days)], axis=1)
    critical = float(sequence_critical(2 * units, 0.05, 2 * units))
    return [ever(np.abs(z[:, WINDOW - 1 : WINDOW]) >= critical), ever(np.abs(z) >= critical)]


def _z(values: npt.NDArray[np.float32]) -> Floats:
    """Of values by cohort, run, arm and unit; cohorts are as large as each other."""
    means = values.mean(axis=(0, 3), dtype=np.float64)
    within = values.var(axis=3, ddof=1, dtype=np.float64).sum(axis=(0, 2))
    error = np.sqrt(within / values.shape[3]) / len(values)
    return np.asarray((means[:, 1] - means[:, 0]) / error)


STUDIES = (
    Study(
        "A/A, units come all the time and spend more the longer they stay, 10 looks by the count of units",
        40_101,
        1_500,
        20_000,
        staggered,
        (
            exactly("Pocock bounds alarm at 0.05 where a unit's window is closed", 0.05),
            caught_above("where its value goes on growing they alarm", 0.065),
        ),
        at_once=50,
    ),
    Study(
        "A/A, all units come on one day and spend more each day, 60 daily looks by the count of units",
        40_102,
        1_000,
        20_000,
        at_once,
        (
            at_most("the confidence sequence alarms at 0.05 where the window is closed", 0.05),
            caught_above("where values go on growing it alarms", 0.06),
        ),
        at_once=100,
    ),
)
