import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest
from scipy.stats import norm

from meshtrial.stats import switchback
from meshtrial.stats.contrast import Contrast, Contrasted
from meshtrial.stats.estimate import Difference, NotEstimable
from meshtrial.stats.switchback import (
    Windows,
    carried_windows,
    compare_switchback,
    randomisation_p_value,
    switchback_contrast,
)


def told(contrast: Contrasted) -> Contrast:
    assert isinstance(contrast, Contrast)
    return contrast


def reason(found: object) -> str:
    assert isinstance(found, NotEstimable)
    return found.reason


@pytest.fixture
def _however_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switchback, "LEAST_EXPECTED", 0.0)


KEYS, NUMBERS = np.repeat([7, 3], 5), np.tile([104, 102, 100, 103, 101], 2)
"""Two keys with five windows each, out of order."""
SHARES = np.linspace(0.3, 0.7, 10)
ONES = np.ones(10)


def allocations(shares: np.ndarray) -> Iterator[tuple[np.ndarray, float]]:
    """All that could have been drawn, and how likely each is."""
    for arms in itertools.product([False, True], repeat=len(shares)):
        treated = np.array(arms)
        yield treated, float(np.prod(np.where(treated, shares, 1 - shares)))


def by_definition(windows: Windows, carried: int) -> float:
    """The estimate, window by window."""
    total = sizes = 0.0
    rows = {
        (key, number): i for i, (key, number) in enumerate(zip(windows.keys, windows.numbers, strict=True))
    }
    for (key, number), i in rows.items():
        past = [rows.get((key, number - back), -1) for back in range(carried + 1)]
        if -1 in past:
            continue
        sizes += windows.sizes[i]
        far = (windows.keys != key) | (abs(windows.numbers - number) > carried)
        centre, share = windows.sums[far].sum() / windows.sizes[far].sum(), windows.shares[past]
        gap = windows.sums[i] - centre * windows.sizes[i]
        if windows.treated[past].all():
            total += gap / np.prod(share)
        elif not windows.treated[past].any():
            total -= gap / np.prod(1 - share)
    return float(total / sizes)


@pytest.mark.usefixtures("_however_few")
@pytest.mark.parametrize("carried", [0, 1, 2])
def test_over_all_allocations_the_estimate_is_right_and_its_variance_known(carried: int) -> None:
    sums = np.random.default_rng(carried).normal(5, 1, 10)
    mean = square = variance = 0.0
    for treated, chance in allocations(SHARES):
        windows = Windows(KEYS, NUMBERS, treated, SHARES, sums, ONES)
        found = by_definition(windows, carried)
        mean += chance * found
        square += chance * found**2
        variance = max(variance, told(switchback_contrast(windows, carried)).error ** 2)
        if chance < 5e-4:  # the code is asked often enough
            assert told(switchback_contrast(windows, carried)).effect == pytest.approx(found)

    assert mean == pytest.approx(0, abs=1e-12)
    # What is said of the error is for an effect as large as the one estimated, so it is never less.
    assert variance >= square


@pytest.mark.usefixtures("_however_few")
@pytest.mark.parametrize("carried", [0, 1])
def test_with_effects_that_carry_over_the_mean_of_all_estimates_is_their_mean(carried: int) -> None:
    without, now, later = np.random.default_rng(3).normal(4, 1, (3, 10))
    rows = {(key, number): i for i, (key, number) in enumerate(zip(KEYS, NUMBERS, strict=True))}
    before = np.array([rows.get((key, number - 1), -1) for key, number in zip(KEYS, NUMBERS, strict=True)])
    value = mean = 0.0
    for treated, chance in allocations(SHARES):
        sums = without + now * treated + carried * later * (treated[before] & (before >= 0))
        contrast = told(switchback_contrast(Windows(KEYS, NUMBERS, treated, SHARES, sums, ONES), carried))
        mean += chance * contrast.effect
        value += chance * contrast.control
    known = before >= 0 if carried else before > -2
    assert mean == pytest.approx((now + carried * later)[known].mean())
    assert value == pytest.approx(without[known].mean())


