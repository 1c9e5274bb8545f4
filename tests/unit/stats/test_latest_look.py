"""What is asked of the latest look alone is what `examine` says of it."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshtrial.plan.inference import Boundary, Shape
from meshtrial.stats.contrast import Contrast
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.futility import Futility
from meshtrial.stats.group_sequential import (
    GroupSequential,
    Look,
    examine,
    latest_critical,
    latest_is_futile,
    latest_p_value,
)

FUTILITY = Futility(Boundary(Shape.OBRIEN_FLEMING), 0.8, 0.5)
PLANNED = (0.2, 0.4, 0.6, 0.8, 1.0)
RULES = [
    GroupSequential(0.05, Boundary(Shape.OBRIEN_FLEMING), PLANNED, FUTILITY),
    GroupSequential(0.05, Boundary(Shape.POCOCK), PLANNED),
    GroupSequential(0.05, Boundary(Shape.WANG_TSIATIS, 0.25, spending=False), PLANNED),
]


def look(k: int, z: float | None, freedom: float) -> Look:
    error = 0.4 / math.sqrt(k + 1)
    if z is None:
        return Look(NotEstimable("nobody came"), PLANNED[k])
    half = error / math.sqrt(2)
    return Look(Contrast("test", 1.0, z * error, half, half, freedom, 50 * (k + 1), 50 * (k + 1)), PLANNED[k])


@settings(max_examples=40)
@given(
    st.sampled_from(RULES),
    st.lists(st.none() | st.floats(-6, 6), min_size=1, max_size=5),
    st.sampled_from([math.inf, 12.0]),
)
def test_the_latest_look_by_itself_is_that_of_all(
    rule: GroupSequential, scores: list[float | None], freedom: float
) -> None:
    looks = [look(k, z, freedom) for k, z in enumerate(scores)]
    examined = examine(rule, looks)

    latest = examined[-1]
    if isinstance(latest, NotEstimable):
        assert isinstance(latest_critical(rule, looks), NotEstimable)
        assert not latest_is_futile(rule, looks)
    else:
        assert latest_critical(rule, looks) == latest.critical
        assert latest_p_value(rule, looks) == pytest.approx(latest.p_value, rel=1e-5)
        assert latest_is_futile(rule, looks) == latest.futile


def test_without_any_estimate_there_is_no_p_value() -> None:
    assert isinstance(latest_p_value(RULES[0], [look(0, None, 9)]), NotEstimable)
