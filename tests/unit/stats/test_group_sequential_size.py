"""Sizes of group-sequential trials against published tables."""

import math

import pytest
from scipy.stats import norm

from meshtrial.plan.inference import Boundary, Shape
from meshtrial.stats.group_sequential_size import Planned, bounds_of, schedule
from meshtrial.stats.integration import crossing
from stats_cases import near

EVEN = (0.2, 0.4, 0.6, 0.8, 1.0)


def hwang_shih_decani(parameter: float) -> Boundary:
    return Boundary(Shape.HWANG_SHIH_DECANI, parameter)


def test_non_binding_futility_is_gsdesigns() -> None:
    # gsDesign's summary with test.type 4, spending beta by Hwang-Shih-DeCani(-2).
    planned = Planned(hwang_shih_decani(-4), 0.025, 0.9, EVEN, hwang_shih_decani(-2), sides=1)

    found = schedule(planned)

    assert found.floors is not None
    assert found.floors.tolist() == near([-0.9016, -0.0367, 0.6945, 1.3603, 2.0253], 6e-5)
    assert found.bounds.tolist() == near([3.2527, 2.9860, 2.6917, 2.3737, 2.0253], 6e-5)
    assert found.rejected_with.cumsum().tolist() == near([0.0417, 0.2096, 0.4902, 0.7556, 0.9], 6e-5)
    assert found.rejected_without.cumsum().tolist() == near([0.0006, 0.0018, 0.0047, 0.0109, 0.0226], 6e-5)
    assert found.futile_without.cumsum().tolist() == near([0.1836, 0.5037, 0.7737, 0.9215, 0.9774], 6e-5)
    assert found.most == near(1.1, 0.005)


@pytest.mark.parametrize(
    ("shape", "power", "most"),
    [
        (Shape.OBRIEN_FLEMING, 0.8, [1.008, 1.017, 1.024, 1.028]),
        (Shape.OBRIEN_FLEMING, 0.9, [1.007, 1.016, 1.022, 1.026]),
        (Shape.POCOCK, 0.8, [1.110, 1.166, 1.202, 1.229]),
        (Shape.POCOCK, 0.9, [1.100, 1.151, 1.183, 1.207]),
    ],
)
def test_maximum_sizes_are_those_of_jennison_and_turnbull(
    shape: Shape, power: float, most: list[float]
) -> None:
    for looks, expected in zip((2, 3, 4, 5), most, strict=True):
        times = tuple((k + 1) / looks for k in range(looks))
        found = schedule(Planned(Boundary(shape, spending=False), 0.05, power, times))
        assert found.most == near(expected, 0.0008)


def test_five_looks_of_obrien_fleming_end_at_818_units_of_1000_with_the_effect() -> None:
    found = schedule(Planned(Boundary(Shape.OBRIEN_FLEMING, spending=False), 0.05, 0.8, EVEN))

    assert found.expected_with == near(0.818, 0.0006)
    assert found.most == near(1.028, 0.0006)


def test_futility_saves_units_where_there_is_no_effect_and_costs_some_of_the_most() -> None:
    plain = Planned(hwang_shih_decani(-4), 0.05, 0.8, EVEN)
    without, given_up = schedule(plain), schedule(Planned(*_fields(plain), hwang_shih_decani(-2)))

    assert given_up.most > without.most
    assert given_up.expected_without < 0.7 * without.expected_without


def _fields(planned: Planned) -> tuple[Boundary, float, float, tuple[float, ...]]:
    return planned.boundary, planned.alpha, planned.power, planned.times


def test_the_power_at_the_drift_found_is_the_one_asked_for() -> None:
    planned = Planned(Boundary(Shape.POCOCK), 0.05, 0.8, (0.1, 0.7, 1.0))
    found = schedule(planned)

    bounds = bounds_of(planned)
    for drift, chance in ((found.drift, 0.8), (0.0, 0.05)):
        below, above = crossing(planned.times, (-bounds).tolist(), bounds.tolist(), drift)
        assert below.sum() + above.sum() == near(chance, 1e-8)


def test_one_look_costs_nothing() -> None:
    found = schedule(Planned(Boundary(Shape.OBRIEN_FLEMING), 0.05, 0.8, (1.0,)))

    assert (found.most, found.expected_with, found.expected_without) == pytest.approx((1, 1, 1))
    # Both tails count.
    z = norm.isf(0.025)
    assert norm.sf(z - found.drift) + norm.cdf(-z - found.drift) == pytest.approx(0.8)


def test_a_power_of_almost_one_is_found() -> None:
    assert schedule(Planned(Boundary(Shape.POCOCK), 1e-6, 1 - 1e-9, (0.5, 1.0))).drift > 10


def test_plans_out_of_range_are_refused() -> None:
    for power in (0.05, 1.0, math.nan):
        with pytest.raises(ValueError, match="power"):
            Planned(Boundary(Shape.POCOCK), 0.05, power, EVEN)
    with pytest.raises(ValueError, match="last look"):
        Planned(Boundary(Shape.POCOCK), 0.05, 0.8, (0.5, 0.9))
