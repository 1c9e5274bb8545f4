"""Two proportions, compared at any time and however rare the outcome: safe e-values over blocks of units.

A test of equal proportions alone: it has no margin and no interval. Each time bucket is a block with its own
units in each arm; what either arm is taken to be like in a block comes from the blocks before it, so a finer
division finds an effect sooner, and the first block says nothing.

Source: Turner, Ly & Grunwald 2024, Journal of Statistical Planning and Inference 230:106116; defaults of the
R package safestats.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from meshtrial.stats.estimate import require_between
from meshtrial.stats.integration import Floats
from meshtrial.stats.proportion import Proportion


@dataclass(frozen=True, slots=True)
class Prior:
    """A beta distribution of one arm's proportion, as units that were seen before the first.

    Raises:
        ValueError: One of both is not above 0.
    """

    events: float = 0.18
    non_events: float = 0.18

    def __post_init__(self) -> None:
        require_between("events", self.events, 0, math.inf)
        require_between("non_events", self.non_events, 0, math.inf)


DEFAULT: Final = Prior()


@dataclass(frozen=True, slots=True)
class SafeTest:
    """What the blocks so far say against equal proportions; `SafeTest()` is before the first."""

    log_e: float = 0.0
    """Logarithm of the e-value, which is reached without an effect with a chance of at most its inverse."""
    greatest: float = 0.0
    """The largest `log_e` so far, 0 or more."""
    control: Proportion = field(default_factory=Proportion)
    """All units of earlier blocks."""
    treatment: Proportion = field(default_factory=Proportion)
    control_prior: Prior = DEFAULT
    treatment_prior: Prior = DEFAULT

    def after(self, control: Proportion, treatment: Proportion) -> Self:
        """One block on.

        Args:
            control: The block's units of that arm, maybe none; how many there are must not depend on what
                they had.
            treatment: The same of the treatment arm.
        """
        added = _block(
            (self.control.units, self.control.successes, self.control_prior),
            (self.treatment.units, self.treatment.successes, self.treatment_prior),
            (control.units, control.successes),
            (treatment.units, treatment.successes),
        )
        log_e = self.log_e + float(added)
        return replace(
            self,
            log_e=log_e,
            greatest=max(self.greatest, log_e),
            control=self.control + control,
            treatment=self.treatment + treatment,
        )

    def p_value(self) -> float:
        """Always-valid p-value of equal proportions, 0..1: the least 1 / e so far."""
        return math.exp(-self.greatest)


def safe_log_e(
    control_units: npt.ArrayLike,
    control_events: npt.ArrayLike,
    treatment_units: npt.ArrayLike,
    treatment_events: npt.ArrayLike,
    prior: Prior = DEFAULT,
) -> Floats:
    """`SafeTest.log_e` after each block, for many trials at once.

    Args:
        control_units: Of each block: shape (..., blocks), as all, or one that broadcasts to it.
        control_events: Units of the block that had the outcome.
        treatment_units: Of each block.
        treatment_events: Units of the block that had the outcome.
        prior: Of both arms.
    """
    counts = (control_units, control_events, treatment_units, treatment_events)
    na, ya, nb, yb = np.broadcast_arrays(*(np.asarray(count, np.float64) for count in counts))
    seen = [np.cumsum(count, axis=-1) - count for count in (na, ya, nb, yb)]
    return np.cumsum(_block((*seen[:2], prior), (*seen[2:], prior), (na, ya), (nb, yb)), axis=-1)


def _block(
    control_seen: tuple[npt.ArrayLike, npt.ArrayLike, Prior],
    treatment_seen: tuple[npt.ArrayLike, npt.ArrayLike, Prior],
    control: tuple[npt.ArrayLike, npt.ArrayLike],
    treatment: tuple[npt.ArrayLike, npt.ArrayLike],
) -> Floats:
    """Logarithm of a block's e-value: its likelihood under two proportions by that under their mean."""
    (na, ya), (nb, yb) = _floats(*control), _floats(*treatment)
    (had_a, had_not_a), (had_b, had_not_b) = _predicted(*control_seen), _predicted(*treatment_seen)
    both = np.maximum(na + nb, 1)
    had, had_not = (na * had_a + nb * had_b) / both, (na * had_not_a + nb * had_not_b) / both
    empty = na + nb == 0
    had, had_not = np.where(empty, 0.5, had), np.where(empty, 0.5, had_not)
    return np.asarray(
        ya * np.log(had_a / had)
        + (na - ya) * np.log(had_not_a / had_not)
        + yb * np.log(had_b / had)
        + (nb - yb) * np.log(had_not_b / had_not)
    )


def _predicted(units: npt.ArrayLike, events: npt.ArrayLike, prior: Prior) -> tuple[Floats, Floats]:
    """What share of the next units will have the outcome, and not have it; neither as 1 less the other."""
    n, y = _floats(units, events)
    whole = n + prior.events + prior.non_events
    return (y + prior.events) / whole, (n - y + prior.non_events) / whole


def _floats(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[Floats, Floats]:
    return np.asarray(first, np.float64), np.asarray(second, np.float64)
