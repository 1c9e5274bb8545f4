"""What a comparison of two arms says, or why it can say nothing."""

import math
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class NotEstimable:
    """A quantity that the data do not determine: an answer, not a failure, and shown as such."""

    reason: str
    """One sentence for a person, without a full stop."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A closed two-sided interval, in the effect's unit."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Treatment against control, on the absolute scale."""

    method: str
    """The test and the interval, as a report names them."""
    effect: float
    """Treatment minus control, in the metric's unit."""
    error: float
    """Standard error of the effect."""
    interval: Interval
    """Of the effect, at confidence 1 - alpha."""
    p_value: float
    """Two-sided, of no effect, 0..1."""
    relative: float | NotEstimable
    """The effect as a share of the control's value: 0.1 is 10% more. Not for tests."""
    relative_interval: Interval | NotEstimable
    """Fieller's, at the same confidence."""


Comparison: TypeAlias = Difference | NotEstimable


def relative_effect(effect: float, control_value: float) -> float | NotEstimable:
    """The effect as a share of the control's value, both in the metric's unit."""
    share = effect / control_value if control_value else math.inf
    if not math.isfinite(share):
        return NotEstimable("the control's value is 0, so nothing can be a share of it")
    return share


def require_alpha(alpha: float) -> None:
    """Refuse an error rate that no two-sided test has.

    Raises:
        ValueError: `alpha` is not above 0 and below 0.5.
    """
    require_between("alpha", alpha, 0, 0.5)


def require_between(name: str, value: float, low: float, high: float) -> None:
    """Refuse a parameter outside an open range; NaN is outside every range.

    Raises:
        ValueError: `value` is not above `low` and below `high`.
    """
    if not low < value < high:
        limit = "finite" if high == math.inf else f"below {high:g}"
        raise ValueError(f"{name} must be above {low:g} and {limit}, not {value:g}")
