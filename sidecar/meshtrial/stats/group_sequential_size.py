"""What a group-sequential trial costs in units, and how soon it is likely to end."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.optimize import brentq

from meshtrial.plan.inference import Boundary
from meshtrial.stats.boundary import exact_bounds, spending_bounds
from meshtrial.stats.estimate import require_between
from meshtrial.stats.futility import Futility, futility_bounds
from meshtrial.stats.integration import Floats, crossing

_LEAST_DRIFT: Final = 1e-3
"""Less finds nothing: the power is alpha to six digits."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A trial whose size is sought.

    Raises:
        ValueError: The power is out of range, or the last look is not at time 1.
    """

    boundary: Boundary
    """Spending or exact."""
    alpha: float
    """Error rate over all sides, in (0, 0.5)."""
    power: float
    """In (alpha, 1). Without futility a rejection on either side counts, as in `size`."""
    times: tuple[float, ...]
    """Of the looks, as shares of the planned size, ascending, the last one 1."""
    futility: Boundary | None = None
    """A spending function of beta, followed whenever it says stop; alpha does not count on that."""
    sides: int = 2
    """2 for symmetric bounds, 1 for upper bounds alone."""

    def __post_init__(self) -> None:
        require_between("power", self.power, self.alpha, 1)
        if self.times[-1] != 1:
            raise ValueError(f"the last look must be at time 1, not {self.times[-1]:g}")


@dataclass(frozen=True, slots=True)
class Schedule:
    """Looks as planned, and what happens at them; every array of shape (looks,).

    Sizes are shares of the size of a trial with one look and the same alpha and power.
    """

    times: tuple[float, ...]
    bounds: Floats
    """Critical values of z, or of |z| where the test has two sides."""
    floors: Floats | None
    """Futility bounds of z in the better direction; None without futility."""
    drift: float
    """Mean of z at the last look under the effect that is found with the power."""
    most: float
    """The planned size: above 1, the price of looking."""
    expected_without: float
    """The mean size without an effect, if every bound that is crossed stops the trial."""
    expected_with: float
    """The mean size with the effect."""
    rejected_without: Floats
    """The chance to reject at each look first without an effect, on either side."""
    rejected_with: Floats
    """The same with the effect."""
    futile_without: Floats
    """The chance to give up at each look without an effect."""
    futile_with: Floats
    """The same with the effect."""


def schedule(planned: Planned) -> Schedule:
    """The size that has the power, and what happens at its looks.

    Raises:
        ValueError: A parameter is out of range.

    Source: Jennison & Turnbull 2000, chapter 2 (maximum and expected sizes).
    """
    bounds = bounds_of(planned)
    drift = _drift(planned, bounds)
    single = replace(planned, times=(1.0,), futility=None)
    most = (drift / _drift(single, bounds_of(single))) ** 2
    floors = _floors(planned, bounds, drift)
    futile_without, rejected_without = _outcomes(planned, bounds, floors, 0.0)
    futile_with, rejected_with = _outcomes(planned, bounds, floors, drift)
    return Schedule(
        times=planned.times,
        bounds=bounds,
        floors=floors,
        drift=drift,
        most=most,
        expected_without=most * _mean_time(planned.times, futile_without + rejected_without),
        expected_with=most * _mean_time(planned.times, futile_with + rejected_with),
        rejected_without=rejected_without,
        rejected_with=rejected_with,
        futile_without=futile_without,
        futile_with=futile_with,
    )


def bounds_of(planned: Planned) -> Floats:
    """Critical values of looks with the information of their times: shape (looks,).

    One computation serves any number of simulated trials.

    Raises:
        ValueError: A parameter is out of range.
    """
    if planned.boundary.spending:
        return spending_bounds(planned.boundary, planned.alpha, planned.times, sides=planned.sides).z
    return exact_bounds(planned.boundary, planned.alpha, planned.times, planned.sides).z


def _floors(planned: Planned, bounds: Floats, drift: float) -> Floats | None:
    """Futility bounds under an effect with this drift."""
    if planned.futility is None:
        return None
    futility = Futility(planned.futility, planned.power, drift)
    return futility_bounds(futility, planned.times, planned.times, bounds.tolist())


def _outcomes(planned: Planned, bounds: Floats, floors: Floats | None, drift: float) -> tuple[Floats, Floats]:
    """Chances to give up and to reject at each look."""
    lowest = -bounds if planned.sides == 2 else np.full(len(bounds), -math.inf)
    low = lowest if floors is None else np.maximum(lowest, floors)
    below, above = crossing(planned.times, low.tolist(), bounds.tolist(), drift)
    return (np.zeros(len(below)), below + above) if floors is None else (below, above)


def _drift(planned: Planned, bounds: Floats) -> float:
    """The mean of z at the last look under which the trial has the power."""

    def missing(drift: float) -> float:
        _, rejected = _outcomes(planned, bounds, _floors(planned, bounds, drift), drift)
        return float(rejected.sum()) - planned.power

    low, high = _LEAST_DRIFT, 8.0
    while missing(high) < 0:
        low, high = high, 2 * high
    return float(brentq(missing, low, high, xtol=1e-9))


def _mean_time(times: Sequence[float], stopped: Floats) -> float:
    """The mean time of the end, from the chances to stop at each look."""
    early = stopped[:-1]
    return float(np.dot(early, times[:-1])) + 1 - float(early.sum())
