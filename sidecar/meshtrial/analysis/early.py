"""Cells -> whether two proportions differ, while it is too early for a confidence sequence; pure."""

import math
from collections.abc import Collection, Mapping

import numpy as np

from meshtrial.analysis.cells import Cells, summed
from meshtrial.stats.joint import Joint
from meshtrial.stats.safe import safe_log_e


def early_p_value(cells: Cells, cohorts: Collection[tuple[str, str]], arms: tuple[str, str]) -> float:
    """Always-valid p-value of equal proportions, by safe e-values with each period as a block.

    Phases and cohorts have tests of their own, whose e-values multiply.

    Args:
        cells: Of a proportion.
        cohorts: Phases and cohorts that are compared.
        arms: Ids of control and treatment.
    """
    periods = sorted({key.period for key in cells})
    log_e = np.zeros(max(1, len(periods)))
    for cohort in sorted(cohorts):
        blocks = [
            summed(
                ((k, c) for k, c in cells.items() if (k.phase, k.cohort) == cohort and k.arm == arm),
                lambda key: key.period,
            )
            for arm in arms
        ]
        counts = [_counts(of_arm, period) for of_arm in blocks for period in periods]
        control, treatment = np.array(counts).reshape(2, len(periods), 2)
        log_e += safe_log_e(control[:, 0], control[:, 1], treatment[:, 0], treatment[:, 1])
    return math.exp(-max(0.0, float(log_e.max())))


def _counts(blocks: Mapping[int, Joint], period: int) -> tuple[int, int]:
    """Units, and those with the outcome."""
    block = blocks.get(period)
    return (block.units, round(block.totals[0])) if block else (0, 0)