@pytest.mark.usefixtures("_however_few")
@pytest.mark.parametrize("carried", [0, 1, 2])
def test_the_error_of_no_effect_is_that_over_all_allocations(carried: int) -> None:
    sums = np.random.default_rng(carried).normal(5, 1, 10)
    square, found = 0.0, {}
    for treated, chance in allocations(SHARES):
        windows = Windows(KEYS, NUMBERS, treated, SHARES, sums, ONES)
        contrast = told(switchback_contrast(windows, carried))
        square += chance * contrast.effect**2
        found[abs(contrast.effect)] = contrast.error
    least = min(found)
    assert found[least] ** 2 == pytest.approx(square, rel=0.05)


@pytest.mark.usefixtures("_however_few")
def test_the_p_value_is_the_share_of_all_allocations_with_as_large_an_effect() -> None:
    sums = np.random.default_rng(5).normal(5, 1, 10)
    chances = []
    for treated, chance in allocations(SHARES):
        windows = Windows(KEYS, NUMBERS, treated, SHARES, sums, ONES)
        chances.append((abs(by_definition(windows, 1)), chance))
    made = np.array([True, True, False, True, True, False, False, True, False, True])
    windows = Windows(KEYS, NUMBERS, made, SHARES, sums, ONES)
    least = abs(by_definition(windows, 1)) * (1 - 1e-12)
    exact = sum(chance for effect, chance in chances if effect >= least)
    found = randomisation_p_value(windows, 1, np.random.default_rng(6), 100_000)
    assert 0.02 < exact < 0.98
    assert found == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 100_000))


def steady(rng: np.random.Generator, keys: int, windows: int, effect: float = 0.0) -> Windows:
    """Windows of several keys, with an effect that does not carry over."""
    count = keys * windows
    treated = rng.random(count) < 0.5
    sums = rng.normal(20, 1, count) + effect * treated
    return Windows(
        np.repeat(np.arange(keys), windows),
        np.tile(np.arange(windows), keys),
        treated,
        np.full(count, 0.5),
        sums,
        np.ones(count),
    )


def test_without_carryover_it_is_the_plain_difference_but_for_its_weights() -> None:
    windows = steady(np.random.default_rng(1), 3, 40, 1.0)
    found = told(switchback_contrast(windows, 0))
    gaps = (windows.sums - windows.sums.mean()) * 120 / 119
    assert found.effect == pytest.approx(
        2 * (gaps[windows.treated].sum() - gaps[~windows.treated].sum()) / 120
    )
    plain = windows.sums[windows.treated].mean() - windows.sums[~windows.treated].mean()
    assert found.effect == pytest.approx(plain, abs=found.error / 2)
    assert found.treatment_units == windows.treated.sum()
    assert found.units == 120
    # Neyman's variance of two means, of 60 windows each.
    assert found.error == pytest.approx(math.sqrt(4 * gaps.var() / 120), rel=0.02)


def test_a_window_counts_only_after_as_many_of_its_arm_and_key() -> None:
    windows = steady(np.random.default_rng(2), 3, 60)
    runs = [windows.treated.reshape(3, 60)[:, i : i + 58] for i in range(3)]
    found = told(switchback_contrast(windows, 2))
    assert found.treatment_units == np.all(runs, axis=0).sum()
    assert found.control_units == (~np.any(runs, axis=0)).sum()
    assert found.effect == pytest.approx(by_definition(windows, 2))


def test_a_window_that_is_missing_leaves_out_those_that_depend_on_it() -> None:
    windows = steady(np.random.default_rng(2), 2, 60)
    kept = np.arange(120) != 30
    columns = (windows.keys, windows.numbers, windows.treated, windows.shares, windows.sums, windows.sizes)
    fewer = Windows(*(column[kept] for column in columns))
    found = told(switchback_contrast(fewer, 1))
    assert found.effect == pytest.approx(by_definition(fewer, 1))
    assert found.error > 0


