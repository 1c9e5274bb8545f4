"""What simulated units do: sums of cells, as the store would give them.

| kind | a unit's value |
|---|---|
| proportion | 1 or 0 |
| mean | normal, or lognormal where asked for |
| count | Poisson, or negative binomial where it varies more |
| ratio | a denominator of 1 and more, of mean `DENOMINATOR`, and a numerator: the ratio of it, and noise |
| quantile | normal: an arm's quantile is nearly the mean of how far each unit moves it |

Metrics of a unit are drawn independently. A covariate correlates with the value, and no arm changes it.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from meshtrial.plan.inference import Metric, MetricKind
from meshtrial.stats.joint import Array, Joint
from meshtrial.stats.size_supposed import Supposed

DENOMINATOR: Final = 5.0
"""Mean of a ratio's denominator: 1 and a Poisson number."""
_ROUNDING: Final = 1e-9
"""A count's variance is that of Poisson's where it is no further off, as a share."""

Integers: TypeAlias = npt.NDArray[np.int64]


class Shape(StrEnum):
    """How the values of a mean are distributed."""

    NORMAL = "normal"
    LOGNORMAL = "lognormal"


@dataclass(frozen=True, slots=True)
class Values:
    """A metric and how its values are drawn.

    Raises:
        ValueError: No such values can be drawn.
    """

    metric: Metric
    supposed: Supposed
    shape: Shape = Shape.NORMAL

    def __post_init__(self) -> None:
        kind, supposed = self.metric.kind, self.supposed
        if self.shape is Shape.LOGNORMAL and (kind is not MetricKind.MEAN or supposed.baseline <= 0):
            raise ValueError(f"{self.metric.id}: only a mean above 0 has lognormal values")
        if kind is MetricKind.COUNT:
            if supposed.baseline <= 0:
                raise ValueError(f"{self.metric.id}: a count is drawn above 0")
            if supposed.variance(supposed.baseline) < supposed.baseline * (1 - _ROUNDING):
                raise ValueError(f"{self.metric.id}: counts that vary less than Poisson's are not drawn")

    def draw(self, value: float, units: Integers, chance: np.random.Generator) -> list[Joint]:
        """Sums of each cell.

        Args:
            value: The metric's true value in the arm.
            units: Of each cell, 1 or more: shape (cells,).
            chance: Where the draws come from.

        Raises:
            ValueError: The metric cannot have the value.
        """
        kind, variance = self.metric.kind, self.supposed.variance(value)
        if not self.metric.covariates:
            if kind is MetricKind.PROPORTION:
                had = chance.binomial(units, value).astype(float).tolist()
                return [Joint((0.0,), n, (s,), (s,)) for n, s in zip(units.tolist(), had, strict=True)]
            if kind is MetricKind.QUANTILE or (kind is MetricKind.MEAN and self.shape is Shape.NORMAL):
                return self._normal(value, math.sqrt(variance), units, chance)
        rows = self._rows(value, variance, int(units.sum()), chance)
        shifts = self._shifts(rows.shape[1])
        gaps = rows - np.array(shifts)
        one, other = np.triu_indices(len(shifts))
        starts = np.cumsum(units) - units
        totals = np.add.reduceat(gaps, starts, axis=0).tolist()
        products = np.add.reduceat(gaps[:, one] * gaps[:, other], starts, axis=0).tolist()
        return [
            Joint(shifts, n, tuple(total), tuple(product))
            for n, total, product in zip(units.tolist(), totals, products, strict=True)
        ]

    def _normal(self, value: float, sd: float, units: Integers, chance: np.random.Generator) -> list[Joint]:
        """Sum and sum of squares of normal values: independent, normal and chi-squared."""
        shift = self.supposed.baseline
        totals = units * (value - shift) + sd * np.sqrt(units) * chance.standard_normal(len(units))
        squares = totals**2 / units
        several = units > 1
        squares[several] += sd**2 * chance.chisquare(units[several] - 1)
        return [
            Joint((shift,), n, (total,), (square,))
            for n, total, square in zip(units.tolist(), totals.tolist(), squares.tolist(), strict=True)
        ]

    def _shifts(self, variables: int) -> tuple[float, ...]:
        """Of the metric's own variables near their means; a proportion's is 0, covariates' too."""
        baseline = self.supposed.baseline
        if self.metric.kind is MetricKind.RATIO:
            return (baseline * DENOMINATOR, DENOMINATOR) * (variables // 2)
        own = 0.0 if self.metric.kind is MetricKind.PROPORTION else baseline
        return (own, *(0.0,) * (variables - 1))

    def _rows(self, value: float, variance: float, units: int, chance: np.random.Generator) -> Array:
        """A row for each unit, in the order of `variables.variables_of`."""
        if self.metric.kind is MetricKind.RATIO:
            return self._ratio_rows(value, math.sqrt(variance), units, chance)
        own = self._own(value, variance, units, chance)
        noise = chance.standard_normal((units, len(self.metric.covariates)))
        if noise.shape[1]:
            explained = self.supposed.removed
            noise[:, 0] *= math.sqrt(1 - explained)
            noise[:, 0] += math.sqrt(explained / variance) * (own - value)
        return np.column_stack([own, noise])

    def _own(self, value: float, variance: float, units: int, chance: np.random.Generator) -> Array:
        match self.metric.kind:
            case MetricKind.PROPORTION:
                return (chance.random(units) < value).astype(float)
            case MetricKind.COUNT if variance <= value * (1 + _ROUNDING):
                return chance.poisson(value, units).astype(float)
            case MetricKind.COUNT:
                shape = value * value / (variance - value)
                return chance.negative_binomial(shape, shape / (shape + value), units).astype(float)
            case MetricKind.MEAN if self.shape is Shape.LOGNORMAL:
                spread = math.log1p(variance / value**2)
                return chance.lognormal(math.log(value) - spread / 2, math.sqrt(spread), units)
        return chance.normal(value, math.sqrt(variance), units)

    def _ratio_rows(self, value: float, sd: float, units: int, chance: np.random.Generator) -> Array:
        """Numerator and denominator; with a covariate both before the exposure as well, at the baseline."""
        explained = self.supposed.removed
        sizes = 1.0 + chance.poisson(DENOMINATOR - 1, (units, 2))
        noise = chance.standard_normal((units, 2))
        now = value * sizes[:, 0] + sd * DENOMINATOR * noise[:, 0]
        if not self.metric.covariates:
            return np.column_stack([now, sizes[:, 0]])
        mixed = math.sqrt(explained) * noise[:, 0] + math.sqrt(1 - explained) * noise[:, 1]
        before = self.supposed.baseline * sizes[:, 1] + sd * DENOMINATOR * mixed
        return np.column_stack([now, sizes[:, 0], before, sizes[:, 1]])
