"""Two proportions tested against a difference that is not 0: the score test and its interval.

Its variance is that of the rates which are likeliest if the difference is as tested, so it holds where arms
are small or rates are near 0 or 1, and where a margin is far from the estimate.
"""

import math
from typing import Final

from scipy.optimize import brentq
from scipy.special import ndtri

from meshtrial.stats.estimate import Interval, NotEstimable, require_alpha, require_between
from meshtrial.stats.proportion import Proportion

METHOD: Final = "two-proportion score, Miettinen-Nurminen interval"
_EDGE: Final = 1e-12
"""How near to a bound rates are sought; a double near 1 tells no smaller differences apart."""


def constrained_rates(p0: float, p1: float, n0: float, n1: float, difference: float) -> tuple[float, float]:
    """The likeliest rates of control and treatment whose difference is given.

    Args:
        p0: Control's rate seen, 0..1.
        p1: The treatment's, 0..1.
        n0: Units of control, above 0; with `n1` only their ratio counts.
        n1: Units of the treatment, above 0.
        difference: Treatment less control, in (-1, 1).

    Raises:
        ValueError: `difference` is out of range.

    Source: Farrington & Manning 1990, Statistics in Medicine 9:1447, whose cubic equation is solved here by
    the sign of the likelihood's slope, which falls from one end of the range to the other.
    """
    require_between("difference", difference, -1, 1)
    low, high = max(0.0, -difference), min(1.0, 1.0 - difference)

    def slope(rate: float) -> float:
        """Of the log-likelihood in control's rate."""
        return n0 * _slope(p0, rate) + n1 * _slope(p1, rate + difference)

    edge = _EDGE * (high - low)
    if slope(low + edge) <= 0:
        return low, low + difference
    if slope(high - edge) >= 0:
        return high, high + difference
    rate = float(brentq(slope, low + edge, high - edge, xtol=1e-15, rtol=1e-14))
    return rate, rate + difference


def _slope(seen: float, rate: float) -> float:
    """Of the log-likelihood of one unit; what was not seen has no slope."""
    up = seen / max(rate, _EDGE**2) if seen else 0.0
    down = (1 - seen) / max(1 - rate, _EDGE**2) if seen < 1 else 0.0
    return up - down


def score(control: Proportion, treatment: Proportion, difference: float) -> float:
    """The estimate less a difference in standard errors: normal if true, infinite if impossible.

    Both arms must have units.

    Source: Miettinen & Nurminen 1985, Statistics in Medicine 4:213, with their factor N / (N - 1).
    """
    n0, n1 = control.units, treatment.units
    p0, p1 = control.successes / n0, treatment.successes / n1
    rate0, rate1 = constrained_rates(p0, p1, n0, n1, difference)
    variance = (rate0 * (1 - rate0) / n0 + rate1 * (1 - rate1) / n1) * (n0 + n1) / (n0 + n1 - 1)
    gap = p1 - p0 - difference
    if variance <= 0:
        return math.copysign(math.inf, gap) if gap else 0.0
    return gap / math.sqrt(variance)


def miettinen_nurminen(control: Proportion, treatment: Proportion, alpha: float) -> Interval | NotEstimable:
    """The differences that the score test does not reject.

    Args:
        control: The arm compared with.
        treatment: The arm compared; no unit is in both.
        alpha: Two-sided error rate, in (0, 0.5).

    Raises:
        ValueError: `alpha` is out of range.
    """
    require_alpha(alpha)
    for arm, sample in (("control", control), ("treatment", treatment)):
        if sample.units == 0:
            return NotEstimable(f"the {arm} arm has no units")
    z = -float(ndtri(alpha / 2))
    found = treatment.successes / treatment.units - control.successes / control.units
    ends = -1 + _EDGE, 1 - _EDGE

    def bound(end: float, sign: int) -> float:
        """Between the estimate, which passes, and an end of the range."""

        def missing(difference: float) -> float:
            return sign * score(control, treatment, difference) - z

        start = min(max(found, ends[0]), ends[1])
        return end if missing(end) < 0 else float(brentq(missing, *sorted((start, end)), xtol=1e-12))

    return Interval(bound(ends[0], 1), bound(ends[1], -1))
