"""Samples are monoids, comparisons are fair to both arms, sizes move the right way."""

import statistics
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from meshtrial.stats.contrast import Contrast, combine
from meshtrial.stats.estimate import Comparison, Difference, NotEstimable
from meshtrial.stats.fixed import fixed
from meshtrial.stats.joint import Joint
from meshtrial.stats.moments import Moments, mean_contrast
from meshtrial.stats.proportion import Proportion, compare_proportions
from meshtrial.stats.size import mean_power, mean_size, minimum_effect, proportion_power, proportion_size
from meshtrial.stats.srm import ChiSquared, srm
from meshtrial.stats.stratified import Stratum, compare_stratified_proportions

alphas = st.floats(1e-6, 0.499)
powers = st.floats(0.5, 0.999)
rates = st.floats(0.001, 0.999)
ratios = st.floats(0.05, 20)


@st.composite
def proportions(draw: st.DrawFn) -> Proportion:
    units = draw(st.integers(0, 10**9))
    return Proportion(units, draw(st.integers(0, units)))


exact_values = st.lists(st.integers(-(10**6), 10**6).map(float), max_size=30)
"""Whole numbers: their sums carry no rounding, so the laws hold to the last bit."""


def of(values: list[float], shift: float = 0.0) -> Moments:
    return Moments.of(np.array(values, float), shift)


@given(proportions(), proportions(), proportions())
def test_proportions_merge_in_any_order_and_grouping(a: Proportion, b: Proportion, c: Proportion) -> None:
    assert a + Proportion() == Proportion() + a == a
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)


@given(exact_values, exact_values, exact_values, st.integers(-1000, 1000).map(float))
def test_moments_merge_in_any_order_and_grouping(
    x: list[float], y: list[float], z: list[float], shift: float
) -> None:
    a, b, c = of(x, shift), of(y, shift), of(z, shift)
    assert a + Moments(shift) == Moments(shift) + a == a
    assert a + b == b + a
    assert (a + b) + c == a + (b + c) == of(x + y + z, shift)


@given(
    st.lists(st.floats(-1, 1), min_size=2, max_size=200).filter(lambda x: max(x) - min(x) > 0.1),
    st.sampled_from([0.0, 1.0, 1e3, 1e6, 1e9]),
    st.data(),
)
def test_merged_moments_are_those_of_the_whole_though_the_mean_is_1e9_times_the_spread(
    gaps: list[float], middle: float, data: st.DataObject
) -> None:
    values = [middle + gap for gap in gaps]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=5)))
    parts = [values[i:j] for i, j in zip([0, *cuts], [*cuts, len(values)], strict=True)]
    merged = sum((of(part, middle) for part in parts), Moments(middle))

    exactly = [Fraction(value) for value in values]
    assert merged.units == len(values)
    assert merged.mean() == pytest.approx(float(statistics.mean(exactly)), rel=1e-9, abs=1e-12)
    assert merged.variance() == pytest.approx(float(statistics.variance(exactly)), rel=1e-9)


rows = st.lists(st.tuples(*[st.integers(-(10**5), 10**5).map(float)] * 3), max_size=20)


def joint_of(values: list[tuple[float, float, float]], shifts: tuple[float, float, float]) -> Joint:
    return Joint.of(np.array(values, float).reshape(-1, 3), shifts)


@given(rows, rows, rows, st.tuples(*[st.integers(-1000, 1000).map(float)] * 3))
def test_joints_merge_in_any_order_and_grouping(
    x: list[tuple[float, float, float]],
    y: list[tuple[float, float, float]],
    z: list[tuple[float, float, float]],
    shifts: tuple[float, float, float],
) -> None:
    a, b, c = joint_of(x, shifts), joint_of(y, shifts), joint_of(z, shifts)
    assert a + Joint(shifts) == Joint(shifts) + a == a
    assert a + b == b + a
    assert (a + b) + c == a + (b + c) == joint_of(x + y + z, shifts)


