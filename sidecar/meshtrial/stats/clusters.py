"""Arms given to whole clusters (groups, tenants, regions), whose units are alike and so tell less.

Stage: sums by cluster -> **contrast** -> difference.
"""

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from meshtrial.stats.cluster_regression import Array, ClusterFit, cluster_fit
from meshtrial.stats.contrast import Contrast, Contrasted
from meshtrial.stats.estimate import NotEstimable

FEW: Final = "cluster-robust CR2"
MANY: Final = "cluster-robust CR1"
LEAST_CLUSTERS: Final = 4
"""In each arm, from which on an error is given."""
MANY_CLUSTERS: Final = 40
"""In each arm, from which on the large-sample CR1 takes the place of CR2, where it is right."""
BALANCED: Final = 0.5
"""Satterthwaite's degrees of freedom as a share of all clusters less one, from which on CR1 is right.

At 40 against 400 clusters, or where few make up most of an arm, CR1 errs in 7% to 9% of trials without an
effect rather than in 5%.
"""
_ROUNDING: Final = 1e-12
"""An error is told from rounding where it is more than this share of the values."""


@dataclass(frozen=True, slots=True)
class Clusters:
    """Sums of one arm by cluster; no cluster is in two arms.

    Raises:
        ValueError: The shapes differ, a number is not finite, or a size is below 0.
    """

    sums: Array
    """Of the metric over each cluster's units, of a ratio of its numerators: shape (clusters,)."""
    sizes: Array
    """What the sums are divided by: units, or the sums of a ratio's denominators: shape (clusters,)."""
    covariates: Array = field(default_factory=lambda: np.empty((0, 0)))
    """What clusters were like before their exposure: shape (clusters, covariates), any units; or empty."""

    def __post_init__(self) -> None:
        if self.sums.ndim != 1 or self.sizes.shape != self.sums.shape:
            raise ValueError(
                f"sums and sizes must be one a cluster, not {self.sums.shape}, {self.sizes.shape}"
            )
        if self.covariates.size and self.covariates.shape[0] != len(self.sums):
            raise ValueError(f"covariates must have {len(self.sums)} rows, not {self.covariates.shape[0]}")
        for name in ("sums", "sizes", "covariates"):
            if not np.all(np.isfinite(getattr(self, name))):
                raise ValueError(f"{name} must be finite")
        if np.any(self.sizes < 0):
            raise ValueError("sizes must be 0 or more")

    @property
    def counted(self) -> int:
        """Clusters with a size above 0."""
        return int(np.count_nonzero(self.sizes))


def cluster_contrast(control: Clusters, treatment: Clusters) -> Contrasted:
    """Difference of two arms' means (or ratios of sums), clusters of an arm being its independent draws.

    Where an arm has under `MANY_CLUSTERS`, or arms or sizes are uneven (`BALANCED`), CR2 with Satterthwaite's
    degrees of freedom; else CR1 with those of all clusters less one. Without covariates CR2's variance of an
    arm is the sum of (r_g / N)^2 / (1 - n_g / N), with r_g = sum - size x mean, n_g the size, N all sizes.

    The units of the contrast are clusters: that many were randomised, and that is what a plan's size counts.
    One of size 0 is none of them, though its sum is counted.

    Covariates are columns of the same regression, as CUPED's are, and the arms' values are those at their
    common mean. Slopes cost degrees of freedom. The arms' errors, dependent then, are scaled so that together
    they are the effect's.

    Refused where an arm has under `LEAST_CLUSTERS`, or one cluster is as good as the whole of it, and where
    clusters' means do not vary.

    Args:
        control: The arm compared with.
        treatment: The arm compared.

    Raises:
        ValueError: The arms have not as many covariates.
    """
    counts = control.counted, treatment.counted
    for arm, count in zip(("control", "treatment"), counts, strict=True):
        if count < LEAST_CLUSTERS:
            return NotEstimable(f"the {arm} arm has {count} clusters, and it takes {LEAST_CLUSTERS}")
    sums, sizes = (
        np.concatenate([control.sums, treatment.sums]),
        np.concatenate([control.sizes, treatment.sizes]),
    )
    centre = float(sums.sum() / sizes.sum())
    fit = cluster_fit(_design(control, treatment, sizes), sums - sizes * centre, sizes)
    if isinstance(fit, NotEstimable):
        return fit
    others = (0.0,) * (len(fit.coefficients) - 2)
    of_control, of_treatment, of_effect = (1.0, 0.0, *others), (0.0, 1.0, *others), (-1.0, 1.0, *others)
    freedom, most = fit.freedom(of_effect), sum(counts) - 1
    many = min(counts) >= MANY_CLUSTERS and freedom >= BALANCED * most
    errors = [_error(fit, combination, many=many) for combination in (of_control, of_treatment, of_effect)]
    if errors[2] <= _ROUNDING * (abs(centre) + float(np.max(np.abs(fit.coefficients[:2])))):
        return NotEstimable("the clusters' means do not vary in either arm, or by no more than rounding")
    scale = errors[2] / math.hypot(errors[0], errors[1])
    return Contrast(
        (MANY if many else FEW) + (", adjusted for covariates" if others else ""),
        centre + fit.estimate(of_control),
        fit.estimate(of_effect),
        scale * errors[0],
        scale * errors[1],
        most if many else freedom,
        *counts,
    )


