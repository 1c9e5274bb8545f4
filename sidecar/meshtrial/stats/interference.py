"""Clusters that have neighbours: what a cluster's own arm does, and what the arms around it do.

Where units of a cluster meet those of others (sellers of near regions, friends across groups), arms spill
over, and the plain difference of arms is neither effect. The exposure of a cluster is taken to be its own arm
and the share of its neighbours that are treated, and its outcome to be linear in both.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from meshtrial.stats.cluster_regression import Array, ClusterFit, cluster_fit
from meshtrial.stats.clusters import LEAST_CLUSTERS, Clusters
from meshtrial.stats.contrast import Contrast
from meshtrial.stats.estimate import Comparison, Interval, NotEstimable, require_alpha
from meshtrial.stats.fixed import fixed

METHOD: Final = "cluster regression on own arm and neighbours, CR2"
_ROUNDING: Final = 1e-12
"""Variances below this share of the values' squares are rounding."""


@dataclass(frozen=True, slots=True)
class Interference:
    """Three effects, each on a cluster that is untreated among untreated neighbours."""

    own: Comparison
    """Of its own arm, with no neighbour treated."""
    neighbours: Comparison
    """Of its neighbours' arms: all of them treated, itself not."""
    everywhere: Comparison
    """Of both: what treating everybody does beside treating nobody."""
    shares: Interval
    """Least and largest share of treated neighbours that was seen; beyond it effects are extrapolated."""


def interference(
    clusters: Clusters, treated: npt.NDArray[np.bool_], neighbours: Array, alpha: float
) -> Interference | NotEstimable:
    """Regress units on own arm and neighbours, with errors by cluster.

    Errors take clusters for independent but for this exposure; degrees of freedom are Satterthwaite's.

    Refused where an arm has under `LEAST_CLUSTERS`, and where the neighbours' share does not vary, or only
    with the own arm.

    Args:
        clusters: Of both arms; covariates are not used.
        treated: Whether a cluster is treated itself: shape (clusters,).
        neighbours: Share of its neighbours that are treated, 0..1: shape (clusters,). A cluster without
            neighbours has the share 0.
        alpha: Two-sided error rate of each interval, in (0, 0.5).

    Raises:
        ValueError: A parameter is out of range, or the shapes differ.

    Source: Aronow & Samii 2017, Annals of Applied Statistics 11:1912, for exposure mappings; for the errors
    `cluster_regression`.
    """
    require_alpha(alpha)
    if treated.shape != clusters.sums.shape or neighbours.shape != clusters.sums.shape:
        raise ValueError("there must be one arm and one share of neighbours a cluster")
    if not np.all((neighbours >= 0) & (neighbours <= 1)):
        raise ValueError("shares of neighbours must be in 0..1")
    seen = clusters.sizes > 0
    counts = int(np.sum(seen & ~treated)), int(np.sum(seen & treated))
    if min(counts) < LEAST_CLUSTERS:
        return NotEstimable(f"an arm has {min(counts)} clusters, and it takes {LEAST_CLUSTERS}")
    sizes, shares = clusters.sizes[seen], neighbours[seen]
    if np.ptp(shares) == 0:
        return NotEstimable("all clusters have the same share of treated neighbours")
    centre = float(clusters.sums.sum() / sizes.sum())
    design = np.column_stack([np.ones(len(sizes)), treated[seen].astype(float), shares])
    fit = cluster_fit(design, clusters.sums[seen] - sizes * centre, sizes)
    if isinstance(fit, NotEstimable):
        return fit
    own, around, both = (
        fixed(_contrast(fit, centre, change, counts), alpha)
        for change in ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1.0, 1.0))
    )
    return Interference(own, around, both, Interval(float(shares.min()), float(shares.max())))


def _contrast(
    fit: ClusterFit, centre: float, change: tuple[float, float, float], counts: tuple[int, int]
) -> Contrast | NotEstimable:
    """A change of the exposure from none at all; the errors of both ends make up that of the change."""
    base = (1.0, 0.0, 0.0)
    end = tuple(one + other for one, other in zip(base, change, strict=True))
    ends, variance = (fit.variance(base), fit.variance(end)), fit.variance(change)
    if variance <= (_ROUNDING * (abs(centre) + float(np.max(np.abs(fit.coefficients))))) ** 2:
        return NotEstimable("the clusters' means do not vary beyond their exposure")
    scale = variance / sum(ends)
    return Contrast(
        METHOD,
        centre + fit.estimate(base),
        fit.estimate(change),
        math.sqrt(scale * ends[0]),
        math.sqrt(scale * ends[1]),
        fit.freedom(change),
        *counts,
    )