@given(
    st.lists(st.tuples(*[st.integers(-1000, 1000)] * 3), min_size=3, max_size=60),
    st.sampled_from([0.0, 1.0, 1e6, 1e9]),
    st.tuples(*[st.integers(-9, 9).map(float)] * 3),
    st.data(),
)
def test_merged_joints_are_those_of_the_whole_though_the_means_are_1e9_times_the_spread(
    gaps: list[tuple[int, int, int]],
    middle: float,
    coefficients: tuple[float, float, float],
    data: st.DataObject,
) -> None:
    """Values are near `middle` of each variable's own size, with a spread of about 1."""
    shifts = (middle, -2 * middle, 3 * middle)
    values = [(middle + a / 512, -2 * middle + b / 512, 3 * middle + c / 512) for a, b, c in gaps]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=5)))
    parts = [values[i:j] for i, j in zip([0, *cuts], [*cuts, len(values)], strict=True)]
    merged = sum((joint_of(part, shifts) for part in parts), Joint(shifts))

    columns = [[Fraction(row[i]) for row in values] for i in range(3)]
    means = [statistics.mean(column) for column in columns]
    found = merged.covariance()
    assert not isinstance(found, NotEstimable)
    for i in range(3):
        for j in range(3):
            exact = sum((x - means[i]) * (y - means[j]) for x, y in zip(columns[i], columns[j], strict=True))
            least = float(statistics.variance(columns[i]) * statistics.variance(columns[j])) ** 0.5
            assert found[i, j] == pytest.approx(
                float(exact / (len(values) - 1)), rel=1e-9, abs=1e-9 * least + 1e-15
            )
    exactly = [sum(Fraction(c) * x for c, x in zip(coefficients, row, strict=True)) for row in values]
    linear = merged.linear(coefficients)
    assert linear.mean() == pytest.approx(
        float(statistics.mean(exactly)), rel=1e-9, abs=1e-9 + 1e-14 * middle
    )
    variance = statistics.variance(exactly)
    terms = sum(Fraction(c) ** 2 * statistics.variance(x) for c, x in zip(coefficients, columns, strict=True))
    assert linear.variance() == pytest.approx(float(variance), rel=1e-9, abs=1e-8 * float(terms))


def check_fair(one_way: Comparison, other_way: Comparison) -> None:
    """Swapping the arms turns the sign and nothing else."""
    assert isinstance(one_way, NotEstimable) is isinstance(other_way, NotEstimable)
    if isinstance(one_way, NotEstimable) or isinstance(other_way, NotEstimable):
        return
    assert one_way.effect == -other_way.effect
    assert one_way.p_value == pytest.approx(other_way.p_value, rel=1e-9)
    size = one_way.interval.high - one_way.interval.low
    assert one_way.interval.low == pytest.approx(-other_way.interval.high, rel=0, abs=1e-9 * size)
    assert one_way.interval.high == pytest.approx(-other_way.interval.low, rel=0, abs=1e-9 * size)
    assert 0 <= one_way.p_value <= 1
    assert one_way.interval.low <= one_way.effect <= one_way.interval.high


@given(proportions(), proportions(), alphas)
def test_comparing_proportions_is_fair_to_both_arms(a: Proportion, b: Proportion, alpha: float) -> None:
    check_fair(compare_proportions(a, b, alpha), compare_proportions(b, a, alpha))


@given(exact_values, exact_values, alphas)
def test_comparing_means_is_fair_to_both_arms(x: list[float], y: list[float], alpha: float) -> None:
    one_way, other_way = mean_contrast(of(x), of(y)), mean_contrast(of(y), of(x))
    check_fair(fixed(one_way, alpha), fixed(other_way, alpha))


@given(exact_values, exact_values, alphas)
def test_the_interval_of_means_excludes_0_just_where_the_test_is_significant(
    x: list[float], y: list[float], alpha: float
) -> None:
    comparison = fixed(mean_contrast(of(x), of(y)), alpha)
    assume(isinstance(comparison, Difference) and abs(comparison.p_value - alpha) > 1e-9)
    assert isinstance(comparison, Difference)
    excludes = comparison.interval.low > 0 or comparison.interval.high < 0
    assert excludes is (comparison.p_value < alpha)


@given(proportions(), proportions(), alphas, alphas)
def test_a_smaller_alpha_gives_a_wider_interval(
    a: Proportion, b: Proportion, one: float, other: float
) -> None:
    wide, narrow = (compare_proportions(a, b, alpha) for alpha in sorted((one, other)))
    if isinstance(wide, Difference) and isinstance(narrow, Difference):
        assert wide.interval.low <= narrow.interval.low
        assert wide.interval.high >= narrow.interval.high


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 100)), max_size=6), st.randoms())
def test_a_sample_ratio_has_a_p_value_whatever_the_order_of_the_arms(
    arms: list[tuple[int, int]], chance: object
) -> None:
    result = srm([units for units, _ in arms], [share for _, share in arms])
    chance.shuffle(arms)  # type: ignore[attr-defined] # Hypothesis does not type its Random
    shuffled = srm([units for units, _ in arms], [share for _, share in arms])
    assert isinstance(result, NotEstimable) is isinstance(shuffled, NotEstimable)
    if isinstance(result, ChiSquared) and isinstance(shuffled, ChiSquared):
        assert 0 <= result.p_value() <= 1
        assert shuffled.p_value() == pytest.approx(result.p_value(), rel=1e-6, abs=1e-300)