def _error(fit: ClusterFit, combination: tuple[float, ...], *, many: bool) -> float:
    return math.sqrt(fit.variance_many(combination) if many else fit.variance(combination))


def _design(control: Clusters, treatment: Clusters, sizes: Array) -> Array:
    """A column an arm, and the covariates about their common mean, so that arms are compared there."""
    treated = np.repeat([0.0, 1.0], [len(control.sums), len(treatment.sums)])
    arms = np.column_stack([1 - treated, treated])
    widths = [arm.covariates.shape[1] if arm.covariates.size else 0 for arm in (control, treatment)]
    if widths[0] != widths[1]:
        raise ValueError(f"both arms must have the same covariates, not {widths[0]} and {widths[1]}")
    if not widths[0]:
        return arms
    covariates = np.concatenate([control.covariates, treatment.covariates])
    return np.column_stack([arms, covariates - np.average(covariates, axis=0, weights=sizes)])


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike units of a cluster are, within arms."""

    icc: float
    """Intraclass correlation: share of the units' variance that is between clusters, at most 1. Below 0
    where clusters happen to differ by less than chance would make them."""
    size: float
    """Mean units of a cluster."""
    size_variation: float
    """Standard deviation of the clusters' sizes as a share of their mean."""


def likeness(control: Clusters, treatment: Clusters, within: float) -> Likeness | NotEstimable:
    """Intraclass correlation by analysis of variance, both arms' clusters about their own arm's mean.

    Args:
        control: Sums of a mean, not a ratio; sizes are units.
        treatment: The same.
        within: Sum of squares of all units about their own cluster's mean, in the metric's unit squared.

    Raises:
        ValueError: `within` is below 0 or not finite.

    Source: Donner & Koval 1980, Biometrics 36:19 (the analysis-of-variance estimator for unequal sizes).
    """
    if not 0 <= within < math.inf:
        raise ValueError(f"within must be finite and 0 or more, not {within}")
    arms = [(arm.sums[arm.sizes > 0], arm.sizes[arm.sizes > 0]) for arm in (control, treatment)]
    clusters, units = sum(len(sizes) for _, sizes in arms), sum(float(sizes.sum()) for _, sizes in arms)
    if min(len(sizes) for _, sizes in arms) < 1 or clusters < 3:
        return NotEstimable("there are too few clusters to tell how they differ")
    if units <= clusters:
        return NotEstimable("no cluster has two units, so nothing tells how alike they are")
    between = sum(float(np.sum((s - n * (s.sum() / n.sum())) ** 2 / n)) for s, n in arms) / (clusters - 2)
    typical = (units - sum(float(np.sum(n**2) / n.sum()) for _, n in arms)) / (clusters - 2)
    inside = within / (units - clusters)
    if between + inside == 0:
        return NotEstimable("the values do not vary")
    every = np.concatenate([sizes for _, sizes in arms])
    icc = (between - inside) / (between + (typical - 1) * inside)
    return Likeness(icc, float(every.mean()), float(every.std(ddof=1) / every.mean()))


def design_effect(likeness: Likeness) -> float:
    """What the units must be multiplied with to find what independent units would; 1 or more.

    1 + ((1 + v^2) m - 1) ICC, for clusters of mean size m whose sizes vary by v; below 0 the correlation
    counts as 0. It is the mean's of units, which `cluster_contrast` compares.

    Source: Kish 1965, Survey Sampling, for equal sizes; Eldridge, Ashby & Kerry 2006,
    International Journal of Epidemiology 35:1292.
    """
    return 1 + max(0.0, ((1 + likeness.size_variation**2) * likeness.size - 1) * max(0.0, likeness.icc))
