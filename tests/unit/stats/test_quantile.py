import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm, quantile_test

from meshtrial.stats.contrast import Contrast, Contrasted
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.fixed import fixed_critical
from meshtrial.stats.joint import Joint
from meshtrial.stats.quantile import (
    QuantileSample,
    Ranks,
    cluster_inflation,
    enough_events,
    order_ranks,
    quantile_contrast,
    quantile_error,
    share_error,
    value_rank,
)


def told(contrast: Contrasted) -> Contrast:
    assert isinstance(contrast, Contrast)
    return contrast


def counted(values: np.ndarray, unit: np.ndarray, at: float, *, strictly: bool = False) -> Joint:
    """Of each unit its events at or below a value (`strictly`: below it), and its events."""
    size = int(unit.max()) + 1
    below = np.bincount(unit, values < at if strictly else values <= at, minlength=size)
    return Joint.of(np.stack([below, np.bincount(unit, minlength=size)], axis=1).astype(float), [0.0, 0.0])


def sampled(values: np.ndarray, q: float, unit: np.ndarray | None = None) -> QuantileSample:
    """As the store would deliver it; without units every event is one of its own."""
    unit = np.arange(values.size) if unit is None else unit
    ordered = np.sort(values)
    at = float(ordered[value_rank(values.size, q) - 1])
    counts, beneath = (counted(values, unit, at, strictly=strictly) for strictly in (False, True))
    near = (float(max(values[values < at], default=at)), float(min(values[values > at], default=at)))
    inflation = cluster_inflation(counts, beneath)
    assert isinstance(inflation, float)
    ranks = order_ranks(values.size, q, inflation)
    assert isinstance(ranks, Ranks)
    lower, upper = (float(ordered[int(rank) - 1]) for rank in (ranks.lower, ranks.upper))
    return QuantileSample(q, at, counts, beneath, *near, ranks, lower, upper)


@pytest.mark.parametrize("q", [0.5, 0.9, 0.99])
def test_the_error_is_the_textbooks_where_the_density_is_known(q: float) -> None:
    """sqrt(q (1 - q) / n) / density, of exponential events."""
    rng = np.random.default_rng(1)
    arms = [sampled(rng.exponential(1, n), q) for n in (400_000, 100_000)]
    found = told(quantile_contrast(*arms))
    for error, n in ((found.control_error, 400_000), (found.treatment_error, 100_000)):
        assert error == pytest.approx(math.sqrt(q * (1 - q) / n) / (1 - q), rel=0.1)
    assert found.control == pytest.approx(-math.log(1 - q), rel=0.02)
    assert (found.control_units, found.treatment_units) == (400_000, 100_000)


