"""How large z must be at each look of a trial so that looking often costs no more than its alpha."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri

from meshtrial.plan.inference import Boundary, Shape
from meshtrial.stats.estimate import require_between
from meshtrial.stats.integration import Floats, Stage, crossing, require_growth
from meshtrial.stats.spending import spent

LEAST_SPENT: Final = 1e-12
"""Increment of a side's error rate below which a look has no bound; it is left to the next look."""
_PRECISION: Final = 1e-10
"""Of a bound."""
_STEPS: Final = 100
"""Of Newton's method, which takes about four."""
_APART: Final = 1e-6
"""Between limits of a search that may be equal."""
_NOTHING: Final = 1e-300
"""A chance whose logarithm can still be taken."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """A trial's critical values; it rejects at the first look at which |z| is as large."""

    z: Floats
    """Above 0, or infinite where nothing is spent: shape (looks,)."""
    spent: Floats
    """The chance to have rejected by each look without an effect, over all sides: shape (looks,)."""


def spending_bounds(
    boundary: Boundary,
    alpha: float,
    times: Sequence[float],
    information: Sequence[float] | None = None,
    sides: int = 2,
) -> Bounds:
    """Bounds by an error-spending function: look after look, so that no later look changes an earlier bound.

    Each side spends f(alpha / sides, time). A look with the information of the one before it is that look
    again, with more to spend: its bound is lower.

    Args:
        boundary: The spending function.
        alpha: Error rate over all sides, in (0, 0.5 * sides).
        times: What the error is spent by: shares of the planned units, in (0, 1], not descending.
        information: What the correlations come from, in any unit: each equal to the one before or more by
            `LEAST_GROWTH`; None where it is as the times.
        sides: 2 for symmetric bounds, 1 for upper bounds alone, as many published designs have.

    Raises:
        ValueError: A parameter is out of range.
    """
    require_between("alpha", alpha, 0, 0.5 * sides)
    information = times if information is None else information
    if any(late < early for early, late in pairwise(times)):
        raise ValueError("times must not descend")
    require_growth(information, repeats=True)
    bounds, totals = np.empty(len(times)), np.empty(len(times))
    stage, total, before, gate, bound = Stage.first(information[0]), 0.0, 0.0, math.inf, math.inf
    for k, (time, amount) in enumerate(zip(times, information, strict=True)):
        if amount > stage.information:
            stage, before = stage.after(-gate if sides == 2 else -math.inf, gate, amount), total
            gate = math.inf
        target = spent(boundary, alpha / sides, time)
        if target - total >= LEAST_SPENT:
            start = bound if math.isfinite(bound) else -float(ndtri(target - before))
            bound, total = _bound(stage, target - before, start), target
            bounds[k] = gate = bound
        else:
            bounds[k] = math.inf
        totals[k] = sides * total
    return Bounds(bounds, totals)


def exact_bounds(boundary: Boundary, alpha: float, times: Sequence[float], sides: int = 2) -> Bounds:
    """Bounds C * time^(D - 1/2) for looks that are all planned: D = 0 O'Brien-Fleming, 1/2 Pocock.

    Args:
        boundary: O'Brien-Fleming, Pocock, or Wang-Tsiatis with a parameter D in 0..0.5.
        alpha: Error rate over all sides, in (0, 0.5 * sides).
        times: Of all looks, ascending, the last one 1; information is taken to be in proportion.
        sides: 2 for symmetric bounds, 1 for upper bounds alone.

    Raises:
        ValueError: A parameter is out of range, or the shape is one of spending alone.

    Source: Pocock 1977, Biometrika 64:191; O'Brien & Fleming 1979, Biometrics 35:549; Wang & Tsiatis 1987,
    Biometrics 43:193.
    """
    require_between("alpha", alpha, 0, 0.5 * sides)
    shape = _exact_shape(boundary, times)

    def missing(constant: float) -> float:
        return float(sides * _crossed(constant * shape, times, sides).sum()) - alpha

    # The last look alone would have the least constant; as many looks that share nothing, the greatest.
    least, most = -ndtri(alpha / sides), -ndtri(alpha / sides / len(times))
    constant = float(brentq(missing, least - _APART, most + _APART, xtol=_PRECISION))
    bounds = constant * shape
    return Bounds(bounds, sides * np.cumsum(_crossed(bounds, times, sides)))


def exact_p_value(boundary: Boundary, times: Sequence[float], k: int, z: float) -> float:
    """The two-sided alpha whose exact bound at the look of index `k` is `z`, 0 or more."""
    shape = _exact_shape(boundary, times)
    return min(1.0, float(2 * _crossed(z / shape[k] * shape, times, 2).sum()))


def _bound(stage: Stage, chance: float, start: float) -> float:
    """The value that trials of this stage exceed with a chance, by Newton's method from near it.

    The logarithm of the chance to exceed a value is concave, so the method converges from anywhere; steps are
    kept short where the chance is too small for its slope to be seen.
    """
    z = start
    for _ in range(_STEPS):
        tail, density = max(float(stage.above(z)), _NOTHING), max(float(stage.density(z)), _NOTHING)
        step = min(1.0, max(-1.0, tail / density * math.log(tail / chance)))
        z += step
        if abs(step) < _PRECISION:
            break
    return z


def _crossed(bounds: Floats, times: Sequence[float], sides: int) -> Floats:
    """Chances, on one side, to cross these bounds first at each look."""
    low = -bounds if sides == 2 else np.full(len(bounds), -math.inf)
    return crossing(times, low.tolist(), bounds.tolist())[1]


def _exact_shape(boundary: Boundary, times: Sequence[float]) -> Floats:
    """Time^(D - 1/2) of each look."""
    powers = {Shape.OBRIEN_FLEMING: 0.0, Shape.POCOCK: 0.5, Shape.WANG_TSIATIS: boundary.parameter}
    power = powers.get(boundary.shape)
    if power is None or not 0 <= power <= 0.5:
        raise ValueError(f"{boundary.shape} with parameter {boundary.parameter} has no exact boundary")
    require_growth(times)
    if times[-1] != 1:
        raise ValueError(f"the last look must be at time 1, not {times[-1]:g}")
    return np.asarray(times, float) ** (power - 0.5)