@given(rates, rates, alphas, powers, ratios)
def test_a_size_of_proportions_reaches_its_power_and_one_percent_less_does_not(
    baseline: float, treated: float, alpha: float, power: float, ratio: float
) -> None:
    effect = treated - baseline
    assume(abs(effect) > 1e-6 and power > alpha + 0.01)
    units = proportion_size(baseline, effect, alpha, power, ratio)
    assert proportion_power(baseline, effect, units, alpha, ratio) >= power - 1e-12
    assert proportion_power(baseline, effect, 1.01 * units, alpha, ratio) > proportion_power(
        baseline, effect, units, alpha, ratio
    )


@given(rates, st.floats(1e-5, 0.5), st.floats(1.01, 10), alphas, powers)
def test_a_larger_effect_a_larger_alpha_and_less_power_take_fewer_units(
    baseline: float, effect: float, times: float, alpha: float, power: float
) -> None:
    assume(baseline + times * effect < 1 and power > alpha + 0.01)
    units = proportion_size(baseline, effect, alpha, power)
    assert proportion_size(baseline, times * effect, alpha, power) < units
    assert proportion_size(baseline, effect, alpha / times, power) > units
    assert proportion_size(baseline, effect, alpha, 1 - (1 - power) / times) > units


@given(st.floats(1e-3, 5), st.floats(1.01, 10), st.floats(1e-4, 0.4), powers, ratios)
def test_sizes_of_means_move_the_same_way(
    effect: float, times: float, alpha: float, power: float, ratio: float
) -> None:
    assume(power > alpha + 0.01)
    units = mean_size(1.0, effect, alpha, power, ratio)
    assert mean_power(1.0, effect, units, alpha, ratio) >= power - 1e-9
    assert mean_size(1.0, times * effect, alpha, power, ratio) <= units
    assert mean_size(times, effect, alpha, power, ratio) >= units
    assert mean_size(1.0, effect, alpha / times, power, ratio) >= units


@given(rates, st.floats(10, 1e9), alphas, powers)
def test_the_least_effect_that_a_size_finds_is_found_with_the_power_asked_for(
    baseline: float, units: float, alpha: float, power: float
) -> None:
    assume(power > alpha + 0.01)
    effect = minimum_effect(baseline, units, alpha, power)
    if not isinstance(effect, NotEstimable):
        assume(baseline + effect < 1)
        assert proportion_power(baseline, effect, units, alpha) == pytest.approx(power, abs=1e-6)


@st.composite
def cohorts(draw: st.DrawFn) -> list[tuple[list[float], list[float]]]:
    """The values of control and treatment in each of some cohorts, 0 or 1."""
    values = st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=30)
    return draw(st.lists(st.tuples(values, values), min_size=1, max_size=4))


@given(cohorts(), alphas, st.randoms(use_true_random=False))
def test_within_cohorts_swapped_arms_mirror_the_answer_and_the_order_of_cohorts_is_nothing(
    found: list[tuple[list[float], list[float]]], alpha: float, chance: object
) -> None:
    def compared(pairs: list[tuple[list[float], list[float]]]) -> list[Comparison]:
        means = [(len(a) + len(b), mean_contrast(of(a), of(b))) for a, b in pairs]
        spread = [(weight, contrast) for weight, contrast in means if isinstance(contrast, Contrast)]
        counts = [
            Stratum(len(a) + len(b), Proportion(len(a), int(sum(a))), Proportion(len(b), int(sum(b))))
            for a, b in pairs
        ]
        return [fixed(combine(spread), alpha), compare_stratified_proportions(counts, alpha)]

    shuffled = list(found)
    chance.shuffle(shuffled)  # type: ignore[attr-defined] # Hypothesis does not type its Random
    forward, mirrored = compared(found), compared([(b, a) for a, b in shuffled])
    for one, other in zip(forward, mirrored, strict=True):
        assert isinstance(one, NotEstimable) is isinstance(other, NotEstimable)
        if isinstance(one, Difference) and isinstance(other, Difference):
            assert other.effect == pytest.approx(-one.effect, abs=1e-12)
            assert other.interval.low == pytest.approx(-one.interval.high, rel=1e-9, abs=1e-12)
            assert one.interval.low <= one.effect <= one.interval.high
            assert other.p_value == pytest.approx(one.p_value, rel=1e-6, abs=1e-12)
            assert 0 <= one.p_value <= 1
