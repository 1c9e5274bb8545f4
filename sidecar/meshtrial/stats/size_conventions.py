"""Sizes for two proportions as other calculators compute them, to be compared with `size.proportion_size`."""

import math
from enum import StrEnum

from scipy.special import ndtri

from meshtrial.stats.size import mean_size, proportion_size


class Convention(StrEnum):
    """A formula that is in use."""

    POOLED = "pooled"
    """The one used here: the variance is pooled under no effect. R, `power.prop.test`."""
    UNPOOLED = "unpooled"
    """Each arm's own variance throughout."""
    ARCSINE = "arcsine"
    """On the scale on which all proportions vary alike, by Cohen's h. R, `pwr.2p.test`; statsmodels."""
    EVAN_MILLER = "evan_miller"
    """The baseline's variance in both arms under no effect. Evan Miller's calculator."""
    TTEST_D_BASELINE_SD = "ttest_d_baseline_sd"
    """A t test of the effect divided by the baseline's standard deviation: too few units for a rise from
    below one half, because an arm with more varies more."""


def conventional_size(
    convention: Convention, baseline: float, effect: float, alpha: float, power: float
) -> float:
    """Units in each of two equal arms, unrounded.

    Args:
        convention: The formula.
        baseline: The control's true proportion, in (0, 1).
        effect: Treatment minus control, not 0.
        alpha: Two-sided error rate.
        power: In (alpha, 1).

    Raises:
        ValueError: A parameter is out of range.

    Source: Cohen 1988, Statistical Power Analysis, chapter 6 (arcsine); Fleiss, Levin & Paik 2003,
    Statistical Methods for Rates and Proportions, chapter 4 (pooled); evanmiller.org/ab-testing.
    """
    pooled = proportion_size(baseline, effect, alpha, power)
    reach, gain = -float(ndtri(alpha / 2)), float(ndtri(power))
    treated = baseline + effect
    at_baseline, at_treated = baseline * (1 - baseline), treated * (1 - treated)
    own = math.sqrt(at_baseline + at_treated)
    match convention:
        case Convention.POOLED:
            return pooled
        case Convention.UNPOOLED:
            return ((reach + gain) * own / effect) ** 2
        case Convention.ARCSINE:
            angle = 2 * (math.asin(math.sqrt(treated)) - math.asin(math.sqrt(baseline)))
            return 2 * ((reach + gain) / angle) ** 2
        case Convention.EVAN_MILLER:
            return ((reach * math.sqrt(2 * at_baseline) + gain * own) / effect) ** 2
        case Convention.TTEST_D_BASELINE_SD:
            return mean_size(math.sqrt(at_baseline), effect, alpha, power)
