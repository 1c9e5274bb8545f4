"""How much more each look of a trial knows than the one before it."""

from collections.abc import Sequence
from typing import Final

from meshtrial.stats.contrast import Contrast
from meshtrial.stats.integration import LEAST_GROWTH

SLOWEST: Final = 0.1
"""Growth of information, as a share of the growth of units, below which it is not believed."""


def information_clock(contrasts: Sequence[Contrast]) -> tuple[float, ...]:
    """Information at each look, as the correlations of the looks take it: never falling.

    It is 1 / error squared. Errors are estimated, so it can fall, or all but stand still, while units come
    in: one outlier is enough. Then the correlation of that step would be taken for 1, and its bound would be
    too low. So where information grows by under a tenth of what the units of both arms do, that step is taken
    to grow as the units. Where units do not grow either, the look is the last one again.

    Args:
        contrasts: At least one, in order of time.

    Returns:
        The first look's information, and from there on growing step by step; two numbers are equal, or
        apart by `LEAST_GROWTH`.
    """
    last = contrasts[0]
    clock = [last.information]
    for contrast in contrasts[1:]:
        units = contrast.units / last.units - 1
        growth = contrast.information / last.information - 1
        if growth < max(LEAST_GROWTH, SLOWEST * units):
            growth = units
        if growth < LEAST_GROWTH:
            clock.append(clock[-1])
        else:
            clock.append(clock[-1] * (1 + growth))
            last = contrast
    return tuple(clock)
