"""What looking more than once costs: largest and expected sizes as shares of a trial with one look.

Computed by recursive integration (`stats.integration`), not by simulation.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from meshtrial.plan.inference import Boundary, Shape
from meshtrial.stats.estimate import require_alpha, require_between
from meshtrial.stats.group_sequential_size import Planned, schedule
from meshtrial.stats.integration import Floats, crossing
from meshtrial.stats.sequence import sequence_critical


@dataclass(frozen=True, slots=True)
class Looks:
    """Planned looks, and what happens at them; every array of shape (looks,)."""

    times: tuple[float, ...]
    """As shares of the largest size, ascending, the last one 1."""
    bounds: Floats
    """Critical values of |z|."""
    floors: Floats | None
    """Futility bounds of z in the better direction; None without futility."""
    drift: float
    """Mean of z at the last look under the effect that is found with the power."""
    most: float
    """The largest size, by that of one look with the same alpha and power: 1 or more."""
    expected_without: float
    """The mean size without an effect, where every crossing ends the trial, and else the largest size."""
    expected_with: float
    """The mean size with the effect."""

    def power(self, share: float) -> float:
        """Of a trial with these looks that is as large as a share of the largest size, above 0."""
        below, above = self._left(share)
        return float(above.sum() if self.floors is not None else (below + above).sum())

    def mean_time(self, share: float) -> float:
        """When such a trial ends on average, as a share of its own largest size; 0: without an effect."""
        below, above = self._left(share)
        return _mean_time(self.times, below + above)

    def _left(self, share: float) -> tuple[Floats, Floats]:
        """Chances to stop at each look: below, above."""
        low = -self.bounds if self.floors is None else self.floors
        return crossing(self.times, low.tolist(), self.bounds.tolist(), self.drift * math.sqrt(share))


def one_look(alpha: float, power: float) -> Looks:
    """A trial that is looked at once, at its end: nothing is paid.

    Raises:
        ValueError: A parameter is out of range.
    """
    return boundary_looks(Boundary(Shape.OBRIEN_FLEMING), alpha, power, (1.0,))


def boundary_looks(
    boundary: Boundary,
    alpha: float,
    power: float,
    times: Sequence[float],
    futility: Boundary | None = None,
) -> Looks:
    """A group-sequential trial.

    Args:
        boundary: How alpha is shared out.
        alpha: Two-sided.
        power: In (alpha, 1).
        times: Of the looks, as shares of the largest size, the last one 1.
        futility: How beta is spent on giving up.

    Raises:
        ValueError: A parameter is out of range.

    Source: Jennison & Turnbull 2000, chapter 2.
    """
    planned = schedule(Planned(boundary, alpha, power, tuple(times), futility))
    return Looks(
        planned.times,
        planned.bounds,
        planned.floors,
        planned.drift,
        planned.most,
        planned.expected_without,
        planned.expected_with,
    )


def sequence_looks(alpha: float, power: float, times: Sequence[float]) -> Looks:
    """A trial under a confidence sequence, which may be looked at any time: here at these, and given up then.

    The sequence is tuned for the largest size. More looks find an effect sooner, and cost nothing: the more
    there are, the smaller is the trial. No look before the burn-in is taken, which is not counted here.

    Args:
        alpha: Two-sided, over all looks there could be.
        power: In (alpha, 1): the chance to have found the effect by the last look.
        times: Of the looks, as shares of the largest size, the last one 1.

    Raises:
        ValueError: A parameter is out of range.

    Source: Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas 2024, Annals of Statistics 52:2613 (boundary).
    """
    require_alpha(alpha)
    require_between("power", power, alpha, 1)
    if times[-1] != 1:
        raise ValueError(f"the last look must be at time 1, not {times[-1]:g}")
    bounds = sequence_critical(times, alpha, 1.0)

    def crossed(drift: float) -> Floats:
        below, above = crossing(times, (-bounds).tolist(), bounds.tolist(), drift)
        return below + above

    low, high = 1e-3, 8.0
    while crossed(high).sum() < power:
        low, high = high, 2 * high
    drift = float(brentq(lambda at: float(crossed(at).sum()) - power, low, high, xtol=1e-9))
    most = (drift / one_look(alpha, power).drift) ** 2
    without, found = (most * _mean_time(times, crossed(at)) for at in (0.0, drift))
    return Looks(tuple(times), bounds, None, drift, most, without, found)


def _mean_time(times: Sequence[float], stopped: Floats) -> float:
    """The mean time of the end, from the chances to stop at each look."""
    early = stopped[:-1]
    return float(np.dot(early, times[:-1])) + 1 - float(early.sum())