@pytest.mark.parametrize("q", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("seed", range(4))
def test_value_and_interval_of_an_arm_are_about_those_of_scipys_binomial_test(seed: int, q: float) -> None:
    values = np.random.default_rng(seed).lognormal(0, 1, 30_000)
    exact = quantile_test(values, p=q).confidence_interval(0.95)
    arm = sampled(values, q)
    error = told(quantile_contrast(arm, arm)).control_error
    assert arm.value == np.quantile(values, q, method="inverted_cdf")
    assert 2 * norm.isf(0.025) * error == pytest.approx(exact.high - exact.low, rel=0.1)


def test_events_alike_within_a_unit_inflate_the_error_by_the_design_effect() -> None:
    """All 25 events of a unit have one value: the error is that of units alone."""
    rng = np.random.default_rng(2)
    values = rng.normal(size=2000)
    alone = sampled(values, 0.9)
    together = sampled(np.repeat(values, 25), 0.9, np.repeat(np.arange(2000), 25))
    assert cluster_inflation(alone.counts, alone.beneath) == pytest.approx(1, abs=1e-3)
    assert cluster_inflation(together.counts, together.beneath) == pytest.approx(25, rel=1e-3)
    one, other = (told(quantile_contrast(arm, arm)) for arm in (alone, together))
    assert one.error == pytest.approx(other.error, rel=0.03)
    assert other.freedom == pytest.approx(2 * 1999)


def test_the_error_of_the_share_is_the_delta_methods_over_units() -> None:
    rng = np.random.default_rng(3)
    events = 1 + rng.poisson(3, 300)
    below = rng.binomial(events, rng.beta(8, 2, 300))
    share = below.sum() / events.sum()
    z = (below - share * events) / events.mean()
    counts = Joint.of(np.stack([below, events], axis=1).astype(float), [0.0, 0.0])
    assert share_error(counts) == pytest.approx(z.std(ddof=1) / math.sqrt(300))


def test_the_value_is_the_least_with_that_share_at_or_below_it() -> None:
    assert [value_rank(10, q) for q in (0.01, 0.1, 0.11, 0.5, 0.99)] == [1, 1, 2, 5, 10]


def test_the_ranks_to_ask_for_lie_two_errors_of_the_share_on_either_side() -> None:
    assert order_ranks(10_000, 0.5) == Ranks(4902, 5098)
    assert order_ranks(10_000, 0.99) == Ranks(9880, 9920)
    assert order_ranks(10_000, 0.5, 25.0) == Ranks(4510, 5490)


@pytest.mark.parametrize(("events", "q"), [(300, 0.99), (300, 0.01), (0, 0.5), (3, 0.5)])
def test_ranks_that_fall_off_the_sample_are_refused(events: int, q: float) -> None:
    refused = order_ranks(events, q)
    assert refused == NotEstimable(f"{events} events are too few for the quantile {q:g}")


def test_few_units_make_few_degrees_of_freedom_however_many_their_events() -> None:
    rng = np.random.default_rng(4)
    unit = np.repeat(np.arange(12), 500)
    arm = sampled(rng.normal(size=6000) + 0.1 * rng.normal(size=12)[unit], 0.5, unit)
    found = told(quantile_contrast(arm, arm))
    assert found.freedom == pytest.approx(22)
    assert fixed_critical(found, 0.05) > 2.05


@pytest.mark.parametrize(
    ("draw", "q", "events"),
    [
        (lambda rng, n: rng.choice(5, n, p=[0.1, 0.15, 0.25, 0.3, 0.2]) + 1.0, 0.5, 2000),
        (lambda rng, n: np.round(np.exp(rng.normal(3, 0.5, n))), 0.95, 20_000),
        (lambda rng, n: np.floor(50 * np.exp(rng.normal(0, 0.5, n))), 0.5, 10_000),
        (lambda rng, n: rng.geometric(1 / 3, n).astype(float), 0.9, 1000),
    ],
    ids=["stars", "milliseconds, p95", "milliseconds, median", "turns"],
)
def test_whole_numbers_without_an_effect_seldom_have_one(
    draw: Callable[[np.random.Generator, int], np.ndarray], q: float, events: int
) -> None:
    rng = np.random.default_rng(8)
    missed = 0
    for _ in range(100):
        found = told(quantile_contrast(*(sampled(draw(rng, events), q) for _ in range(2))))
        missed += abs(found.effect) > fixed_critical(found, 0.05) * found.error
    assert missed <= 12  # of 5 expected at most: more by chance once in 500


def test_an_arm_whose_order_statistics_are_one_value_reaches_to_the_next_one_by_how_sure_it_is() -> None:
    """6 of 10 events are 3: by the binomial's own error, 3 is as far from 2 and 4 as these figures say."""
    values = np.repeat([1.0, 2.0, 3.0, 5.0], [100, 200, 600, 100])
    arm = sampled(values, 0.5)
    assert (arm.lower, arm.value, arm.upper) == (3.0, 3.0, 3.0)
    of_share = math.sqrt(0.25 / 999)
    found = quantile_error(arm)
    assert found == pytest.approx(max(1 / ((0.5 - 0.3) / of_share), 2 / ((0.9 - 0.5) / of_share)), rel=1e-3)


def test_a_quantile_at_the_end_of_a_scale_has_an_error_by_its_other_side() -> None:
    arm = sampled(np.repeat([1.0, 4.0, 5.0], [100, 200, 700]), 0.5)
    assert (arm.value, arm.above) == (5.0, 5.0)
    assert quantile_error(arm) == pytest.approx(math.sqrt(0.25 / 999) / 0.2, rel=1e-3)


def test_a_clear_shift_of_whole_numbers_is_told() -> None:
    low, high = np.repeat([1.0, 3.0, 4.0], [300, 600, 100]), np.repeat([1.0, 3.0, 4.0], [100, 300, 600])
    found = told(quantile_contrast(sampled(low, 0.5), sampled(high, 0.5)))
    assert found.effect == 1
    assert found.effect > 2 * found.error


def test_events_are_enough_by_their_counts_however_alike_those_of_a_unit_are() -> None:
    def units(events: list[int]) -> Joint:
        return Joint.of(np.array([[0.0, one] for one in events]), [0.0, 3.0])

    assert enough_events(units([1] * 500), 0.99)
    assert not enough_events(units([1] * 300), 0.99)
    assert not enough_events(units([20] * 50), 0.99)  # 1000 events that may be 50
    assert enough_events(units([20] * 500), 0.99)
    assert not enough_events(units([400] + [1] * 100), 0.9)
    assert not enough_events(units([1000]), 0.5)
    assert not enough_events(Joint((0.0, 0.0)), 0.5)


def test_units_that_tell_nothing_of_the_shares_spread_are_refused() -> None:
    good = sampled(np.random.default_rng(6).exponential(1, 5000), 0.9)
    same = Joint.of(np.tile([9.0, 10.0], (500, 1)), [0.0, 0.0])
    none = Joint((0.0, 0.0))
    for counts in (same, none):
        refused = quantile_contrast(good, replace(good, counts=counts, beneath=counts))
        assert isinstance(refused, NotEstimable)
        assert refused.reason.startswith("treatment: ")
        assert isinstance(quantile_contrast(replace(good, counts=counts, beneath=counts), good), NotEstimable)
        assert isinstance(cluster_inflation(counts, counts), NotEstimable)


def test_order_statistics_out_of_order_are_a_mistake() -> None:
    good = sampled(np.random.default_rng(7).exponential(1, 5000), 0.9)
    with pytest.raises(ValueError, match=r"^order statistics must ascend, not"):
        replace(good, lower=good.upper)
    with pytest.raises(ValueError, match=r"^neighbours must ascend, not"):
        replace(good, above=good.below)


@pytest.mark.parametrize("q", [0.0, 1.0, math.nan])
def test_a_quantile_out_of_range_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match=r"^q must be above 0 and below 1"):
        order_ranks(100, q)
    with pytest.raises(ValueError, match=r"^q must be above 0 and below 1"):
        value_rank(100, q)
    with pytest.raises(ValueError, match=r"^inflation must be above 0"):
        order_ranks(100, 0.5, q if math.isnan(q) else 0.0)
