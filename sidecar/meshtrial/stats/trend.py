"""Does the effect change with the days that a unit has had its arm? Novelty wears off, habits take time.

Stage: outcomes by unit and day -> **slope of each unit** -> moments by arm -> contrast of slopes.
"""

import math
from dataclasses import replace
from enum import StrEnum
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from meshtrial.stats.contrast import Contrast, Contrasted
from meshtrial.stats.estimate import Comparison, Difference, NotEstimable
from meshtrial.stats.moments import Moments, mean_contrast

Array: TypeAlias = npt.NDArray[np.float64]

METHOD: Final = "slope of the effect by day, Welch t"
LATER: Final = "late less early"


class Drift(StrEnum):
    """How an effect changes with the days since a unit's first exposure."""

    NONE = "none"
    """Not that one can tell."""
    NOVELTY = "novelty"
    """It moves towards 0, and maybe past it: units turn to what is new, or stumble over it, at first."""
    PRIMACY = "primacy"
    """It moves away from 0: units have to get used to it."""


def day_weights(days: int) -> Array:
    """What a unit's outcomes on each day since its first exposure count in its slope: shape (days,).

    A unit's slope is the sum of weight x outcome, in the metric's unit a day: least squares on the days
    0..days-1. One sum a unit is all that is needed, and units, not their days, are what an error is made of.
    All units must have had all days: those first exposed later would be missing on late days, and a change in
    the mix of units would pass for a trend.

    Raises:
        ValueError: `days` is below 2.
    """
    if days < 2:
        raise ValueError(f"days must be 2 or more, not {days}")
    gaps = np.arange(days) - (days - 1) / 2
    weights: Array = gaps / (gaps @ gaps)
    return weights


def trend_contrast(control: Moments, treatment: Moments) -> Contrasted:
    """How much the effect changes a day: treatment's mean slope less control's.

    Control's slope takes off what changes for everybody, such as a season.

    Args:
        control: Of one slope a unit (`day_weights`).
        treatment: The same.

    Source: Sadeghi, Gupta and others 2022, Technometrics (arXiv 2102.12893), which takes an effect that
    changes with the time since exposure for a difference in differences.
    """
    found = mean_contrast(control, treatment)
    return found if isinstance(found, NotEstimable) else replace(found, method=METHOD)


def later_contrast(early: Contrasted, late: Contrasted) -> Contrasted:
    """How much larger the effect is in units that came late, as a contrast whose "arms" are both effects.

    Units exposed in the first days next to those exposed later, each against control of their own days. Where
    outcomes of the same calendar days are compared, a difference is one of days since exposure.

    Args:
        early: Of the units that came first; it takes the place of control.
        late: Of other units, with the same arms, metric and window.
    """
    if isinstance(early, NotEstimable):
        return NotEstimable(f"early units: {early.reason}")
    if isinstance(late, NotEstimable):
        return NotEstimable(f"late units: {late.reason}")
    larger = max(early.error, late.error)  # of whose square a square could overflow
    errors = [((part.error / larger) ** 2, part.freedom) for part in (early, late)]
    terms = math.fsum(variance**2 / freedom for variance, freedom in errors)
    return Contrast(
        LATER,
        early.effect,
        late.effect - early.effect,
        early.error,
        late.error,
        math.fsum(variance for variance, _ in errors) ** 2 / terms if terms else math.inf,
        early.units,
        late.units,
    )


def drift(effect: float, slope: Difference, relative: Comparison) -> Drift:
    """What a slope means for an effect.

    Outcomes that become rarer, or more, with the days since exposure take the effect of a constant relative
    lift with them: that is no drift. So there is one only where the effect as a share of what the arms have
    changes too, and in the same direction. Where no share can be told, the slope counts alone.

    Args:
        effect: Over all days.
        slope: Of `trend_contrast`, at the confidence that is asked for.
        relative: Treatment's slope as a share of its values less control's as a share of its own, at the same
            confidence; of negative values with the sign turned, so that it points where the slope does.
    """
    if not _away(slope):
        return Drift.NONE
    if isinstance(relative, Difference) and not (_away(relative) and relative.effect * slope.effect > 0):
        return Drift.NONE
    return Drift.NOVELTY if effect * slope.effect < 0 else Drift.PRIMACY


def _away(found: Difference) -> bool:
    """Whether the interval leaves 0 out."""
    return not found.interval.low <= 0 <= found.interval.high
