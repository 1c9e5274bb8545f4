"""Effects without a unit: how large a difference is beside the spread of units; for reading."""

import math

from meshtrial.stats.contrast import Contrast


def cohen_d(contrast: Contrast, effect: float) -> float:
    """A difference of means in standard deviations, both arms' variances pooled.

    Over strata, or where units depend on each other, the standard deviation is that which independent units
    without strata would need for the same errors.

    Args:
        contrast: Without covariates, which would take off a part of the spread. Two units in each arm.
        effect: In the metric's unit, with covariates or without.

    Source: Cohen 1988, Statistical Power Analysis for the Behavioral Sciences, chapter 2.
    """
    n0, n1 = contrast.control_units, contrast.treatment_units
    squares = contrast.control_error**2 * n0 * (n0 - 1) + contrast.treatment_error**2 * n1 * (n1 - 1)
    return effect / math.sqrt(squares / (n0 + n1 - 2))


def cohen_h(control: float, treatment: float) -> float:
    """Difference of two proportions on the scale 2 arcsin(sqrt(p)), where a unit's variance is 1 for any p.

    Args:
        control: Its proportion; what covariates moved out of 0..1 counts as the nearer end.
        treatment: The same.

    Source: Cohen 1988, Statistical Power Analysis for the Behavioral Sciences, chapter 6.
    """
    p0, p1 = (min(1.0, max(0.0, p)) for p in (control, treatment))
    return 2 * (math.asin(math.sqrt(p1)) - math.asin(math.sqrt(p0)))
