"""Were the arms alike before anybody met them? Random allocation makes them so but for chance."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from meshtrial.stats.estimate import NotEstimable, require_alpha
from meshtrial.stats.fixed import fixed_p_value
from meshtrial.stats.moments import Moments, mean_contrast
from meshtrial.stats.srm import LEAST_EXPECTED, ChiSquared

ALPHA: Final = 0.001
"""Error rate over all covariates: a false alarm takes a trial's verdict away, so it must be rare."""


@dataclass(frozen=True, slots=True)
class Balance:
    """One covariate in two arms."""

    standardised: float
    """Treatment's mean less control's, in standard deviations: the root of the mean of both arms' variances.
    Below 0.1 either way is taken for small (Austin 2009, Statistics in Medicine 28:3083)."""
    p_value: float
    """Two-sided, of equal means, times the number of covariates, at most 1 (Bonferroni)."""
    alarming: bool
    """Whether the p-value is below the alpha asked for."""


def covariate_balance(
    arms: Mapping[str, tuple[Moments, Moments]], alpha: float = ALPHA
) -> dict[str, Balance | NotEstimable]:
    """Compare what was measured before the exposure.

    A covariate that cannot be compared does not count in the correction for their number.

    Args:
        arms: By covariate, control's and treatment's moments over what was randomised: units, or the means
            of clusters.
        alpha: Error rate over all covariates, in (0, 0.5).

    Raises:
        ValueError: `alpha` is out of range.
    """
    require_alpha(alpha)
    contrasts = {name: mean_contrast(control, treatment) for name, (control, treatment) in arms.items()}
    tested = sum(not isinstance(contrast, NotEstimable) for contrast in contrasts.values())
    found: dict[str, Balance | NotEstimable] = {}
    for name, contrast in contrasts.items():
        if isinstance(contrast, NotEstimable):
            found[name] = contrast
            continue
        variances = (
            contrast.control_units * contrast.control_error**2,
            contrast.treatment_units * (contrast.treatment_error**2),
        )
        p_value = min(1.0, tested * fixed_p_value(contrast))
        spread = math.sqrt(sum(variances) / 2)
        found[name] = Balance(contrast.effect / spread, p_value, p_value < alpha)
    return found


def strata_balance(counts: npt.NDArray[np.int64]) -> ChiSquared | NotEstimable:
    """Pearson's test that all arms have the same mix of strata, whatever their sizes are.

    Strata in which some arm should have under 5 units are merged: by how many units they have, never by what
    those did.

    Args:
        counts: Units, 0 or more: shape (strata, arms). An arm without units is no part of it. All strata must
            have had the same shares of arms.

    Raises:
        ValueError: The shape is another, or a count is negative.

    Source: Pearson 1900, as the documentation of scipy.stats.chi2_contingency describes it.
    """
    if counts.ndim != 2 or np.any(counts < 0):
        raise ValueError("counts must be 0 or more, a row for each stratum and a column for each arm")
    table = counts[:, counts.sum(axis=0) > 0].astype(float)
    if table.shape[1] < 2:
        return NotEstimable("a mix of strata needs two arms with units")
    arms = table.sum(axis=0) / table.sum()
    merged = _merged(table, LEAST_EXPECTED / float(arms.min()))
    if len(merged) < 2:
        return NotEstimable(f"there are no two strata in which each arm should have {LEAST_EXPECTED} units")
    expected = np.outer(merged.sum(axis=1), arms)
    statistic = float(np.sum((merged - expected) ** 2 / expected))
    return ChiSquared(statistic, (len(merged) - 1) * (len(arms) - 1))


def _merged(table: npt.NDArray[np.float64], least: float) -> npt.NDArray[np.float64]:
    """Rows with `least` units or more; those with fewer make up one, or go to the next larger one."""
    ordered = table[np.argsort(table.sum(axis=1), kind="stable")]
    sums = np.cumsum(ordered.sum(axis=1))
    small = int(np.sum(ordered.sum(axis=1) < least))
    if small and sums[small - 1] < least:
        small += 1
    if small == 0:
        return ordered
    return np.vstack([ordered[:small].sum(axis=0), ordered[small:]])
