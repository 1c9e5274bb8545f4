"""Several numbers a unit: shifted sums of first and second order that merge."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import add
from typing import Self, TypeAlias

import numpy as np
import numpy.typing as npt

from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.moments import RESOLUTION, Moments

Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Joint:
    """Sufficient statistics of several variables of a unit in one arm; `Joint(shifts)` is the empty sample.

    What `Moments` is for one variable. All means, variances and covariances follow from it, and with them the
    variance of any linear combination, so that no method that is linear in the units needs a second pass.

    Raises:
        ValueError: A number is not finite, the sums are not as many as the shifts ask for, `units` or a sum
            of squares is below 0, or sums of no units are not 0.
    """

    shifts: tuple[float, ...]
    """Near the mean of each variable, in its unit; the same in samples to be added. One variable or more."""
    units: int = 0
    """Randomised units, never requests."""
    totals: tuple[float, ...] = ()
    """Of each variable, the sum of x - shift over the units; left out, zeros."""
    products: tuple[float, ...] = ()
    """Sums over the units of (x_i - shift_i) (x_j - shift_j), of the pairs i <= j in the order (0, 0),
    (0, 1), ..., (1, 1), ...: the upper triangle by rows. Left out, zeros."""

    def __post_init__(self) -> None:
        p = len(self.shifts)
        if p == 0:
            raise ValueError("there must be one variable or more")
        if self.units == 0:
            object.__setattr__(self, "totals", self.totals or (0.0,) * p)
            object.__setattr__(self, "products", self.products or (0.0,) * (p * (p + 1) // 2))
        if len(self.totals) != p or len(self.products) != p * (p + 1) // 2:
            counts = f"{len(self.totals)} totals and {len(self.products)} products"
            raise ValueError(f"{p} variables have {p} totals and {p * (p + 1) // 2} products, not {counts}")
        for name in ("shifts", "totals", "products"):
            if not all(map(math.isfinite, getattr(self, name))):
                raise ValueError(f"{name} must be finite, not {getattr(self, name)}")
        if self.units < 0 or any(self.products[_place(i, i, p)] < 0 for i in range(p)):
            raise ValueError(f"units and squares must be 0 or more, not {self.units} and {self.products}")
        if self.units == 0 and (any(self.totals) or any(self.products)):
            raise ValueError(f"sums of no units must be 0, not {self.totals} and {self.products}")

    @classmethod
    def of(cls, values: Array, shifts: Sequence[float]) -> Self:
        """Reduce one row for each unit.

        Args:
            values: Shape (units, variables), each variable in its unit.
            shifts: Shape (variables,).

        Raises:
            ValueError: A value is NaN or infinite, or too large to be squared; none is dropped.
        """
        if (bad := np.argwhere(~np.isfinite(values))).size:
            row, column = bad[0]
            raise ValueError(
                f"values must be finite, not {values[row, column]} (at row {row}, column {column})"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            gaps = values - np.asarray(shifts, float)
            return cls._of_sums(tuple(map(float, shifts)), len(values), gaps.sum(axis=0), gaps.T @ gaps)

    def __add__(self, other: Self) -> Self:
        """Join two samples that share no unit.

        Raises:
            ValueError: The samples have different shifts.
        """
        if self.shifts != other.shifts:
            raise ValueError(f"samples with different shifts do not add: {self.shifts} and {other.shifts}")
        return type(self)(
            self.shifts,
            self.units + other.units,
            tuple(map(add, self.totals, other.totals)),
            tuple(map(add, self.products, other.products)),
        )

    @property
    def variables(self) -> int:
        """How many numbers a unit has."""
        return len(self.shifts)

    def gaps(self) -> Array:
        """Means less shifts, shape (variables,); zeros of no units."""
        return np.array(self.totals) / max(1, self.units)

    def means(self) -> Array | NotEstimable:
        """Shape (variables,), each in its variable's unit."""
        if self.units == 0:
            return NotEstimable("the arm has no units")
        return np.array(self.shifts) + self.gaps()

    def squares(self) -> Array:
        """`products` as a symmetric matrix, shape (variables, variables)."""
        p = self.variables
        return np.array(
            [[self.products[_place(min(i, j), max(i, j), p)] for j in range(p)] for i in range(p)]
        )

    def scatter(self) -> Array:
        """Sums of products about the means rather than the shifts, shape (variables, variables)."""
        about = self.squares() - np.outer(self.totals, self.gaps())
        np.fill_diagonal(about, np.maximum(0.0, about.diagonal()))
        return about

    def covariance(self) -> Array | NotEstimable:
        """Unbiased (divided by units - 1), shape (variables, variables); symmetric."""
        if self.units < 2:
            return NotEstimable(f"a variance needs 2 units or more, and the arm has {self.units}")
        return self.scatter() / (self.units - 1)

    def linear(self, coefficients: npt.ArrayLike, origin: npt.ArrayLike = 0.0) -> Moments:
        """The moments of sum_i c_i (x_i - origin_i), as if it had been computed unit by unit.

        Where the terms cancel so far that a spread could be rounding alone, there is none (`RESOLUTION`).

        Args:
            coefficients: One a variable.
            origin: One a variable, in its unit, or one for all; near the means, no digit is lost.
        """
        mapped = self.mapped(np.atleast_2d(coefficients), origin, [0.0])
        return Moments(mapped.shifts[0], mapped.units, mapped.totals[0], mapped.products[0])

    def mapped(self, matrix: npt.ArrayLike, origin: npt.ArrayLike, values: npt.ArrayLike) -> "Joint":
        """New variables z = values + matrix (x - origin), as if they had been computed unit by unit.

        Args:
            matrix: A row for each new variable, a column for each present one.
            origin: One a present variable, or one for all.
            values: One a new variable: what it is at the origin.
        """
        a, present = np.asarray(matrix, float), self.squares()
        shifts = np.asarray(values, float) + a @ (np.array(self.shifts) - np.asarray(origin, float))
        totals, squares = a @ np.array(self.totals), a @ present @ a.T
        of_means = np.outer(totals, totals) / max(1, self.units)
        summed = (abs(a) @ abs(present) * abs(a)).sum(axis=1)
        flat = (squares - of_means).diagonal() <= RESOLUTION * summed
        squares = np.where(flat[:, None] | flat[None, :], of_means, squares)
        return Joint._of_sums(tuple(map(float, shifts)), self.units, totals, squares)

    @classmethod
    def _of_sums(cls, shifts: tuple[float, ...], units: int, totals: Array, squares: Array) -> Self:
        upper = (value for i, row in enumerate(squares.tolist()) for value in row[i:])
        return cls(shifts, units, tuple(totals.tolist()), tuple(upper))


def _place(i: int, j: int, variables: int) -> int:
    """Where the pair i <= j stands in the upper triangle by rows."""
    return i * variables - i * (i - 1) // 2 + j - i