def test_a_ratio_weighs_windows_by_their_denominators() -> None:
    rng = np.random.default_rng(4)
    windows = steady(rng, 2, 60)
    sizes = rng.integers(1, 30, 120).astype(float)
    ratio = Windows(
        windows.keys, windows.numbers, windows.treated, windows.shares, windows.sums * sizes, sizes
    )
    found = told(switchback_contrast(ratio, 1))
    assert found.effect == pytest.approx(by_definition(ratio, 1))
    assert found.control == pytest.approx(20, abs=0.5)


def test_a_found_effect_has_the_contrast_s_interval_and_the_p_value_of_draws() -> None:
    windows = steady(np.random.default_rng(9), 4, 80, 0.25)
    found = compare_switchback(windows, 0, 0.05, np.random.default_rng(10))
    again = compare_switchback(windows, 0, 0.05, np.random.default_rng(10))
    contrast = told(switchback_contrast(windows, 0))
    assert isinstance(found, Difference)
    assert found == again
    assert found.interval.high - found.effect == pytest.approx(norm.ppf(0.975) * contrast.error)
    assert found.p_value == pytest.approx(2 * norm.sf(abs(contrast.effect) / contrast.error), abs=0.02)
    assert found.p_value * 10_001 == pytest.approx(round(found.p_value * 10_001))


def test_an_outcome_far_from_zero_changes_no_error() -> None:
    windows = steady(np.random.default_rng(11), 4, 80)
    far = Windows(
        windows.keys, windows.numbers, windows.treated, windows.shares, windows.sums + 1e6, windows.sizes
    )
    near, moved = told(switchback_contrast(windows, 1)), told(switchback_contrast(far, 1))
    assert moved.error == pytest.approx(near.error, rel=1e-6)
    assert moved.effect == pytest.approx(near.effect, rel=1e-6)


def test_too_few_windows_in_a_row_tell_nothing() -> None:
    windows = steady(np.random.default_rng(1), 1, 60)
    assert "3.56 windows are expected to count for an arm" in reason(switchback_contrast(windows, 3))
    assert isinstance(compare_switchback(windows, 3, 0.05, np.random.default_rng(1)), NotEstimable)
    assert isinstance(randomisation_p_value(windows, 3, np.random.default_rng(1)), NotEstimable)
    assert "no window has the 70 before it" in reason(switchback_contrast(windows, 70))


def test_outcomes_that_do_not_vary_tell_nothing() -> None:
    windows = steady(np.random.default_rng(1), 1, 60)
    flat = Windows(
        windows.keys, windows.numbers, windows.treated, windows.shares, 0.1 * ONES.repeat(6), ONES.repeat(6)
    )
    assert "do not vary" in reason(switchback_contrast(flat, 0))


@pytest.mark.parametrize(
    ("carryover", "window", "windows"), [(0, 3600, 0), (1, 3600, 1), (3600, 3600, 1), (3601, 3600, 2)]
)
def test_an_arm_carries_over_into_every_window_begun(carryover: int, window: int, windows: int) -> None:
    assert carried_windows(carryover, window) == windows


def test_what_cannot_be_is_refused() -> None:
    windows = steady(np.random.default_rng(1), 1, 60)
    with pytest.raises(ValueError, match="carried"):
        switchback_contrast(windows, -1)
    with pytest.raises(ValueError, match="draws"):
        randomisation_p_value(windows, 0, np.random.default_rng(1), 0)
    with pytest.raises(ValueError, match="alpha"):
        compare_switchback(windows, 0, 0.5, np.random.default_rng(1))
    with pytest.raises(ValueError, match="shares"):
        Windows(KEYS, NUMBERS, ONES > 0, ONES, ONES, ONES)
    with pytest.raises(ValueError, match="each window once"):
        Windows(KEYS, np.zeros(10, int), ONES > 0, SHARES, ONES, ONES)
    with pytest.raises(ValueError, match="finite"):
        Windows(KEYS, NUMBERS, ONES > 0, SHARES, ONES * math.inf, ONES)
    with pytest.raises(ValueError, match="one key"):
        Windows(KEYS, NUMBERS, ONES > 0, SHARES, ONES[:9], ONES)
