"""The rule for looks, as an analysis asks it."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from meshtrial.plan.inference import Boundary, Shape
from meshtrial.stats.contrast import Contrast, difference
from meshtrial.stats.estimate import Difference, NotEstimable
from meshtrial.stats.fixed import fixed
from meshtrial.stats.futility import Futility
from meshtrial.stats.group_sequential import (
    Adjusted,
    Examined,
    GroupSequential,
    Look,
    Side,
    adjust,
    conditional_power,
    examine,
)
from meshtrial.stats.information import information_clock
from meshtrial.stats.repeated import sequential_p_values
from stats_cases import near

OBRIEN_FLEMING, POCOCK = Boundary(Shape.OBRIEN_FLEMING), Boundary(Shape.POCOCK)
EXACT_POCOCK = Boundary(Shape.POCOCK, spending=False)
EVEN = (0.2, 0.4, 0.6, 0.8, 1.0)


def contrast(effect: float, error: float, units: int = 1000, freedom: float = math.inf) -> Contrast:
    return Contrast("test", 10.0, effect, 0.6 * error, 0.8 * error, freedom, units // 2, units // 2)


def looks(z: list[float], times: tuple[float, ...] = EVEN, error: float = 0.1) -> list[Look]:
    """Looks with these z values, whose information goes with the time; `error` is that of time 1."""
    errors = [error / math.sqrt(time) for time in times]
    return [
        Look(contrast(value * e, e, round(10_000 * time)), time)
        for value, e, time in zip(z, errors, times, strict=False)
    ]


def seen_by(look: Look) -> Contrast:
    assert isinstance(look.contrast, Contrast)
    return look.contrast


def fixed_p_of(one: Contrast) -> float:
    found = fixed(one, 0.05)
    assert isinstance(found, Difference)
    return found.p_value


def examined(rule: GroupSequential, seen: list[Look]) -> list[Examined]:
    found = [look for look in examine(rule, seen) if isinstance(look, Examined)]
    assert len(found) == len(seen)
    return found


def adjusted(rule: GroupSequential, seen: list[Look]) -> Adjusted:
    found = adjust(rule, seen)
    assert isinstance(found, Adjusted)
    return found


def test_a_trial_is_read_look_by_look() -> None:
    found = examined(GroupSequential(0.05, OBRIEN_FLEMING), looks([1.0, -3.0, 2.5, 2.4]))

    assert [look.bound for look in found] == near([4.8769, 3.3569, 2.6803, 2.2898], 2e-4)
    assert [look.critical for look in found] == [look.bound for look in found]
    assert [look.z for look in found] == pytest.approx([1.0, -3.0, 2.5, 2.4])
    assert [look.information for look in found] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert [look.crossed for look in found] == [None, None, None, Side.ABOVE]
    assert found[3].spent == pytest.approx(4 * norm.sf(norm.isf(0.0125) / math.sqrt(0.8)))
    assert found[3].p_value <= 0.05 < found[2].p_value
    assert not any(look.futile for look in found)
    assert all(look.futility_bound is None for look in found)


def test_an_effect_downwards_crosses_below() -> None:
    assert examined(GroupSequential(0.05, POCOCK), looks([-2.5]))[0].crossed is Side.BELOW


def test_what_was_said_of_a_look_stays_so() -> None:
    rule = GroupSequential(0.05, POCOCK, futility=Futility(POCOCK, 0.8, 0.3))
    seen = looks([0.3, 2.2, 1.0, 2.6, 0.1])

    whole = examined(rule, seen)

    for k in range(1, 5):
        for early, late in zip(examined(rule, seen[:k]), whole, strict=False):
            assert (early.bound, early.spent, early.crossed, early.futile) == (
                late.bound,
                late.spent,
                late.crossed,
                late.futile,
            )
            assert early.p_value == pytest.approx(late.p_value, rel=1e-6)


@pytest.mark.parametrize("freedom", [math.inf, 7.3])
def test_one_look_is_the_fixed_test(freedom: float) -> None:
    one = contrast(2.4, 1.0, freedom=freedom)
    alone = fixed(one, 0.05)
    assert isinstance(alone, Difference)

    for boundary in (OBRIEN_FLEMING, POCOCK, EXACT_POCOCK):
        rule = GroupSequential(0.05, boundary, (1.0,))
        (look,) = examined(rule, [Look(one, 1.0)])
        stopped = adjusted(rule, [Look(one, 1.0)])

        interval = difference(one, look.critical, look.p_value).interval
        assert (interval.low, interval.high) == pytest.approx((alone.interval.low, alone.interval.high))
        assert look.p_value == pytest.approx(alone.p_value, rel=1e-6)
        assert stopped.p_value == pytest.approx(alone.p_value)
        assert stopped.estimate == pytest.approx(2.4)
        assert stopped.interval.low == pytest.approx(alone.interval.low)
        assert stopped.interval.high == pytest.approx(alone.interval.high)


def test_sequential_p_values_are_those_of_graphicalmcp_and_gsdesign() -> None:
    # graphicalMCP's vignette of repeated p-values: one-sided .024 at half of the information, then .010.
    z = norm.isf([0.024, 0.010]).tolist()

    assert sequential_p_values(OBRIEN_FLEMING, (0.5, 1.0), (0.5, 1.0), z) == near(
        (2 * 0.110482, 2 * 0.010094), 2e-6
    )


def test_an_exact_p_value_is_the_alpha_whose_constant_was_reached() -> None:
    rule = GroupSequential(0.05, Boundary(Shape.OBRIEN_FLEMING, spending=False), EVEN)
    # Jennison & Turnbull's constant of 5 looks at alpha .05 is 2.040; at look 4 that is 2.040 sqrt(5 / 4).
    found = examined(rule, looks([0.0, 1.0, 0.5, 2.040 * math.sqrt(1.25)]))

    assert found[3].p_value == near(0.05, 5e-5)
    assert examined(rule, looks([0.0, 1.0, 0.5, 2.3]))[3].crossed is Side.ABOVE


def test_exact_bounds_are_those_of_the_looks_by_number() -> None:
    rule = GroupSequential(0.05, EXACT_POCOCK, EVEN)
    late = [Look(look.contrast, look.time * 0.97) for look in looks([2.5, 2.3, 2.42])]

    assert [look.bound for look in examined(rule, late)] == near([2.413, 2.413, 2.413], 6e-4)
    with pytest.raises(ValueError, match="6 looks, and bounds for 5"):
        examine(rule, [*looks([0.0] * 5), *looks([0.0])])


def test_few_units_have_wider_intervals_and_the_same_alpha() -> None:
    few = [Look(contrast(2.3, 1.0, freedom=9.0), 0.5)]

    (found,) = examined(GroupSequential(0.05, POCOCK), few)

    assert found.critical > found.bound
    # Wider by just as much as Student's t of that tail is.
    assert found.z == pytest.approx(norm.isf(norm.sf(found.z)))
    (edge,) = examined(GroupSequential(0.05, POCOCK), [Look(contrast(found.critical, 1.0, freedom=9.0), 0.5)])
    assert edge.z == pytest.approx(edge.bound)


def test_a_look_without_an_estimate_keeps_its_place_and_leaves_its_alpha() -> None:
    nothing = NotEstimable("the arm has no units")
    seen = looks([1.0, 2.6])

    found = examine(GroupSequential(0.05, POCOCK), [Look(nothing, 0.2), seen[1]])
    (alone,) = examined(GroupSequential(0.05, POCOCK), [seen[1]])

    assert found == (nothing, alone)
    stopped = adjusted(GroupSequential(0.05, POCOCK), [Look(nothing, 0.2), seen[1]])
    assert stopped.look == 1
    assert isinstance(adjust(GroupSequential(0.05, POCOCK), [Look(nothing, 0.2)]), NotEstimable)
    assert examine(GroupSequential(0.05, POCOCK), []) == ()


def test_where_nothing_is_spent_yet_nothing_is_said() -> None:
    (found,) = examined(GroupSequential(0.05, OBRIEN_FLEMING), looks([9.0], (0.01,)))

    assert (found.bound, found.critical, found.crossed, found.spent) == (math.inf, math.inf, None, 0.0)
    known = Contrast("test", 10.0, 1.0, 0.0, 0.1, math.inf, 500, 500)
    for one in (contrast(1.0, 0.1), known):
        said = difference(one, found.critical, found.p_value)
        assert said.interval.low == -math.inf
        assert isinstance(said.relative_interval, NotEstimable)


def test_superiority_above_a_margin_is_the_interval_above_the_margin() -> None:
    rule = GroupSequential(0.05, OBRIEN_FLEMING)
    for effect in (0.24, 0.36, 0.48):
        seen = [Look(contrast(effect, e), t) for e, t in ((0.2, 0.3), (0.14, 0.6), (0.1, 1.0))]
        moved = [Look(seen_by(look).above(0.1, relative=False), look.time) for look in seen]

        plain, above = examined(rule, seen), examined(rule, moved)

        for look, of, by in zip(plain, above, seen, strict=True):
            assert look.bound == pytest.approx(of.bound)
            low = difference(seen_by(by), look.critical, look.p_value).interval.low
            assert (low > 0.1) is (of.crossed is Side.ABOVE)
    assert above[-1].crossed is Side.ABOVE


def test_non_inferiority_by_a_relative_margin_counts_the_controls_own_error() -> None:
    # 10 against 10.05, margin -1 %: the null is 9.9, and the control's error counts by 0.99.
    seen = [contrast(0.05, 0.1, 4000), contrast(0.05, 0.05, 16_000)]
    moved = [Look(c.above(-0.01, relative=True), t) for c, t in zip(seen, (0.25, 1.0), strict=True)]

    found = examined(GroupSequential(0.05, OBRIEN_FLEMING), moved)

    assert found[1].z == pytest.approx(0.15 / math.hypot(0.99 * 0.03, 0.04))
    assert [look.crossed for look in found] == [None, Side.ABOVE]


def test_information_that_falls_grows_as_the_units_do() -> None:
    falling = [contrast(0.1, 0.10, 1000), contrast(0.1, 0.11, 2000), contrast(0.1, 0.08, 3000)]

    assert information_clock(falling) == pytest.approx((100, 200, 200 * (0.11 / 0.08) ** 2))


def test_information_that_all_but_stands_still_while_units_double_is_not_believed() -> None:
    still = [contrast(0.1, 0.1, 1000), contrast(0.1, 0.0999, 2000)]

    assert information_clock(still) == pytest.approx((100, 200))


def test_information_that_grows_less_than_units_is_believed() -> None:
    unequal = [contrast(0.1, 0.1, 1000), contrast(0.1, 0.09, 2000)]

    assert information_clock(unequal) == pytest.approx((100, 1 / 0.09**2))


def test_a_look_with_the_data_of_the_last_one_is_that_look_again() -> None:
    one, two = contrast(0.2, 0.1, 1000), contrast(0.21, 0.09, 1200)
    rule = GroupSequential(0.05, POCOCK)
    seen = [Look(one, 0.3), Look(one, 0.6), Look(two, 1.0)]

    again, straight = examined(rule, seen), examined(rule, [seen[1], seen[2]])

    assert again[1].information == again[0].information
    assert again[1].bound == pytest.approx(straight[0].bound)
    assert again[2].bound == pytest.approx(straight[1].bound)
    assert adjusted(rule, seen).estimate == pytest.approx(adjusted(rule, [seen[1], seen[2]]).estimate)
    assert adjusted(rule, seen[:2]).p_value == pytest.approx(fixed_p_of(one))


def test_the_adjusted_estimate_of_an_early_stop_lies_nearer_to_nothing() -> None:
    rule = GroupSequential(0.05, POCOCK)
    seen = looks([1.0, 1.5, 3.0])

    found = adjusted(rule, seen)

    assert found.look == 2
    assert 0 < found.interval.low < found.estimate < seen_by(seen[2]).effect
    assert fixed_p_of(seen_by(seen[2])) < found.p_value < 0.05


def test_the_adjusted_p_value_is_the_chance_by_stage() -> None:
    # Two looks, Pocock at 2.178: beyond at the first, or not and beyond 2.6 at the second. By quadrature.
    rule = GroupSequential(0.05, EXACT_POCOCK, (0.5, 1.0))
    found = adjusted(rule, looks([1.0, 2.6], (0.5, 1.0)))

    def later(u: float) -> float:
        return float(norm.pdf(u) * norm.sf(2.6 * math.sqrt(2) - u))

    bound = 2.17827
    chance = norm.sf(bound) + quad(later, -bound, bound, epsabs=1e-12)[0]
    assert found.p_value == near(2 * chance, 2e-6)


def test_the_adjusted_p_value_at_the_bound_is_what_is_spent() -> None:
    rule = GroupSequential(0.05, OBRIEN_FLEMING)
    bound = examined(rule, looks([0.0, 0.0, 0.0]))[2].bound

    found = adjusted(rule, looks([0.0, 1.0, -bound - 1e-9]))

    assert found.p_value == near(4 * norm.sf(norm.isf(0.0125) / math.sqrt(0.6)), 1e-7)
    assert found.interval.high < 0


def test_a_trial_that_went_on_after_a_crossing_is_told_by_the_look_that_crossed() -> None:
    rule = GroupSequential(0.05, POCOCK)

    assert adjusted(rule, looks([1.0, 2.6, 1.0])) == adjusted(rule, looks([1.0, 2.6]))


def test_adjusted_results_stand_for_z_values_that_no_table_has() -> None:
    rule = GroupSequential(0.05, POCOCK)

    first = adjusted(rule, looks([60.0]))
    last = adjusted(rule, looks([0.0, 0.0, 0.0, 0.0, 60.0]))
    few = adjusted(rule, [Look(contrast(500.0, 1.0, freedom=5000.0), 0.5)])

    assert first.p_value == 0
    assert first.estimate == pytest.approx(60 * 0.1 / math.sqrt(0.2))
    assert 0 < last.interval.low < last.estimate < 6.0
    assert few.p_value < 1e-200
    assert few.estimate == pytest.approx(500.0)


def test_futility_is_told_in_the_direction_that_is_better() -> None:
    up = GroupSequential(0.05, OBRIEN_FLEMING, futility=Futility(OBRIEN_FLEMING, 0.8, 0.3))
    down = GroupSequential(0.05, OBRIEN_FLEMING, futility=Futility(OBRIEN_FLEMING, 0.8, -0.3))
    z = [1.0, 0.9, 0.5]

    found, mirrored = examined(up, looks(z)), examined(down, looks([-value for value in z]))

    assert [look.futile for look in found] == [look.futile for look in mirrored] == [False, False, True]
    assert [look.futility_bound for look in found] == [look.futility_bound for look in mirrored]
    assert [look.futile for look in examined(down, looks(z))] == [False, True, True]
    # Not binding: what it takes to win is as without it.
    assert [look.bound for look in found] == [
        look.bound for look in examined(GroupSequential(0.05, OBRIEN_FLEMING), looks(z))
    ]


def test_at_the_last_look_what_is_not_won_is_futile() -> None:
    rule = GroupSequential(0.05, POCOCK, futility=Futility(POCOCK, 0.8, 0.3))

    found = examined(rule, looks([1.5, 1.5, 1.5, 1.5, 1.9]))[-1]

    assert found.futile
    assert found.futility_bound == found.bound


def test_futility_spends_what_it_says_of_the_trials_with_the_effect() -> None:
    rule = GroupSequential(0.05, OBRIEN_FLEMING, futility=Futility(Boundary(Shape.POCOCK), 0.8, 0.3))
    found = examined(rule, looks([0.0] * 4))
    rng = np.random.default_rng(21)
    times = np.array(EVEN[:4])
    steps = rng.standard_normal((200_000, 4)) * np.sqrt(np.diff(times, prepend=0))
    z = (steps.cumsum(axis=1) + 0.3 / 0.1 * times) / np.sqrt(times)

    won = z >= np.array([look.bound for look in found])
    lost = z <= np.array([look.futility_bound for look in found], float)
    ended = np.where((won | lost).any(axis=1), (won | lost).argmax(axis=1), -1)
    rates = [((ended == k) & lost[:, k]).mean() for k in range(4)]

    expected = np.diff([0.2 * math.log1p((math.e - 1) * t) for t in (0.0, *EVEN[:4])])
    assert rates == pytest.approx(expected, abs=4 * math.sqrt(0.07 / 200_000))


def test_conditional_power_is_gsdesigns() -> None:
    # gsDesign's summary of two looks, one-sided .025, at half of the information, as the effect goes.
    rule = GroupSequential(0.05, Boundary(Shape.HWANG_SHIH_DECANI, -4.0))
    for z, chance in ((2.75, 0.9965), (0.4122, 0.0240)):
        seen = looks([z], (0.5,))
        trend = conditional_power(rule, seen, seen_by(seen[0]).effect)
        # We count the far side too, which theirs has not.
        far = norm.cdf((-1.9811 - z * math.sqrt(2)) / math.sqrt(0.5))
        assert trend == near(chance + far, 6e-5)


def test_conditional_power_counts_every_look_to_come() -> None:
    seen = looks([1.0, 1.6])
    rule, single = GroupSequential(0.05, POCOCK, EVEN), GroupSequential(0.05, POCOCK)
    found = conditional_power(rule, seen, 0.25)
    assert isinstance(found, float)

    bounds = [look.bound for look in examined(rule, looks([0.0] * 5))]
    rng = np.random.default_rng(22)
    steps = rng.standard_normal((200_000, 3)) * math.sqrt(0.2) + 0.25 / 0.1 * 0.2
    z = (1.6 * math.sqrt(0.4) + steps.cumsum(axis=1)) / np.sqrt(EVEN[2:])
    assert found == near((np.abs(z) >= bounds[2:]).any(axis=1).mean(), 4 * math.sqrt(0.25 / 200_000))

    last = conditional_power(single, seen, 0.25)
    assert isinstance(last, float)
    assert found != near(last, 0.005)


def test_conditional_power_under_an_exact_boundary_is_that_of_its_own_looks() -> None:
    rule = GroupSequential(0.05, EXACT_POCOCK, (0.5, 1.0))

    found = conditional_power(rule, looks([1.5], (0.5,)), 0.2)

    mean = 1.5 * math.sqrt(0.5) + 0.2 / 0.1 * 0.5
    above = norm.sf((2.17827 - mean) / math.sqrt(0.5))
    assert found == near(above + norm.cdf((-2.17827 - mean) / math.sqrt(0.5)), 1e-5)


def test_after_the_last_look_there_is_no_conditional_power() -> None:
    rule = GroupSequential(0.05, POCOCK, EVEN)

    assert isinstance(conditional_power(rule, looks([1.0] * 5), 0.2), NotEstimable)
    assert isinstance(conditional_power(rule, [], 0.2), NotEstimable)


def test_rules_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="alpha"):
        GroupSequential(0.5, POCOCK)
    with pytest.raises(ValueError, match="planned looks"):
        GroupSequential(0.05, EXACT_POCOCK)
    with pytest.raises(ValueError, match="power"):
        Futility(POCOCK, 1.0, 0.1)
    for effect in (0.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="effect"):
            Futility(POCOCK, 0.8, effect)
    unspendable = Futility(Boundary(Shape.WANG_TSIATIS, 0.2), 0.8, 0.1)
    with pytest.raises(ValueError, match="not a spending function"):
        examine(GroupSequential(0.05, POCOCK, futility=unspendable), looks([1.0]))
