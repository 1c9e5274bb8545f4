"""How small an alpha would have rejected by each look: p-values that hold however often one looks.

Source: Jennison & Turnbull 2000, chapter 9 (repeated p-values); Liu & Anderson 2008, Journal of the American
Statistical Association 103:1621 (their running least, the sequential p-value); Maurer & Bretz 2013,
Statistics in Biopharmaceutical Research 5:311 (that procedures such as Holm's may take it).
"""

import math
from collections.abc import Sequence
from typing import Final

from scipy.optimize import brentq
from scipy.special import ndtr

from meshtrial.plan.inference import Boundary
from meshtrial.stats.boundary import LEAST_SPENT, exact_p_value, spending_bounds

_MOST: Final = 1 - 1e-9
"""The largest alpha that is tried; a trial that it does not reject has a p-value of 1."""
_FAR: Final = 40.0
"""Stands for an infinite bound while a root is sought."""


def sequential_p_values(
    boundary: Boundary, times: Sequence[float], information: Sequence[float], z: Sequence[float]
) -> tuple[float, ...]:
    """The least two-sided alpha at which spending bounds are crossed by each look: never rising.

    Args:
        boundary: The spending function.
        times: As for `boundary.spending_bounds`.
        information: As there.
        z: At each look.
    """
    least, found = 1.0, []
    bounds = spending_bounds(boundary, _MOST, times, information).z
    for k, value in enumerate(z):
        if abs(value) >= bounds[k]:
            least = _repeated(boundary, times[: k + 1], information[: k + 1], abs(value), min(least, _MOST))
            bounds = spending_bounds(boundary, least, times, information).z
        found.append(least)
    return tuple(found)


def sequential_p_value(
    boundary: Boundary, times: Sequence[float], information: Sequence[float], z: Sequence[float]
) -> float:
    """The last of `sequential_p_values`, far sooner: where there is an effect the last look has the least."""
    least = 1.0
    bounds = spending_bounds(boundary, _MOST, times, information).z
    for k in reversed(range(len(z))):
        if abs(z[k]) >= bounds[k]:
            least = _repeated(boundary, times[: k + 1], information[: k + 1], abs(z[k]), min(least, _MOST))
            bounds = spending_bounds(boundary, least, times, information).z
    return least


def exact_p_values(
    boundary: Boundary, planned: Sequence[float], places: Sequence[int], z: Sequence[float]
) -> tuple[float, ...]:
    """The least two-sided alpha at which exact bounds are crossed by each look: never rising.

    Args:
        boundary: O'Brien-Fleming, Pocock or Wang-Tsiatis.
        planned: Times of all looks, as for `boundary.exact_bounds`.
        places: Which of them were made, as indices.
        z: At these.
    """
    least, found = 1.0, []
    for place, value in zip(places, z, strict=True):
        least = min(least, exact_p_value(boundary, planned, place, abs(value)))
        found.append(least)
    return tuple(found)


def _repeated(
    boundary: Boundary, times: Sequence[float], information: Sequence[float], z: float, most: float
) -> float:
    """The alpha whose bound at the last of these looks is `z`; at `most` it is already below."""

    def missing(logarithm: float) -> float:
        bounds = spending_bounds(boundary, math.exp(logarithm), times, information).z
        return min(float(bounds[-1]), _FAR) - z

    # One look alone would have about this p-value, and no alpha below ever spends anything.
    low, high = math.log(max(LEAST_SPENT, float(ndtr(-z)) / 2)), math.log(most)
    if low >= high or missing(low) <= 0:
        return math.exp(min(low, high))
    return math.exp(float(brentq(missing, low, high, xtol=1e-8)))
