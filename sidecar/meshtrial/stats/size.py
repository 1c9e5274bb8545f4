"""How many units a trial needs, and what a number of units can find.

Everywhere: alpha is two-sided, in (0, 0.5); power is in (alpha, 1); a size is the unrounded number of
units in the control arm; `ratio` is treatment units per control unit, so the treatment arm needs `ratio`
times the size.
"""

import math
from typing import Final

from scipy.optimize import brentq
from scipy.special import chdtrc, ncfdtr, ndtr, stdtrit

from meshtrial.stats.estimate import NotEstimable, require_alpha, require_between
from meshtrial.stats.size_rates import LEAST_EFFECT, RATIO, Rates

_STANDARDISED: Final = (1e-6, 1e3)
"""Effects in standard deviations that a size can be computed for."""
_MOST_UNITS: Final = 1e15
"""Beyond, the functions used lose their precision; nobody has as many."""
_CERTAIN: Final = 1e-17
"""A chance of missing that no double next to 1 can show."""
_PRECISION: Final = 1e-12
"""Relative precision of what is solved for."""


def proportion_power(
    baseline: float, effect: float, control_units: float, alpha: float, ratio: float = 1.0
) -> float:
    """The chance, 0..1, that the two-proportion z test finds a true effect.

    The test's variance is pooled under no effect, and each arm's own under the effect. Both tails
    count, as with `strict = TRUE` in R: a significant result of the wrong sign is counted too, which
    matters only where the power is near alpha.

    Args:
        baseline: The control's true proportion, in (0, 1).
        effect: Treatment minus control, not 0; 0.02 is two percentage points.
        control_units: Units in the control arm, above 0.
        alpha: Two-sided error rate.
        ratio: Treatment units per control unit.

    Raises:
        ValueError: A parameter is out of range.

    Source: R, stats::power.prop.test.
    """
    return Rates(baseline, effect, ratio).power(control_units, alpha)


def proportion_size(baseline: float, effect: float, alpha: float, power: float, ratio: float = 1.0) -> float:
    """Units in the control arm from which on `proportion_power` is at least `power`.

    12% against 14% at alpha 0.05 and power 0.8 take 4,437.4, so 4,438 units in each arm.

    The closed form, which counts the near tail alone as R does by default: the published sizes are of
    this kind. The far tail would save 2 of 752,703 units.

    Raises:
        ValueError: A parameter is out of range, or the arms are so unequal that the approximation
            reaches `power` with no units at all.

    Source: R, stats::power.prop.test.
    """
    return Rates(baseline, effect, ratio).size(alpha, power)


def minimum_effect(baseline: float, units_per_arm: float, alpha: float, power: float) -> float | NotEstimable:
    """The smallest increase of a proportion that two equal arms find with the power asked for.

    From 12%, 1,800 units an arm find 3.2 percentage points (0.032) at alpha 0.05 and power 0.8.

    Raises:
        ValueError: A parameter is out of range.
    """
    require_between("baseline", baseline, 0, 1)
    require_between("units_per_arm", units_per_arm, 0, math.inf)
    require_alpha(alpha)
    require_between("power", power, alpha, 1)

    def missing(effect: float) -> float:
        return Rates(baseline, effect).power(units_per_arm, alpha) - power

    least, most = LEAST_EFFECT, (1 - baseline) * (1 - _PRECISION)
    if missing(most) < 0:
        return NotEstimable(f"{units_per_arm:g} units an arm are too few to find even a rise to 100%")
    if missing(least) >= 0:
        return least
    return float(brentq(missing, least, most, xtol=_PRECISION * _PRECISION, rtol=_PRECISION))


def mean_power(sd: float, effect: float, control_units: float, alpha: float, ratio: float = 1.0) -> float:
    """The chance, 0..1, that a t test of two means finds a true effect; both tails count.

    Args:
        sd: Standard deviation of a unit's value, the same in both arms, in the metric's unit.
        effect: Treatment minus control, not 0, in the metric's unit.
        control_units: Units in the control arm; each arm needs 2 for a variance.
        alpha: Two-sided error rate.
        ratio: Treatment units per control unit.

    Raises:
        ValueError: A parameter is out of range.

    Source: R, pwr::pwr.t.test: the noncentral t distribution.
    """
    standardised = _require_means(sd, effect, alpha, ratio)
    least = _least_units(ratio)
    if not least <= control_units <= _MOST_UNITS:
        bounds = f"at least {least:g}, for 2 in each arm, and at most {_MOST_UNITS:g}"
        raise ValueError(f"control_units must be {bounds}, not {control_units:g}")
    return _mean_power(standardised, control_units, alpha, ratio)


def mean_size(sd: float, effect: float, alpha: float, power: float, ratio: float = 1.0) -> float:
    """Units in the control arm for which `mean_power` is `power`, at least 2 in each arm.

    Raises:
        ValueError: A parameter is out of range.

    Source: R, pwr::pwr.t.test.
    """
    standardised = _require_means(sd, effect, alpha, ratio)
    require_between("power", power, alpha, 1)

    def missing(units: float) -> float:
        return _mean_power(standardised, units, alpha, ratio) - power

    least = enough = _least_units(ratio)
    if missing(least) >= 0:
        return least
    while missing(enough) < 0:
        enough *= 2
    return float(brentq(missing, enough / 2, enough, xtol=_PRECISION, rtol=_PRECISION))


def round_up(units: float) -> int:
    """Whole units: the least number that gives the power asked for."""
    return math.ceil(units)


def duration_days(units_total: float, units_per_day: float) -> float:
    """Days until all arms together have their units, unrounded; an outcome's window comes on top.

    Args:
        units_total: Units of all arms.
        units_per_day: New units a day that take part, above 1e-6: a unit that comes back is not new.

    Raises:
        ValueError: A parameter is out of range.
    """
    require_between("units_total", units_total, 0, math.inf)
    require_between("units_per_day", units_per_day, 1e-6, math.inf)
    return units_total / units_per_day


def _mean_power(standardised: float, control_units: float, alpha: float, ratio: float) -> float:
    """Both tails of the noncentral t at once: its square is a noncentral F with 1 and its own freedom."""
    freedom = control_units * (1 + ratio) - 2
    shift = standardised * math.sqrt(control_units / (1 + 1 / ratio))
    bar = -float(stdtrit(freedom, alpha / 2))
    # To miss, the normal part of t or its denominator must be this far off. Where neither can be, the
    # power is 1 to the last digit, and the function below, which has no value so far out, is not asked.
    if ndtr(-shift / 2) + chdtrc(freedom, freedom * (shift / (2 * bar)) ** 2) < _CERTAIN:
        return 1.0
    return float(1 - ncfdtr(1, freedom, shift * shift, bar * bar))


def _least_units(ratio: float) -> float:
    return 2 * max(1.0, 1 / ratio)


def _require_means(sd: float, effect: float, alpha: float, ratio: float) -> float:
    """The effect in standard deviations, above 0."""
    require_between("sd", sd, 0, math.inf)
    require_between("ratio", ratio, *RATIO)
    require_alpha(alpha)
    standardised = abs(effect) / sd
    require_between("effect in standard deviations", standardised, *_STANDARDISED)
    return standardised
