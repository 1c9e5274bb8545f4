"""Trials as sums after each look, many at once: a look at every unit of 20,000 trials takes seconds."""

import numpy as np
import numpy.typing as npt

from meshtrial.stats.burn_in import LEAST_EFFECTIVE, LEAST_EVENTS
from meshtrial.stats.integration import Floats

Flags = npt.NDArray[np.bool_]


class Looks:
    """Both arms after each look; values and arms of shape (trials, units)."""

    def __init__(self, values: Floats, treated: Flags, every: int = 1) -> None:
        def sums(terms: npt.NDArray[np.generic]) -> Floats:
            return np.cumsum(terms, axis=1, dtype=np.float64)[:, every - 1 :: every]

        squares = values * values
        units, totals, ones = sums(np.ones_like(treated)), sums(values), sums(squares)
        n1, s1, q1 = sums(treated), sums(values * treated), sums(squares * treated)
        self.units = units
        self.counts = np.stack([units - n1, n1])
        self.totals = np.stack([totals - s1, s1])
        self.squares = np.stack([ones - q1, q1])
        with np.errstate(divide="ignore", invalid="ignore"):
            means = self.totals / self.counts
            self.errors = np.maximum(self.squares / self.counts - means**2, 0) / (self.counts - 1)
        self.effect = means[1] - means[0]
        self.error = np.sqrt(self.errors.sum(axis=0))

    def misses(self, critical: Floats | float, effect: float = 0.0) -> Flags:
        """Where the interval does not hold the effect; nowhere before an error can be told."""
        with np.errstate(invalid="ignore"):
            return np.asarray((self.error > 0) & (np.abs(self.effect - effect) >= critical * self.error))

    def effective(self) -> Flags:
        """Where each arm has the effective units that a burn-in asks for."""
        return np.asarray((self.totals**2 >= LEAST_EFFECTIVE * self.squares).all(axis=0))

    def eventful(self) -> Flags:
        """Where each arm has the events and non-events that a burn-in asks for."""
        return np.asarray(np.minimum(self.totals, self.counts - self.totals).min(axis=0) >= LEAST_EVENTS)


def ever(looks: Flags) -> int:
    """In how many trials there is such a look."""
    return int(looks.any(axis=1).sum())


def alternating(trials: int, units: int) -> Flags:
    """Every other unit is treated."""
    return np.broadcast_to(np.arange(units) % 2 == 1, (trials, units))
