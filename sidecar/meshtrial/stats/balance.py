"""Have all arms the same mix of strata? Random allocation makes it so but for chance."""

import numpy as np
import numpy.typing as npt

from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.srm import LEAST_EXPECTED, ChiSquared


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
