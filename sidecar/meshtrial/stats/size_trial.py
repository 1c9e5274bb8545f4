"""One metric of one arm in a trial: an effect, its error rates and looks together, in units of all arms.

Stage: supposed -> sought -> **sized**.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.size_looks import Looks
from meshtrial.stats.size_sought import Sought

SHARES: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
"""Of a size, the points of its curve."""


@dataclass(frozen=True, slots=True)
class Point:
    """What a number of units can find."""

    units: float
    """Of all arms."""
    power: float | NotEstimable
    """To find the effect sought."""
    detectable: float | NotEstimable
    """The effect nearest to what is tested that is found with the power asked for, in the metric's unit."""


@dataclass(frozen=True, slots=True)
class Sized:
    """What the metric needs."""

    sought: Sought
    alpha: float
    """Two-sided."""
    power: float
    """In (alpha, 1)."""
    looks: Looks
    """At this alpha and power."""
    control_share: float
    """Of the units of all arms, those in control, in (0, 1)."""

    @property
    def one_look_units(self) -> float:
        """Of all arms, unrounded, were the trial looked at once."""
        return self.sought.size(self.alpha, self.power) / self.control_share

    @property
    def units(self) -> float:
        """Of all arms, unrounded: the largest size that the trial may need."""
        return self.one_look_units * self.looks.most

    def power_with(self, units: float) -> float | NotEstimable:
        """The chance to find the effect in a trial of at most so many units, looked at as planned.

        Raises:
            ValueError: A parameter is out of range.
        """
        if len(self.looks.times) == 1:
            return self.sought.power(units * self.control_share, self.alpha)
        return self.looks.power(units / self.units)

    def detectable_with(self, units: float, sign: int | None = None) -> float | NotEstimable:
        """The effect that a trial of at most so many units finds with the power.

        Args:
            units: Of all arms, above 0.
            sign: On which side of what is tested, 1 or -1; None for the side of the effect sought.

        Raises:
            ValueError: A parameter is out of range.
        """
        control = units * self.control_share / self.looks.most
        side = sign if sign is not None else (1 if self.sought.gap > 0 else -1)
        return self.sought.detectable(control, self.alpha, self.power, side)

    def curve(self, sizes: Sequence[float]) -> tuple[Point, ...]:
        """What each of some numbers of units can find.

        Raises:
            ValueError: A parameter is out of range.
        """
        return tuple(Point(size, self.power_with(size), self.detectable_with(size)) for size in sizes)
