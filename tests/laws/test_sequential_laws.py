"""More evidence never counts for less, order counts where it means something, corrections only enlarge."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshtrial.stats.contrast import Contrast
from meshtrial.stats.estimate import Difference, Interval, NotEstimable
from meshtrial.stats.multiplicity import (
    benjamini_hochberg,
    benjamini_yekutieli,
    bonferroni,
    hochberg,
    holm,
    holm_sidak,
)
from meshtrial.stats.proportion import Proportion
from meshtrial.stats.safe import SafeTest
from meshtrial.stats.sequence import confidence_sequence, running_intersection, sequence_p_value
from meshtrial.stats.srm import Split, SrmEvidence, sequential_srm

Adjust = Callable[[Sequence[float]], list[float]]
ADJUST: list[Adjust] = [bonferroni, holm, holm_sidak, hochberg, benjamini_hochberg, benjamini_yekutieli]

alphas = st.floats(1e-6, 0.499)
freedoms = st.one_of(st.just(math.inf), st.floats(2, 1e6))
p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@st.composite
def contrasts(draw: st.DrawFn) -> Contrast:
    value, effect = draw(st.floats(-100, 100)), draw(st.floats(-5, 5))
    errors = draw(st.floats(0.01, 3)), draw(st.floats(0.01, 3))
    units = draw(st.integers(2, 10**6)), draw(st.integers(2, 10**6))
    return Contrast("any", value, effect, *errors, draw(freedoms), *units)


def look(contrast: Contrast, alpha: float, tuned_for: float) -> Difference | None:
    found = confidence_sequence(contrast, alpha, tuned_for)
    return found if isinstance(found, Difference) else None


@given(contrasts(), alphas, st.floats(10, 1e7))
def test_the_interval_leaves_out_0_where_the_p_value_is_below_alpha(
    contrast: Contrast, alpha: float, tuned_for: float
) -> None:
    if (found := look(contrast, alpha, tuned_for)) is None:
        return
    outside = not found.interval.low <= 0 <= found.interval.high
    if abs(found.p_value / alpha - 1) > 1e-6:
        assert outside is (found.p_value < alpha)


@given(st.floats(0, 30), st.floats(0, 30), st.floats(1, 1e8), freedoms, st.floats(10, 1e7))
def test_a_larger_effect_has_no_larger_p_value(
    one: float, other: float, time: float, freedom: float, tuned_for: float
) -> None:
    small, large = sorted((one, other))
    p = sequence_p_value([small, large, -large], time, 0.05, tuned_for, freedom)
    assert p[1] <= p[0] * (1 + 1e-9)
    assert p[1] == p[2]
    assert ((p >= 0) & (p <= 1)).all()


@given(contrasts(), alphas, alphas, st.floats(10, 1e7))
def test_once_both_are_at_their_tightest_a_smaller_alpha_has_the_wider_interval(
    contrast: Contrast, one: float, other: float, tuned_for: float
) -> None:
    strict, lax = sorted((one, other))
    wide, narrow = look(contrast, strict, tuned_for), look(contrast, lax, tuned_for)
    # Not long before: each alpha is tuned for itself.
    if wide is not None and narrow is not None and contrast.units >= tuned_for:
        assert wide.interval.low <= narrow.interval.low + 1e-9
        assert wide.interval.high >= narrow.interval.high - 1e-9


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(0, 9)), max_size=8))
def test_a_running_intersection_only_shrinks_and_lies_in_every_look(looks: list[tuple[float, float]]) -> None:
    intervals = [Interval(middle - half, middle + half) for middle, half in looks]
    agreed = running_intersection(intervals)
    for k, part in enumerate(agreed):
        common = (max(i.low for i in intervals[: k + 1]), min(i.high for i in intervals[: k + 1]))
        if isinstance(part, NotEstimable):
            assert common[0] > common[1]
        else:
            assert (part.low, part.high) == common


@st.composite
def blocks(draw: st.DrawFn) -> Proportion:
    units = draw(st.integers(0, 50))
    return Proportion(units, draw(st.integers(0, units)))


pairs = st.lists(st.tuples(blocks(), blocks()), max_size=8)


def folded(blocks: Sequence[tuple[Proportion, Proportion]]) -> SafeTest:
    test = SafeTest()
    for control, treatment in blocks:
        test = test.after(control, treatment)
    return test


@given(pairs)
def test_a_safe_test_is_fair_to_both_arms_and_to_both_answers(
    blocks: list[tuple[Proportion, Proportion]],
) -> None:
    test = folded(blocks)
    swapped = folded([(treatment, control) for control, treatment in blocks])

    def turned(sample: Proportion) -> Proportion:
        return Proportion(sample.units, sample.units - sample.successes)

    assert swapped.log_e == pytest.approx(test.log_e, abs=1e-9)
    assert folded([(turned(a), turned(b)) for a, b in blocks]).log_e == pytest.approx(test.log_e, abs=1e-9)


@given(pairs, st.data())
def test_a_safe_p_value_never_rises_and_folding_may_be_taken_up_again(
    blocks: list[tuple[Proportion, Proportion]], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(blocks)))
    test = folded(blocks[:cut])
    for control, treatment in blocks[cut:]:
        later = test.after(control, treatment)
        assert later.p_value() <= test.p_value()
        test = later
    assert test == folded(blocks)


@given(blocks(), blocks(), blocks(), blocks())
def test_one_block_is_its_likelihoods_multiplied_unit_by_unit(
    seen: Proportion, seen_treatment: Proportion, control: Proportion, treatment: Proportion
) -> None:
    before = SafeTest().after(seen, seen_treatment)
    rates = [(sample.successes + 0.18) / (sample.units + 0.36) for sample in (seen, seen_treatment)]
    sizes = control.units, treatment.units
    middle = np.average(rates, weights=sizes) if sum(sizes) else 0.5
    log_e = 0.0
    for rate, sample in zip(rates, (control, treatment), strict=True):
        for unit in range(sample.units):
            log_e += math.log(rate / middle if unit < sample.successes else (1 - rate) / (1 - middle))
    assert before.after(control, treatment).log_e - before.log_e == pytest.approx(log_e, abs=1e-7)


@st.composite
def splits(draw: st.DrawFn) -> list[Split]:
    buckets = draw(st.integers(1, 4))
    whole = []
    for _ in range(draw(st.integers(1, 4))):
        arms = draw(st.integers(2, 3))
        shares = draw(st.lists(st.integers(1, 9), min_size=arms, max_size=arms))
        rows = st.lists(st.integers(0, 400), min_size=arms, max_size=arms).map(tuple)
        whole.append(Split(tuple(shares), tuple(draw(st.lists(rows, min_size=buckets, max_size=buckets)))))
    return whole


@given(splits())
def test_srm_takes_its_splits_and_arms_in_any_order(whole: list[Split]) -> None:
    found = sequential_srm(whole)
    turned = [
        Split(split.shares[::-1], tuple(bucket[::-1] for bucket in split.units)) for split in whole[::-1]
    ]
    again = sequential_srm(turned)
    assert isinstance(found, SrmEvidence) is isinstance(again, SrmEvidence)
    if isinstance(found, SrmEvidence) and isinstance(again, SrmEvidence):
        assert again.log_e == pytest.approx(found.log_e, abs=1e-7)


@given(splits())
def test_srm_is_the_product_over_splits_and_forgets_no_alarm(whole: list[Split]) -> None:
    found = sequential_srm(whole)
    if not isinstance(found, SrmEvidence):
        return
    alone = [sequential_srm([split]) for split in whole]
    parts = [part.log_e for part in alone if isinstance(part, SrmEvidence)]
    assert found.log_e == pytest.approx(np.sum(parts, axis=0).tolist(), abs=1e-7)
    earlier = sequential_srm([Split(split.shares, split.units[:-1]) for split in whole])
    if isinstance(earlier, SrmEvidence):
        assert found.p_value() <= earlier.p_value()


@given(p_lists, st.sampled_from(ADJUST))
def test_an_adjusted_p_value_is_at_least_the_p_value_and_keeps_its_rank(
    p: list[float], adjust: Adjust
) -> None:
    adjusted = adjust(p)
    assert all(before <= after <= 1 for before, after in zip(p, adjusted, strict=True))
    ranked = [after for _, after in sorted(zip(p, adjusted, strict=True))]
    assert ranked == sorted(ranked)


@given(p_lists, st.sampled_from(ADJUST))
def test_tests_may_be_named_in_any_order(p: list[float], adjust: Adjust) -> None:
    assert adjust(p[::-1]) == adjust(p)[::-1]


@given(p_lists, st.integers(0, 11), st.floats(0, 1), st.sampled_from(ADJUST))
def test_a_smaller_p_value_makes_none_larger(
    p: list[float], which: int, factor: float, adjust: Adjust
) -> None:
    smaller = list(p)
    smaller[which % len(p)] *= factor
    assert all(a <= b + 1e-12 for a, b in zip(adjust(smaller), adjust(p), strict=True))


@given(p_lists)
def test_the_corrections_are_ordered(p: list[float]) -> None:
    def no_larger(some: Adjust, other: Adjust) -> bool:
        return all(a <= b + 1e-12 for a, b in zip(some(p), other(p), strict=True))

    assert no_larger(holm, bonferroni)
    assert no_larger(holm_sidak, holm)
    assert no_larger(hochberg, holm)
    assert no_larger(benjamini_hochberg, hochberg)
    assert no_larger(benjamini_hochberg, benjamini_yekutieli)
