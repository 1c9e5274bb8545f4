"""One number a unit: shifted sums that merge, and two arms contrasted by their means."""

import math
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from meshtrial.stats.contrast import Contrast, Contrasted
from meshtrial.stats.estimate import NotEstimable

METHOD: Final = "Welch t"
RESOLUTION: Final = 1e-9
"""Least variance, as a share of the mean square about the shift, that is told from rounding.

A sum of many doubles keeps about 12 of their 16 digits, so a variance at this limit keeps three. It is
reached where the mean lies 30,000 standard deviations away from the shift.
"""
_LEAST: Final = 1e-150
"""Least squared error of a difference: 1 / error^4 still is a number."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Sufficient statistics of a metric in one arm; `Moments(shift)` is the empty sample.

    Sums about a fixed shift keep their precision when merged, which plain sums of squares and merged
    variances do not where the mean is large beside the spread.

    Raises:
        ValueError: A number is not finite, or `units` or `squares` is below 0, or sums of no units
            are not 0.
    """

    shift: float
    """Near the mean, in the metric's unit; one number for the metric, the same in every sample."""
    units: int = 0
    """Randomised units, never requests."""
    total: float = 0.0
    """Sum of x - shift over the units."""
    squares: float = 0.0
    """Sum of (x - shift) squared over the units."""

    def __post_init__(self) -> None:
        for name in ("shift", "total", "squares"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name} must be finite, not {getattr(self, name)}")
        if self.units < 0 or self.squares < 0:
            raise ValueError(f"units and squares must be 0 or more, not {self.units} and {self.squares}")
        if self.units == 0 and (self.total or self.squares):
            raise ValueError(f"sums of no units must be 0, not {self.total} and {self.squares}")

    @classmethod
    def of(cls, values: npt.NDArray[np.float64], shift: float) -> Self:
        """Reduce one value for each unit: shape (units,), in the metric's unit.

        Raises:
            ValueError: A value is NaN or infinite, or too large to be squared; none is dropped.
        """
        if (bad := np.flatnonzero(~np.isfinite(values))).size:
            raise ValueError(f"values must be finite, not {values[bad[0]]} (at index {bad[0]})")
        with np.errstate(over="ignore", invalid="ignore"):
            gaps = values - shift
            return cls(shift, values.size, float(gaps.sum()), float(np.square(gaps).sum()))

    def __add__(self, other: Self) -> Self:
        """Join two samples that share no unit.

        Raises:
            ValueError: The samples have different shifts.
        """
        if self.shift != other.shift:
            raise ValueError(f"samples with different shifts do not add: {self.shift} and {other.shift}")
        units, total, squares = (
            self.units + other.units,
            self.total + other.total,
            self.squares + other.squares,
        )
        return type(self)(self.shift, units, total, squares)

    def mean(self) -> float | NotEstimable:
        """The mean, in the metric's unit."""
        if self.units == 0:
            return NotEstimable("the arm has no units")
        return self.shift + self.total / self.units

    def variance(self) -> float | NotEstimable:
        """The sample variance, divisor units - 1, in the metric's unit squared, never below 0 by rounding."""
        if self.units < 2:
            return NotEstimable(f"a variance needs 2 units or more, and the arm has {self.units}")
        return max(0.0, self.squares - self.total * (self.total / self.units)) / (self.units - 1)


def mean_contrast(control: Moments, treatment: Moments) -> Contrasted:
    """Difference of two means, each with its own variance; Satterthwaite's degrees of freedom.

    Refused where an arm has under 2 units, and where neither arm varies: a spread that cannot be told
    from rounding is taken for none (see `RESOLUTION`).

    Args:
        control: The arm compared with.
        treatment: The arm compared; no unit is in both.

    Source: Welch 1947, Biometrika 34:28; Satterthwaite 1946, Biometrics Bulletin 2:110.
    """
    spread0, spread1 = control.variance(), treatment.variance()
    if isinstance(spread0, NotEstimable):
        return NotEstimable(f"control: {spread0.reason}")
    if isinstance(spread1, NotEstimable):
        return NotEstimable(f"treatment: {spread1.reason}")
    error0, error1 = spread0 / control.units, spread1 / treatment.units
    squared_error = error0 + error1
    if squared_error <= _LEAST + RESOLUTION * (_square_about_shift(control) + _square_about_shift(treatment)):
        return NotEstimable("the values do not vary in either arm, or by no more than rounding")

    # Means about the shift: the shift itself, which may be large, never enters a sum with the effect.
    gap0, gap1 = control.total / control.units, treatment.total / treatment.units
    share = error0 / squared_error
    return Contrast(
        METHOD,
        control.shift + gap0,
        gap1 - gap0 + (treatment.shift - control.shift),
        math.sqrt(error0),
        math.sqrt(error1),
        1 / (share**2 / (control.units - 1) + (1 - share) ** 2 / (treatment.units - 1)),
        control.units,
        treatment.units,
    )


def _square_about_shift(sample: Moments) -> float:
    """What `variance() / units` would be if all of the squares were spread."""
    return sample.squares / (sample.units - 1) / sample.units
