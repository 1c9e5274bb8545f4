"""One look, at a size set beforehand."""

import math

from scipy.special import ndtr, ndtri, stdtr, stdtrit

from meshtrial.stats.contrast import Contrast, Contrasted, difference
from meshtrial.stats.estimate import Comparison, NotEstimable, require_alpha


def fixed(contrast: Contrasted, alpha: float) -> Comparison:
    """Student's t with the contrast's degrees of freedom, normal where they are infinite.

    Args:
        contrast: What is not estimable stays so.
        alpha: Two-sided error rate of the interval, in (0, 0.5).

    Raises:
        ValueError: `alpha` is out of range.
    """
    require_alpha(alpha)
    if isinstance(contrast, NotEstimable):
        return contrast
    return difference(contrast, fixed_critical(contrast, alpha), fixed_p_value(contrast))


def fixed_critical(contrast: Contrast, alpha: float) -> float:
    """Half the width of the interval with two-sided error rate `alpha`, in standard errors."""
    if math.isinf(contrast.freedom):
        return -float(ndtri(alpha / 2))
    return -float(stdtrit(contrast.freedom, alpha / 2))


def fixed_p_value(contrast: Contrast) -> float:
    """Two-sided, of no effect."""
    z = -abs(contrast.effect) / contrast.error
    return float(2 * (ndtr(z) if math.isinf(contrast.freedom) else stdtr(contrast.freedom, z)))
