"""What a trial that is looked at several times does: the recursive integral over its z values.

The z value of look k is normal with mean effect * sqrt(information_k) and variance 1, and the correlation
of looks j < k is sqrt(information_j / information_k). So what happens up to a look is a chain: of the trials
that stayed within their bounds so far, the z value of the next look is a convolution with a normal density.

Source: Armitage, McPherson & Rowe 1969, Journal of the Royal Statistical Society A 132:235; Jennison &
Turnbull 2000, Group Sequential Methods with Applications to Clinical Trials, chapter 19.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

Floats: TypeAlias = npt.NDArray[np.float64]

REACH: Final = 8.5
"""Standard deviations about the mean of z beyond which nothing is integrated: 2e-17 of the trials."""
LEAST_GROWTH: Final = 1e-3
"""Least growth of information, as a share, that makes a look another one: the grid gets finer with it."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_ROOT: Final = math.sqrt(2 * math.pi)
_PANEL: Final = 8.0
"""Width of a panel of 16 nodes in standard deviations of what is integrated: then exact to about 1e-11."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The trials that come to one look: a mixture of normal densities of their z values there.

    Its whole mass is the chance to come to this look.
    """

    information: float
    """At this look, in units of 1 / effect squared."""
    effect: float
    """The true effect; 0 for what happens without one."""
    means: Floats
    """Of z here, given its value at the look before: shape (nodes,)."""
    spread: float
    """Standard deviation of z here, given its value at the look before, in (0, 1]."""
    masses: Floats
    """Chances of the nodes: shape (nodes,)."""

    @classmethod
    def first(cls, information: float, effect: float = 0.0) -> Self:
        """The first look, to which every trial comes."""
        mean = effect * math.sqrt(information)
        return cls(information, effect, np.array([mean]), 1.0, np.ones(1))

    @classmethod
    def given(cls, z: float, information: float, later: float, effect: float) -> Self:
        """A `later` information, of trials that had the value `z` at this `information`."""
        return cls(later, effect, *_step(np.array([z]), information, later, effect), np.ones(1))

    def above(self, z: npt.ArrayLike) -> Floats:
        """Chance to come to this look and have a value of `z` or more there: of the shape of `z`."""
        return np.asarray(ndtr((self.means - np.asarray(z)[..., None]) / self.spread) @ self.masses)

    def below(self, z: npt.ArrayLike) -> Floats:
        """Chance to come to this look and have a value of `z` or less there: of the shape of `z`."""
        return np.asarray(ndtr((np.asarray(z)[..., None] - self.means) / self.spread) @ self.masses)

    def density(self, z: npt.ArrayLike) -> Floats:
        """Of the values here, of trials that come to this look: of the shape of `z`."""
        gaps = (np.asarray(z)[..., None] - self.means) / self.spread
        return np.asarray(np.exp(-0.5 * gaps * gaps) @ self.masses) / (self.spread * _ROOT)

    def after(self, low: float, high: float, information: float) -> Self:
        """The next look, of the trials that have a value between `low` and `high` at this one.

        Args:
            low: May be -inf.
            high: May be inf.
            information: At the next look, at least `LEAST_GROWTH` more than here.
        """
        centre = self.effect * math.sqrt(self.information)
        low, high = max(low, centre - REACH), min(high, centre + REACH)
        # The density here is as smooth as the step to this look made it; it is multiplied with the next step.
        sharp = 1 / math.sqrt(1 / self.spread**2 + 1 / (information / self.information - 1))
        panels = max(0, math.ceil((high - low) / (_PANEL * sharp)))
        half = (high - low) / (2 * max(panels, 1))
        middles = low + half * (2 * np.arange(panels) + 1)
        nodes = (middles[:, None] + half * _NODES).ravel()
        masses = np.tile(half * _WEIGHTS, panels) * self.density(nodes)
        step = _step(nodes, self.information, information, self.effect)
        return type(self)(information, self.effect, *step, masses)


def crossing(
    information: Sequence[float], low: Sequence[float], high: Sequence[float], effect: float = 0.0
) -> tuple[Floats, Floats]:
    """Chances that a trial leaves its bounds at each look for the first time: below, above.

    Args:
        information: At each look, ascending by `LEAST_GROWTH` or more.
        low: Bounds of z from below, -inf where there is none.
        high: Bounds of z from above, inf where there is none.
        effect: The true effect; its unit goes with the information's: where information is a share of
            the planned one, it is the mean of the last look's z.

    Raises:
        ValueError: There is no look, or information does not ascend.
    """
    require_growth(information)
    return leave(Stage.first(information[0], effect), information, low, high)


def leave(
    stage: Stage, information: Sequence[float], low: Sequence[float], high: Sequence[float]
) -> tuple[Floats, Floats]:
    """`crossing` from a stage on, which is that of the first of these looks."""
    below, above = np.empty(len(information)), np.empty(len(information))
    for k, bounds in enumerate(zip(low, high, strict=True)):
        below[k], above[k] = stage.below(bounds[0]), stage.above(bounds[1])
        if k + 1 < len(information):
            stage = stage.after(*bounds, information[k + 1])
    return below, above


def require_growth(information: Sequence[float], *, repeats: bool = False) -> None:
    """Refuse looks whose information does not ascend by `LEAST_GROWTH`, or where `repeats` stay the same.

    Raises:
        ValueError: It does not, or there is no look, or the first has none.
    """
    if not information or not information[0] > 0:
        raise ValueError("there must be a look, and information at the first one")
    for early, late in pairwise(information):
        # By a hair less, so that a growth computed to be just enough is enough.
        if not (late > early * (1 + 0.999 * LEAST_GROWTH) or (repeats and late == early)):
            raise ValueError(
                f"information must ascend by a share of {LEAST_GROWTH:g}, not {early:g} to {late:g}"
            )


def _step(z: Floats, information: float, later: float, effect: float) -> tuple[Floats, float]:
    """Mean and standard deviation of the z value of a later look, given those of this one."""
    means = (z * math.sqrt(information) + effect * (later - information)) / math.sqrt(later)
    return means, math.sqrt((later - information) / later)
