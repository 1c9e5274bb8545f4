"""Cells add up to whatever is asked, in any order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshtrial.analysis.cells import Clock, Key, summed
from meshtrial.stats.joint import Joint

keys = st.builds(
    Key,
    st.integers(0, 5).map(lambda period: 10 * period),
    st.sampled_from(["p", "q"]),
    st.just("default"),
    st.sampled_from(["v1", "v2"]),
)
joints = st.builds(
    lambda units, total, square: Joint((1.0,), units, (total,), (square,)),
    st.integers(1, 50),
    st.floats(-9, 9),
    st.floats(0, 99),
)


def test_parts_of_no_group_are_left_out() -> None:
    parts = {Key(0, "p", "default", "v1"): 3, Key(10, "p", "default", "v2"): 4, Key(10, "q", "a", "v1"): 5}

    assert summed(parts.items(), lambda key: key.arm if key.phase == "p" else None) == {"v1": 3, "v2": 4}


@given(st.lists(st.tuples(keys, joints), max_size=12), st.integers(0, 12))
def test_sums_do_not_depend_on_order_nor_on_steps(parts: list[tuple[Key, Joint]], at: int) -> None:
    whole = summed(parts, lambda key: key.arm)
    backwards = summed(parts[::-1], lambda key: key.arm)
    steps = [summed(some, lambda key: key) for some in (parts[:at], parts[at:])]
    merged = summed([pair for step in steps for pair in step.items()], lambda key: key.arm)

    for other in (backwards, merged):
        assert other.keys() == whole.keys()
        for arm, joint in whole.items():
            assert other[arm].units == joint.units
            assert other[arm].totals == pytest.approx(joint.totals, abs=1e-9)
            assert other[arm].products == pytest.approx(joint.products, abs=1e-9)


def test_a_day_is_24_periods() -> None:
    clock = Clock(10)

    assert clock.day == 240
    assert [clock.day_of(Key(period, "p", "c", "a")) for period in (0, 230, 240, 490)] == [0, 0, 240, 480]
