"""Trials with several looks, simulated: do they err as often as they say, and does looking freely not?"""

import math
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import binomtest, norm

from meshtrial.plan.inference import Boundary, Shape
from meshtrial.stats.boundary import exact_bounds, spending_bounds
from meshtrial.stats.contrast import Contrast
from meshtrial.stats.group_sequential import Adjusted, GroupSequential, Look, adjust
from meshtrial.stats.information import information_clock
from proof import often

RUNS = often(20_000, 100_000)
OBRIEN_FLEMING, POCOCK = Boundary(Shape.OBRIEN_FLEMING), Boundary(Shape.POCOCK)
HWANG_SHIH_DECANI = Boundary(Shape.HWANG_SHIH_DECANI, -4.0)
EVEN, UNEVEN = (0.2, 0.4, 0.6, 0.8, 1.0), (0.05, 0.5, 0.55, 0.95, 1.0)

Floats = npt.NDArray[np.float64]


def walks(rng: np.random.Generator, times: tuple[float, ...], drift: float = 0.0) -> Floats:
    """Z values at looks with information at these times, `drift` their mean at time 1: (runs, looks)."""
    t = np.array(times)
    steps = rng.standard_normal((RUNS, len(t))) * np.sqrt(np.diff(t, prepend=0))
    return np.asarray(steps.cumsum(axis=1) / np.sqrt(t) + drift * np.sqrt(t))


def in_band(count: int, exact: float, runs: int = RUNS) -> bool:
    """Whether so many of all runs agree with this rate, on a two-sided 99.9% band."""
    return bool(binomtest(int(count), runs, exact).pvalue >= 0.001)


def rejected(z: Floats, bounds: Floats) -> int:
    return int((np.abs(z) >= bounds).any(axis=1).sum())


@pytest.mark.parametrize("boundary", [OBRIEN_FLEMING, POCOCK, Boundary(Shape.WANG_TSIATIS, 0.25)])
@pytest.mark.parametrize("times", [EVEN, UNEVEN])
def test_exact_bounds_alarm_as_often_as_they_say(boundary: Boundary, times: tuple[float, ...]) -> None:
    z = walks(np.random.default_rng(20_301), times)

    assert in_band(rejected(z, exact_bounds(boundary, 0.05, times).z), 0.05)


@pytest.mark.parametrize("boundary", [OBRIEN_FLEMING, POCOCK, HWANG_SHIH_DECANI])
@pytest.mark.parametrize("times", [EVEN, UNEVEN])
def test_spending_bounds_alarm_as_often_as_they_say(boundary: Boundary, times: tuple[float, ...]) -> None:
    z = walks(np.random.default_rng(20_302), times)

    assert in_band(rejected(z, spending_bounds(boundary, 0.05, times).z), 0.05)


def test_bounds_of_even_looks_at_uneven_ones_are_caught() -> None:
    z = walks(np.random.default_rng(20_303), (0.02, 0.1, 0.3, 0.6, 1.0))

    assert not in_band(rejected(z, exact_bounds(POCOCK, 0.05, EVEN).z), 0.05)


@pytest.mark.parametrize(("looks", "rate"), [(5, 0.142), (14, 0.220), (28, 0.275), (100, 0.374)])
def test_looking_often_at_1_96_is_caught(looks: int, rate: float) -> None:
    z = walks(np.random.default_rng(20_304), tuple((k + 1) / looks for k in range(looks)))
    alarms = rejected(z, np.full(looks, norm.isf(0.025)))

    assert not in_band(alarms, 0.05)
    assert alarms / RUNS == pytest.approx(rate, abs=0.01)
    even = tuple((k + 1) / looks for k in range(looks))
    assert in_band(rejected(z, spending_bounds(OBRIEN_FLEMING, 0.05, even).z), 0.05)


def test_errors_estimated_from_few_skewed_values_leave_alpha_about_what_it_is() -> None:
    """Information as 1 / error squared of lognormal values: it often falls, and the clock bears it."""
    rng = np.random.default_rng(20_305)
    runs, sizes = often(2_000, 20_000), np.array([60, 120, 180, 240, 300])
    alarms = unclocked = fell = 0
    for _ in range(runs):
        values = rng.lognormal(0, 1.3, (2, sizes[-1]))
        sums, squares = values.cumsum(axis=1)[:, sizes - 1], (values**2).cumsum(axis=1)[:, sizes - 1]
        means = sums / sizes
        errors = np.sqrt((squares / sizes - means**2) / (sizes - 1))
        seen = [
            _contrast(means[0, k], means[1, k] - means[0, k], errors[:, k], size)
            for k, size in enumerate(sizes.tolist())
        ]
        z = np.array([contrast.effect / contrast.error for contrast in seen])
        clock = information_clock(seen)
        alarms += bool((np.abs(z) >= spending_bounds(POCOCK, 0.05, EVEN, clock).z).any())
        fell += any(late.information < early.information for early, late in pairwise(seen))
        unclocked += bool((np.abs(z) >= norm.isf(0.025)).any())

    assert fell > 0.1 * runs
    # The t statistics of values so skewed are not normal: one look alone alarms a little too seldom.
    assert 0.03 < alarms / runs < 0.05 + 3.3 * math.sqrt(0.05 * 0.95 / runs)
    assert unclocked / runs > 0.1


@pytest.mark.parametrize("drift", [0.0, 1.5, 3.0])
@pytest.mark.parametrize("boundary", [OBRIEN_FLEMING, POCOCK])
def test_adjusted_estimates_cover_the_effect_and_are_as_often_too_high_as_too_low(
    boundary: Boundary, drift: float
) -> None:
    times = (0.25, 0.6, 1.0)
    z = walks(np.random.default_rng(20_306), times, drift)
    bounds = spending_bounds(boundary, 0.05, times).z
    crossed = np.abs(z) >= bounds
    stop = np.where(crossed.any(axis=1), crossed.argmax(axis=1), len(times) - 1)
    low, middle, high = (np.empty(RUNS) for _ in range(3))
    for k in range(len(times)):
        here = stop == k
        least = bounds[k] if k + 1 < len(times) else 0.0
        grid = np.concatenate([np.linspace(-8, -least, 161), np.linspace(least, 8, 161)])
        table = np.array([_limits(boundary, times[: k + 1], value) for value in grid])
        for column, found in enumerate((low, middle, high)):
            found[here] = np.interp(z[here, k], grid, table[:, column])
    plain = np.take_along_axis(z, stop[:, None], axis=1)[:, 0] / np.sqrt(np.array(times)[stop])

    assert in_band(((low <= drift) & (drift <= high)).sum(), 0.95)
    assert in_band((middle > drift).sum(), 0.5)
    if drift == 3.0:
        assert not in_band((plain > drift).sum(), 0.5)  # what is to be cured


def _contrast(control: float, effect: float, errors: Floats, units: int) -> Contrast:
    return Contrast("test", control, effect, float(errors[0]), float(errors[1]), math.inf, units, units)


def _limits(boundary: Boundary, times: tuple[float, ...], z: float) -> tuple[float, float, float]:
    """Lower limit, estimate and upper limit of a trial that stopped at the last of these looks."""
    seen = []
    for k, time in enumerate(times):
        error = 1 / math.sqrt(time)
        effect = z * error if k == len(times) - 1 else 0.0
        seen.append(Look(_contrast(0.0, effect, error * np.array([0.6, 0.8]), round(1000 * time)), time))
    found = adjust(GroupSequential(0.05, boundary), seen)
    assert isinstance(found, Adjusted)
    return found.interval.low, found.estimate, found.interval.high
