"""The p-value, estimate and interval of a trial that stopped, in view of the looks at which it might have.

A trial that stops early stops on a good day: its plain estimate is too large, its plain p-value too small.
Results are ordered by stage instead: stopping earlier for an effect counts as more of it than stopping
later, and at one look the larger z does. A p-value is the chance of a result as far up in that order, and
estimate and limits are the effects that put that chance at 1/2, alpha/2 and 1 - alpha/2.

Source: Tsiatis, Rosner & Mehta 1984, Biometrics 40:797; Jennison & Turnbull 2000, chapter 8.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from scipy.optimize import brentq

from meshtrial.stats.integration import crossing

_PRECISION: Final = 1e-9
"""Of an effect in standard errors."""


@dataclass(frozen=True, slots=True)
class Stagewise:
    """Of a trial that stopped at some look; effects are in standard errors at that look."""

    p_value: float
    """Two-sided, of no effect."""
    median: float
    """As often too high as too low."""
    low: float
    high: float
    """Limits of the interval with confidence 1 - alpha."""


def stagewise(information: Sequence[float], bounds: Sequence[float], z: float, alpha: float) -> Stagewise:
    """Invert the chance of a result at least as high in the stage-wise order.

    Args:
        information: At each look up to the one where the trial stopped, ascending, in any unit.
        bounds: Of |z|, at the looks before that.
        z: At the look where the trial stopped, finite.
        alpha: Two-sided error rate of the interval, in (0, 0.5).
    """
    below, above = order(information, bounds, z, 0.0)
    return Stagewise(
        p_value=min(1.0, 2 * min(below, above)),
        median=_solve(lambda effect: order(information, bounds, z, effect)[1] - 0.5, z),
        low=_solve(lambda effect: order(information, bounds, z, effect)[1] - alpha / 2, z),
        high=_solve(lambda effect: alpha / 2 - order(information, bounds, z, effect)[0], z),
    )


def order(
    information: Sequence[float], bounds: Sequence[float], z: float, effect: float
) -> tuple[float, float]:
    """Chances of a result at or below, and at or above, one in the stage-wise order; they add up to 1.

    Args:
        information: As for `stagewise`.
        bounds: As for `stagewise`.
        z: As for `stagewise`.
        effect: The true effect in standard errors at the look where the trial stopped.
    """
    shares = [amount / information[-1] for amount in information]
    below, above = crossing(shares, [*(-bound for bound in bounds), z], [*bounds, z], effect)
    return float(below.sum()), float(above.sum())


def _solve(rises: Callable[[float], float], start: float) -> float:
    """The root of a rising function, from near a start."""
    step = 4.0
    low, high = start - step, start + step
    while rises(low) > 0:
        step *= 2
        low, high = low - step, low
    while rises(high) < 0:
        step *= 2
        low, high = high, high + step
    return float(brentq(rises, low, high, xtol=_PRECISION))
