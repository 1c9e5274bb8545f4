"""The looks of one trial as z values with bounds: what every group-sequential answer starts from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from scipy.special import ndtr, ndtri, stdtr, stdtrit

from meshtrial.plan.inference import Boundary
from meshtrial.stats.boundary import exact_bounds, spending_bounds
from meshtrial.stats.contrast import Contrast, Contrasted
from meshtrial.stats.information import information_clock

_LEAST_TAIL: Final = 1e-300
"""Of a t statistic: what is beyond has the normal deviate of this tail, about 37."""


@dataclass(frozen=True, slots=True)
class Course:
    """The looks that have an estimate; every sequence of shape (such looks,), but for `planned`."""

    alpha: float
    """Two-sided."""
    boundary: Boundary
    planned: tuple[float, ...]
    """Times of all looks, for exact bounds."""
    places: tuple[int, ...]
    """Indices among all looks."""
    contrasts: tuple[Contrast, ...]
    times: tuple[float, ...]
    z: tuple[float, ...]
    clock: tuple[float, ...]
    """Information, by `information_clock`."""
    bounds: tuple[float, ...]
    """Of |z|; may be infinite."""
    spent: tuple[float, ...]
    """Of alpha."""

    def ahead(self, times: Sequence[float], clock: Sequence[float]) -> list[float]:
        """Bounds of looks to come at these times and information."""
        if self.boundary.spending:
            both = [*self.times, *times], [*self.clock, *clock]
            bounds = spending_bounds(self.boundary, self.alpha, *both)
        else:
            bounds = exact_bounds(self.boundary, self.alpha, self.planned)
        return [float(bound) for bound in bounds.z[-len(times) :]]


def course_of(
    alpha: float, boundary: Boundary, planned: tuple[float, ...], looks: Sequence[tuple[Contrasted, float]]
) -> Course | None:
    """Contrasts with their times as a course; None where no look has an estimate.

    Raises:
        ValueError: Times are out of range or descend, or there are more looks than exact bounds.
    """
    if not boundary.spending and len(looks) > len(planned):
        raise ValueError(f"there are {len(looks)} looks, and bounds for {len(planned)}")
    estimated = [
        (place, contrast, time)
        for place, (contrast, time) in enumerate(looks)
        if isinstance(contrast, Contrast)
    ]
    if not estimated:
        return None
    places, contrasts, times = zip(*estimated, strict=True)
    clock = information_clock(contrasts)
    if boundary.spending:
        bounds = spending_bounds(boundary, alpha, times, clock)
        critical, spent = bounds.z.tolist(), bounds.spent.tolist()
    else:
        bounds = exact_bounds(boundary, alpha, planned)
        critical, spent = bounds.z[list(places)].tolist(), bounds.spent[list(places)].tolist()
    z = tuple(normal_deviate(contrast) for contrast in contrasts)
    return Course(alpha, boundary, planned, places, contrasts, times, z, clock, tuple(critical), tuple(spent))


def normal_deviate(contrast: Contrast) -> float:
    """The effect in standard errors, as the normal deviate with the p-value of its t statistic.

    So bounds of normal z values hold for few units too.

    Source: Jennison & Turnbull 2000, chapter 3 (the significance level approach).
    """
    t = contrast.effect / contrast.error
    if math.isinf(contrast.freedom):
        return t
    tail = max(float(stdtr(contrast.freedom, -abs(t))), _LEAST_TAIL)
    return math.copysign(-float(ndtri(tail)), t)


def t_deviate(contrast: Contrast, z: float) -> float:
    """The inverse of `normal_deviate`: how many of the contrast's errors a normal deviate is."""
    if math.isinf(contrast.freedom) or math.isinf(z):
        return z
    return math.copysign(-float(stdtrit(contrast.freedom, max(float(ndtr(-abs(z))), _LEAST_TAIL))), z)
