"""Least squares over clusters, with errors that hold when clusters are few or of very different sizes.

Units of a cluster share its row of the design, so that sums by cluster are all that is needed: every block of
the general formulas has one number a cluster in its place.
"""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from meshtrial.stats.estimate import NotEstimable

Array: TypeAlias = npt.NDArray[np.float64]

_LEAST_LEFT = 1e-9
"""Share of a cluster's own row that the other clusters must leave open, so that it has a residual."""


@dataclass(frozen=True, slots=True)
class ClusterFit:
    """A regression of units on what is one for all units of a cluster.

    For a combination c of coefficients, cluster g counts in the estimate with a_g = c' B x_g, where
    B = (sum n_g x_g x_g')^-1. Its units' residuals sum up to r_g, and its leverage is
    n_g h_g = n_g x_g' B x_g.
    """

    coefficients: Array
    """Shape (columns,)."""
    root: Array
    """Shape (columns, columns): B = root root'."""
    rows: Array
    """Design rows times `root`: shape (clusters, columns)."""
    sizes: Array
    """Shape (clusters,)."""
    residuals: Array
    """Sums over the units of each cluster: shape (clusters,)."""

    def estimate(self, combination: npt.ArrayLike) -> float:
        """The combination of coefficients, one factor a column."""
        return float(np.dot(combination, self.coefficients))

    def variance(self, combination: npt.ArrayLike) -> float:
        """CR2: sum of a_g^2 r_g^2 / (1 - n_g h_g), without bias where units are independent.

        Within a cluster the rows are equal, so the vector of ones is an eigenvector of the cluster's block
        of I - H, with eigenvalue 1 - n_g h_g; the inverse square root of the block then scales the sum of
        residuals by (1 - n_g h_g)^(-1/2).

        Source: Bell & McCaffrey 2002, Survey Methodology 28:169; Pustejovsky & Tipton 2018, Journal of
        Business & Economic Statistics 36:672.
        """
        return float(np.sum((self._weights(combination) * self.residuals) ** 2 / self._left()))

    def variance_many(self, combination: npt.ArrayLike) -> float:
        """CR1 for many clusters: sum of a_g^2 r_g^2, times G / (G - 1).

        The further factor (N - 1) / (N - columns) of some programs is left out: N units are no number of a
        ratio's denominators, and with many clusters it is 1 but for little.

        Source: Cameron & Miller 2015, Journal of Human Resources 50:317.
        """
        clusters = len(self.sizes)
        return clusters / (clusters - 1) * float(np.sum((self._weights(combination) * self.residuals) ** 2))

    def freedom(self, combination: npt.ArrayLike) -> float:
        """Satterthwaite's degrees of freedom of `variance`, where units are independent with one variance.

        The variance is a quadratic form with matrix M over clusters; its freedom is tr(M)^2 / tr(M^2), with
        M_gg = a_g^2 n_g and M_gh = -u_g u_h x_g' B x_h, u_g = a_g n_g (1 - n_g h_g)^(-1/2).

        Source: Pustejovsky & Tipton 2018, Journal of Business & Economic Statistics 36:672.
        """
        squares = self._weights(combination) ** 2
        own, shared = squares * self.sizes, squares * self.sizes**2 / self._left()
        together = self.rows.T @ (shared[:, None] * self.rows)
        beside = np.sum(together**2) - np.sum((shared * np.sum(self.rows**2, axis=1)) ** 2)
        return float(own.sum() ** 2 / (np.sum(own**2) + max(0.0, float(beside))))

    def _weights(self, combination: npt.ArrayLike) -> Array:
        """What each cluster counts with in the estimate: a_g."""
        weights: Array = self.rows @ (self.root.T @ np.asarray(combination, float))
        return weights

    def _left(self) -> Array:
        """1 - leverage of each cluster."""
        left: Array = 1 - self.sizes * np.sum(self.rows**2, axis=1)
        return left


def cluster_fit(design: Array, sums: Array, sizes: Array) -> ClusterFit | NotEstimable:
    """Fit sums by cluster: unit's value = its cluster's row times the coefficients, and an error.

    Refused where the columns do not determine the coefficients, or would not without one of the clusters.

    Args:
        design: Shape (clusters, columns).
        sums: Of the units' values, shape (clusters,).
        sizes: Units, or what else the values are averaged over: 0 or more, shape (clusters,).
    """
    weighted = np.sqrt(sizes)[:, None] * design
    scale = np.sqrt(np.sum(weighted**2, axis=0))
    if len(sizes) <= design.shape[1] or not np.all(scale > 0):
        return NotEstimable("there are too few clusters with units")
    upper = np.linalg.qr(weighted / scale, mode="r")
    if np.min(np.abs(np.diagonal(upper))) < math.sqrt(_LEAST_LEFT):
        return NotEstimable(
            "what clusters are compared by does not vary enough, or comes to the same as the arm"
        )
    root = np.linalg.solve(upper, np.diag(np.ones(len(scale)))) / scale[:, None]
    rows = design @ root
    coefficients = root @ (rows.T @ sums)
    fit = ClusterFit(coefficients, root, rows, sizes, sums - sizes * (design @ coefficients))
    if np.min(1 - sizes * np.sum(rows**2, axis=1)) < _LEAST_LEFT:
        return NotEstimable("one cluster alone determines a value, so it has no error")
    return fit
