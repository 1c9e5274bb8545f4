"""Where a trial may be given up because its effect would hardly be missed: non-binding beta spending.

Non-binding: the bounds that a trial is won by are computed as if nobody stopped for futility, so that going
on in spite of it costs no alpha. Stopping costs power, which `group_sequential_size` makes up for.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import brentq

from meshtrial.plan.inference import Boundary
from meshtrial.stats.boundary import LEAST_SPENT
from meshtrial.stats.estimate import require_between
from meshtrial.stats.integration import REACH, Floats, Stage, require_growth
from meshtrial.stats.spending import spent

_PRECISION: Final = 1e-10
"""Of a bound."""


@dataclass(frozen=True, slots=True)
class Futility:
    """When a trial may be given up.

    Raises:
        ValueError: A parameter is out of range.
    """

    boundary: Boundary
    """A spending function."""
    power: float
    """In (0, 1); 1 - power is spent."""
    effect: float
    """What the trial should not miss, not 0; its sign is the better direction. In the contrasts' unit, or
    in standard errors where information is a share."""

    def __post_init__(self) -> None:
        require_between("power", self.power, 0, 1)
        if not (self.effect and math.isfinite(self.effect)):
            raise ValueError(f"effect must be finite and not 0, not {self.effect:g}")


def futility_bounds(
    futility: Futility, times: Sequence[float], information: Sequence[float], efficacy: Sequence[float]
) -> Floats:
    """The z values, in the better direction, at or below which a trial may stop: shape (looks,).

    If the effect is as large as supposed, no more than f(1 - power, time) of the trials stop by any time. At
    time 1 the bound is the one of efficacy: what has not been won by then is not won.

    Args:
        futility: The rule.
        times: As for `boundary.spending_bounds`.
        information: As there, in units of 1 / effect squared.
        efficacy: The bounds at which the trial is won; infinite where there is none.

    Raises:
        ValueError: A parameter is out of range.

    Source: Pampallona, Tsiatis & Kim 2001, Drug Information Journal 35:1113.
    """
    require_growth(information, repeats=True)
    bounds = np.empty(len(times))
    stage, total, before, low, high = (
        Stage.first(information[0], abs(futility.effect)),
        0.0,
        0.0,
        -np.inf,
        np.inf,
    )
    for k, (time, amount, upper) in enumerate(zip(times, information, efficacy, strict=True)):
        if amount > stage.information:
            stage, before, low = stage.after(low, high, amount), total, -np.inf
        high = upper
        target = spent(futility.boundary, 1 - futility.power, time)
        if time >= 1:
            low = high
        elif target - total >= LEAST_SPENT:
            low, total = _bound(stage, target - before, high), target
        bounds[k] = low
    return bounds


def _bound(stage: Stage, chance: float, high: float) -> float:
    """The value that trials of this stage fall short of with a chance, or `high` if it is above that."""
    centre = stage.effect * stage.information**0.5
    most = min(high, centre + REACH)
    if stage.below(most) <= chance:
        return high
    return float(
        brentq(lambda z: float(stage.below(z)) - chance, min(centre, most) - REACH, most, xtol=1e-10)
    )
