"""Normal mixture: evidence against no drift in a sum that is looked at as often as one likes.

The sum has a known variance at each look, in any unit of time. Mixed over a normal prior of its drift, the
likelihood ratio against no drift is an e-process: without a drift it ever reaches 1 / alpha with a chance of
at most alpha. Where each unit adds a normal difference, it is the mixture sequential probability ratio test.

Source: Robbins 1970, Annals of Mathematical Statistics 41:1397; Howard, Ramdas, McAuliffe & Sekhon 2021,
Annals of Statistics 49:1055 (boundaries, tuning, the one-sided form).
"""

import math
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr

from meshtrial.stats.estimate import require_alpha, require_between
from meshtrial.stats.integration import Floats

Sides: TypeAlias = Literal[1, 2]
"""2: a drift either way; 1: a drift upwards."""

_STEPS: Final = 12
"""Of Newton's iteration, which doubles the right digits with each."""
_LOG_SQRT_2PI: Final = 0.5 * math.log(2 * math.pi)


def tuned_rho(variance: float, alpha: float, sides: Sides = 2) -> float:
    """The prior's precision for which the boundary is nearly the least it can be at one variance.

    Args:
        variance: Of the sum where the boundary is to be tightest, above 0.
        alpha: Error rate over all sides, in (0, 0.5).
        sides: As in the boundary.

    Returns:
        In the variance's unit, above 0.

    Raises:
        ValueError: A parameter is out of range.
    """
    require_alpha(alpha)
    require_between("variance", variance, 0, math.inf)
    evidence = -2 * math.log(alpha if sides == 2 else 2 * alpha)
    return variance / (evidence + math.log1p(evidence))


def log_e(total: npt.ArrayLike, variance: npt.ArrayLike, rho: float, sides: Sides = 2) -> Floats:
    """Logarithm of the e-value of a sum; `total` and `variance` broadcast.

    Args:
        total: The sum, in any unit.
        variance: Its variance, 0 or more, in that unit squared.
        rho: The prior's precision, above 0, in the variance's unit; the same at every look.
        sides: Whether a drift either way is evidence, or one upwards alone.
    """
    whole = np.asarray(variance, np.float64) + rho
    scaled = np.asarray(total, np.float64) / np.sqrt(whole)
    two_sided = 0.5 * (np.log(rho / whole) + scaled * scaled)
    return np.asarray(two_sided if sides == 2 else two_sided + math.log(2) + log_ndtr(scaled))


def boundary(variance: npt.ArrayLike, rho: float, alpha: float, sides: Sides = 2) -> Floats:
    """The sum at which its e-value is 1 / alpha: without a drift none of its looks is ever so large.

    Args:
        variance: Of the sum, 0 or more: any shape, which is the result's.
        rho: The prior's precision, above 0, in the variance's unit.
        alpha: Error rate over all sides, in (0, 0.5).
        sides: Whether the sum may cross it either way, or upwards alone.

    Raises:
        ValueError: `alpha` is out of range.
    """
    require_alpha(alpha)
    whole = np.asarray(variance, np.float64) + rho
    needed = 0.5 * np.log(whole / rho) - math.log(alpha)
    if sides == 2:
        return np.asarray(np.sqrt(2 * whole * needed))
    # The root u of u^2 / 2 + log Phi(u) = needed. That side is convex and grows, so that Newton's iteration
    # comes from above after its first step, whatever it starts from.
    needed = needed - math.log(2)
    scaled = np.sqrt(2 * needed)
    for _ in range(_STEPS):
        gap = 0.5 * scaled**2 + log_ndtr(scaled) - needed
        slope = scaled + np.exp(-0.5 * scaled**2 - _LOG_SQRT_2PI - log_ndtr(scaled))
        scaled = scaled - gap / slope
    return np.asarray(scaled * np.sqrt(whole))
