"""Cells -> whether two proportions differ, while it is too early for a confidence sequence; pure."""

import math
from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np

from meshtrial.analysis.cells import Cells, summed
from meshtrial.stats.integration import Floats
from meshtrial.stats.joint import Joint
from meshtrial.stats.safe import safe_log_e


class _Block(NamedTuple):
    """Units, and those with the outcome."""

    control: int
    control_had: int
    treatment: int
    treatment_had: int


_NOBODY = _Block(0, 0, 0, 0)


def early_p_value(cells: Cells, cohorts: Collection[tuple[str, str]], arms: tuple[str, str]) -> float:
    """Always-valid p-value of equal proportions, by safe e-values.

    A block is one period, or several until both arms have a unit: a block of one arm tells nothing. Phases
    and cohorts have blocks of their own, and their e-values multiply at each moment.

    Args:
        cells: Of a proportion.
        cohorts: Phases and cohorts that are compared.
        arms: Ids of control and treatment.
    """
    periods = sorted({key.period for key in cells})
    log_e = np.zeros(max(1, len(periods)))
    for cohort in sorted(cohorts):
        one, other = (
            summed(
                ((k, c) for k, c in cells.items() if (k.phase, k.cohort) == cohort and k.arm == arm),
                lambda key: key.period,
            )
            for arm in arms
        )
        log_e += _log_e([_block(one, other, period) for period in periods])
    return math.exp(-max(0.0, float(log_e.max())))


def _block(control: Mapping[int, Joint], treatment: Mapping[int, Joint], period: int) -> _Block:
    counts = [
        (joint.units, round(joint.totals[0])) if (joint := of_arm.get(period)) else (0, 0)
        for of_arm in (control, treatment)
    ]
    return _Block(*counts[0], *counts[1])


def _log_e(periods: list[_Block]) -> Floats:
    """Of one cohort, the logarithm of the e-value after each period."""
    blocks, complete, waiting = [], [], _NOBODY
    for period in periods:
        waiting = _Block(*(before + now for before, now in zip(waiting, period, strict=True)))
        if waiting.control and waiting.treatment:
            blocks.append(waiting)
            waiting = _NOBODY
        complete.append(len(blocks))
    if not blocks:
        return np.zeros(len(periods))
    after = safe_log_e(*np.array(blocks, float).T)
    return np.concatenate([[0.0], after])[complete]
