"""Two proportions, and a difference that they are tested against: size and power of the score test.

As in `size`: alpha is two-sided, and a size is the unrounded number of units in the control arm.
"""

import math
from dataclasses import dataclass
from typing import Final

from scipy.special import ndtr, ndtri

from meshtrial.stats.estimate import require_alpha, require_between
from meshtrial.stats.score import constrained_rates

RATIO: Final = (1e-6, 1e6)
"""Treatment units per control unit: beyond, one arm is too small for any approximation here."""
LEAST_EFFECT: Final = 1e-12
"""Doubles near 1 tell no smaller differences apart."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What two arms truly have, and what is tested.

    Under what is tested, the variance is that of the likeliest rates with that difference: without a
    difference, the pooled rate. Under the true rates it is each arm's own.

    Raises:
        ValueError: A parameter is out of range.

    Source: R, stats::power.prop.test, where `beyond` is 0; else Farrington & Manning 1990, Statistics in
    Medicine 9:1447.
    """

    baseline: float
    """Control's true proportion, in (0, 1)."""
    effect: float
    """Treatment minus control, not `beyond`; 0.02 is two percentage points."""
    ratio: float = 1.0
    """Treatment units per control unit."""
    beyond: float = 0.0
    """The difference that is tested, in (-1, 1): -0.01 for non-inferiority by a point."""

    def __post_init__(self) -> None:
        require_between("baseline", self.baseline, 0, 1)
        require_between("ratio", self.ratio, *RATIO)
        require_between("beyond", self.beyond, -1, 1)
        if not abs(self.effect - self.beyond) >= LEAST_EFFECT:
            off = f" of {self.beyond:g}" if self.beyond else ""
            raise ValueError(f"effect must be at least {LEAST_EFFECT:g} either way{off}, not {self.effect:g}")
        require_between("baseline plus effect", self.baseline + self.effect, 0, 1)

    def power(self, control_units: float, alpha: float) -> float:
        """The chance, 0..1, that the difference tested is rejected, on either side.

        Raises:
            ValueError: A parameter is out of range.
        """
        require_between("control_units", control_units, 0, math.inf)
        require_alpha(alpha)
        null, own = self._deviations()
        bar = -float(ndtri(alpha / 2)) * null
        shift = abs(self.effect - self.beyond) * math.sqrt(control_units)
        return float(ndtr((shift - bar) / own) + ndtr((-shift - bar) / own))

    def size(self, alpha: float, power: float) -> float:
        """Units in control: the closed form, which counts the near tail alone.

        To show that an arm as good as control's 12% is not worse by a point takes 16,589.1 at alpha 0.05 and
        power 0.8.

        Raises:
            ValueError: A parameter is out of range, or the arms are so unequal that the approximation
                reaches `power` with no units at all.
        """
        require_alpha(alpha)
        require_between("power", power, alpha, 1)
        null, own = self._deviations()
        reach = float(ndtri(power)) * own - float(ndtri(alpha / 2)) * null
        if reach <= 0:
            raise ValueError(
                f"no size can be computed for ratio {self.ratio:g}: arms are too unequal to approximate"
            )
        return (reach / (self.effect - self.beyond)) ** 2

    def _deviations(self) -> tuple[float, float]:
        """Standard deviations of the difference for one control unit: as tested, and each arm's own."""
        ratio, treated = self.ratio, self.baseline + self.effect
        if self.beyond:
            rate0, rate1 = constrained_rates(self.baseline, treated, 1.0, ratio, self.beyond)
        else:
            rate0 = rate1 = (self.baseline + ratio * treated) / (1 + ratio)
        null = rate0 * (1 - rate0) + rate1 * (1 - rate1) / ratio
        own = self.baseline * (1 - self.baseline) + treated * (1 - treated) / ratio
        return math.sqrt(null), math.sqrt(own)
