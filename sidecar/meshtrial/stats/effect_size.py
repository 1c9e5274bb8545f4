"""Effects without a unit: how large a difference is beside the spread of units."""

import math
from dataclasses import dataclass
from typing import TypeAlias

from scipy.special import ndtri

from meshtrial.stats.estimate import Interval, NotEstimable, require_alpha
from meshtrial.stats.moments import Moments, mean_contrast
from meshtrial.stats.proportion import Proportion


@dataclass(frozen=True, slots=True)
class EffectSize:
    """For reading, not for tests."""

    value: float
    """Above 0 where the treatment's is the larger mean."""
    interval: Interval
    """Large-sample, at confidence 1 - alpha."""


Sized: TypeAlias = EffectSize | NotEstimable


def cohen_d(control: Moments, treatment: Moments, alpha: float) -> Sized:
    """Difference of means in standard deviations, both arms' variances pooled.

    Raises:
        ValueError: `alpha` is not in (0, 0.5).

    Source: Cohen 1988, Statistical Power Analysis for the Behavioral Sciences, chapter 2; the variance
    1/n0 + 1/n1 + d^2 / (2 (n0 + n1)) is Hedges & Olkin's (1985, Statistical Methods for Meta-Analysis).
    """
    require_alpha(alpha)
    contrast = mean_contrast(control, treatment)
    if isinstance(contrast, NotEstimable):
        return contrast
    n0, n1 = control.units, treatment.units
    squares = contrast.control_error**2 * n0 * (n0 - 1) + contrast.treatment_error**2 * n1 * (n1 - 1)
    d = contrast.effect / math.sqrt(squares / (n0 + n1 - 2))
    return _sized(d, 1 / n0 + 1 / n1 + d * d / (2 * (n0 + n1)), alpha)


def cohen_h(control: Proportion, treatment: Proportion, alpha: float) -> Sized:
    """Difference of two proportions on the scale 2 arcsin(sqrt(p)), where a unit's variance is 1 for any p.

    Raises:
        ValueError: `alpha` is not in (0, 0.5).

    Source: Cohen 1988, Statistical Power Analysis for the Behavioral Sciences, chapter 6.
    """
    require_alpha(alpha)
    p0, p1 = control.value(), treatment.value()
    if isinstance(p0, NotEstimable):
        return NotEstimable(f"control: {p0.reason}")
    if isinstance(p1, NotEstimable):
        return NotEstimable(f"treatment: {p1.reason}")
    h = 2 * math.asin(math.sqrt(p1)) - 2 * math.asin(math.sqrt(p0))
    return _sized(h, 1 / control.units + 1 / treatment.units, alpha)


def _sized(value: float, variance: float, alpha: float) -> EffectSize:
    half = -float(ndtri(alpha / 2)) * math.sqrt(variance)
    return EffectSize(value, Interval(value - half, value + half))
