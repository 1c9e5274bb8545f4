"""How much of an error rate may be spent by a time: error-spending functions.

Time runs from 0 to 1 and is the share of the planned units. What is spent by a look depends on its own time
alone, so looks may come at any time, and as many as one likes, as long as no outcome decides when.
"""

import math
from typing import Final

from scipy.special import ndtr, ndtri

from meshtrial.plan.inference import Boundary, Shape
from meshtrial.stats.estimate import require_between

_MOST_CURVED: Final = 40.0
"""Of the parameter of Hwang, Shih & DeCani, either way."""


def spent(boundary: Boundary, error: float, time: float) -> float:
    """What of one side's error rate is spent by a time.

    Args:
        boundary: A spending function: O'Brien-Fleming or Pocock type, or Hwang, Shih & DeCani's.
        error: One side's error rate, in (0, 1): half of a two-sided alpha, or a beta.
        time: In [0, 1].

    Raises:
        ValueError: A parameter is out of range, or the shape is not one of a spending function.

    Source: Lan & DeMets 1983, Biometrika 70:659; Hwang, Shih & DeCani 1990, Statistics in Medicine 9:1439.
    """
    require_between("error", error, 0, 1)
    if not 0 <= time <= 1:
        raise ValueError(f"time must be in 0..1, not {time:g}")
    if time == 0:
        return 0.0
    if boundary.shape is Shape.OBRIEN_FLEMING:
        return float(2 * ndtr(ndtri(error / 2) / math.sqrt(time)))
    if boundary.shape is Shape.POCOCK:
        return error * math.log1p((math.e - 1) * time)
    if boundary.shape is Shape.HWANG_SHIH_DECANI and boundary.parameter is not None:
        curve = boundary.parameter
        if not abs(curve) <= _MOST_CURVED:
            raise ValueError(f"parameter must be in -{_MOST_CURVED:g}..{_MOST_CURVED:g}, not {curve:g}")
        return error * (math.expm1(-curve * time) / math.expm1(-curve) if curve else time)
    raise ValueError(f"{boundary.shape} with parameter {boundary.parameter} is not a spending function")
