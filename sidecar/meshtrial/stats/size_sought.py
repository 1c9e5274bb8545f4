"""An effect that a trial should find in one metric of one arm: its size, power and what it can find.

Stage: supposed -> **sought** -> size. Sizes are units in control, unrounded; looks come on top: `size_looks`.
"""

import math
from dataclasses import dataclass, replace
from typing import Final

from scipy.optimize import brentq

from meshtrial.plan.inference import MetricKind
from meshtrial.stats.clusters import LEAST_CLUSTERS, Likeness, design_effect
from meshtrial.stats.contrast import LEAST_UNITS
from meshtrial.stats.estimate import NotEstimable, require_between
from meshtrial.stats.size import mean_power, mean_size
from meshtrial.stats.size_rates import Rates
from meshtrial.stats.size_supposed import Supposed

_EDGE: Final = 1e-9
"""How near to 0% or 100% an effect is sought, as a share of the way there."""
_LARGEST: Final = 900.0
"""Standard deviations that an effect of a mean is sought among."""
_SMALLEST: Final = 2e-6
"""The same from below."""


@dataclass(frozen=True, slots=True)
class Sought:
    """What is to be found.

    The test is two-sided at alpha, or its better side, which is one-sided at alpha / 2: superiority where
    `beyond` is 0, non-inferiority where it is the margin on the worse side, and more than a given gain where
    it is on the better side.
    """

    supposed: Supposed
    effect: float
    """Treatment less control as it is expected, in the metric's unit; 0 for a guardrail."""
    beyond: float = 0.0
    """What the effect is tested against: in the metric's unit, or as a share of control's value."""
    relative: bool = False
    """Whether `beyond` is a share, above -1: then m1 - (1 + d) m0 is tested, and control's error counts."""
    ratio: float = 1.0
    """Treatment units for each of control."""
    clusters: Likeness | None = None
    """How alike units of one cluster are, where clusters are randomised."""

    @property
    def gap(self) -> float:
        """How far the effect is from what it is tested against, in the metric's unit."""
        return self.effect - self.beyond * (self.supposed.baseline if self.relative else 1.0)

    @property
    def inflation(self) -> float:
        """What clusters multiply the units with; 1 without."""
        return design_effect(self.clusters) if self.clusters is not None else 1.0

    def size(self, alpha: float, power: float) -> float:
        """Units in control for this power.

        Of a proportion by Farrington and Manning's score test, without a margin the pooled z test; of all
        else by a t test, whose degrees of freedom are those of the clusters where clusters are randomised.

        Raises:
            ValueError: A parameter is out of range.
        """
        if self._is_score_test:
            return self._rates().size(alpha, power) * (1 - self.supposed.removed)
        drawn = mean_size(self._deviation(), self.gap, alpha, power, self.ratio)
        least = LEAST_CLUSTERS * max(1.0, 1 / self.ratio) if self.clusters is not None else 0.0
        return max(least, drawn) * self._units_drawn

    def power(self, control_units: float, alpha: float) -> float | NotEstimable:
        """The chance to find the effect with one look, 0..1; refused where an arm has too few for an error.

        Raises:
            ValueError: A parameter is out of range.
        """
        if self._is_score_test:
            return self._rates().power(control_units / (1 - self.supposed.removed), alpha)
        drawn = control_units / self._units_drawn
        least, what = (LEAST_UNITS, "units") if self.clusters is None else (LEAST_CLUSTERS, "clusters")
        if drawn * min(1.0, self.ratio) < least:
            return NotEstimable(f"each arm takes {least} {what}")
        return mean_power(self._deviation(), self.gap, drawn, alpha, self.ratio)

    def detectable(self, control_units: float, alpha: float, power: float, sign: int) -> float | NotEstimable:
        """The smallest effect on one side of `beyond` that so many units find with the power.

        Args:
            control_units: Above 0.
            alpha: Two-sided.
            power: In (alpha, 1).
            sign: 1 for effects above `beyond`, -1 for those below.

        Raises:
            ValueError: A parameter is out of range.
        """
        require_between("control_units", control_units, 0, math.inf)
        start = self.effect - self.gap
        least, most = self._gaps(start, sign)

        def missing(log_gap: float) -> float:
            trial = replace(self, effect=start + sign * math.exp(log_gap))
            return math.log(trial.size(alpha, power) / control_units)

        low, high = math.log(least), math.log(most)
        if missing(high) > 0:
            return NotEstimable(f"{control_units:,.0f} units in control are too few to find any effect")
        if missing(low) < 0:
            return NotEstimable(f"{control_units:,.0f} units in control find effects too small to compute")
        return start + sign * math.exp(float(brentq(missing, low, high, xtol=1e-12)))

    @property
    def _is_score_test(self) -> bool:
        is_share = self.supposed.kind is MetricKind.PROPORTION
        return is_share and not (self.relative and self.beyond) and self.clusters is None

    def _rates(self) -> Rates:
        return Rates(self.supposed.baseline, self.effect, self.ratio, self.beyond)

    @property
    def _units_drawn(self) -> float:
        """Units of each thing that is randomised."""
        return self.clusters.size if self.clusters is not None else 1.0

    def _deviation(self) -> float:
        """Standard deviation of one of what is randomised, as if both arms varied alike."""
        s = self.supposed
        v0, v1 = s.variance(s.baseline), s.variance(s.baseline + self.effect)
        factor = 1 + self.beyond if self.relative else 1.0
        both = (factor**2 * v0 + v1 / self.ratio) / (1 + 1 / self.ratio)
        return math.sqrt(both * (1 - s.removed) * self.inflation / self._units_drawn)

    def _gaps(self, start: float, sign: int) -> tuple[float, float]:
        """The least and the largest gap worth asking for."""
        s = self.supposed
        deviation = replace(self, effect=0.0)._deviation()  # noqa: SLF001 - of another of this class
        least, most = _SMALLEST * deviation, _LARGEST * deviation
        if s.kind is MetricKind.PROPORTION:
            most = (1 - s.baseline - start if sign > 0 else s.baseline + start) * (1 - _EDGE)
        elif s.sd is None and sign < 0:  # a count whose variance goes with its value
            most = min(most, (s.baseline + start) * (1 - _EDGE))
        return least, most
