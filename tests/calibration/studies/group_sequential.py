"""A few looks, with boundaries that share out alpha, and looks without them."""

import math
from functools import cache, partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from calibration.study import Study, at_least, at_most, caught_above, exactly
from meshtrial.plan.inference import Boundary, Shape
from meshtrial.stats.boundary import exact_bounds, spending_bounds
from meshtrial.stats.contrast import Contrast
from meshtrial.stats.group_sequential import Adjusted, GroupSequential, Look, adjust
from meshtrial.stats.information import information_clock

OBRIEN_FLEMING, POCOCK = Boundary(Shape.OBRIEN_FLEMING), Boundary(Shape.POCOCK)
WANG_TSIATIS = Boundary(Shape.WANG_TSIATIS, 0.25)
HWANG_SHIH_DECANI = Boundary(Shape.HWANG_SHIH_DECANI, -4.0)
EVEN, UNEVEN = (0.2, 0.4, 0.6, 0.8, 1.0), (0.05, 0.5, 0.55, 0.95, 1.0)
EARLY = (0.02, 0.1, 0.3, 0.6, 1.0)

Floats = npt.NDArray[np.float64]


def walks(rng: np.random.Generator, runs: int, times: tuple[float, ...], drift: float = 0.0) -> Floats:
    """Z values at looks with information at these times, `drift` their mean at time 1: (runs, looks)."""
    t = np.array(times)
    steps = rng.standard_normal((runs, len(t))) * np.sqrt(np.diff(t, prepend=0))
    return np.asarray(steps.cumsum(axis=1) / np.sqrt(t) + drift * np.sqrt(t))


def rejected(z: Floats, bounds: Floats) -> int:
    """How many cross at some look."""
    return int((np.abs(z) >= bounds).any(axis=1).sum())


def bounded(rng: np.random.Generator, runs: int, *, times: tuple[float, ...]) -> list[int]:
    """False alarms of every kind of bound: exact ones, then those of spending functions."""
    z = walks(rng, runs, times)
    exact = [exact_bounds(shape, 0.05, times) for shape in (OBRIEN_FLEMING, POCOCK, WANG_TSIATIS)]
    spent = [spending_bounds(shape, 0.05, times) for shape in (OBRIEN_FLEMING, POCOCK, HWANG_SHIH_DECANI)]
    return [rejected(z, bounds.z) for bounds in (*exact, *spent)]


def misplaced(rng: np.random.Generator, runs: int) -> list[int]:
    """Bounds of even looks at early ones."""
    z = walks(rng, runs, EARLY)
    return [rejected(z, exact_bounds(POCOCK, 0.05, times).z) for times in (EARLY, EVEN)]


def peeking(rng: np.random.Generator, runs: int, *, looks: int) -> list[int]:
    """Looks at even times, with bounds and at 1.96."""
    times = tuple((k + 1) / looks for k in range(looks))
    z = walks(rng, runs, times)
    bounds = spending_bounds(OBRIEN_FLEMING, 0.05, times).z
    return [rejected(z, bounds), rejected(z, np.full(looks, norm.isf(0.025)))]


def estimated_errors(rng: np.random.Generator, runs: int) -> list[int]:
    """Information is 1 / error squared of few lognormal values: it often falls, and the clock bears it."""
    sizes = np.array([60, 120, 180, 240, 300])
    alarms = naive = fell = 0
    for _ in range(runs):
        values = rng.lognormal(0, 1.3, (2, sizes[-1]))
        sums, squares = values.cumsum(axis=1)[:, sizes - 1], (values**2).cumsum(axis=1)[:, sizes - 1]
        means = sums / sizes
        errors = np.sqrt((squares / sizes - means**2) / (sizes - 1))
        seen = [
            _contrast(means[0, k], means[1, k] - means[0, k], errors[:, k], size)
            for k, size in enumerate(sizes.tolist())
        ]
        z = np.array([[contrast.effect / contrast.error for contrast in seen]])
        alarms += rejected(z, spending_bounds(POCOCK, 0.05, EVEN, information_clock(seen)).z)
        naive += rejected(z, np.full(len(sizes), norm.isf(0.025)))
        fell += any(late.information < early.information for early, late in pairwise(seen))
    return [alarms, fell, naive]


def adjusted(rng: np.random.Generator, runs: int, *, boundary: Boundary, drift: float) -> list[int]:
    """Intervals that cover the effect, estimates that are above it: stage-wise, then plain."""
    times = (0.25, 0.6, 1.0)
    z = walks(rng, runs, times, drift)
    bounds = spending_bounds(boundary, 0.05, times).z
    crossed = np.abs(z) >= bounds
    stop = np.where(crossed.any(axis=1), crossed.argmax(axis=1), len(times) - 1)
    low, middle, high = (np.empty(runs) for _ in range(3))
    for k in range(len(times)):
        here = stop == k
        grid, table = _table(boundary, times, k)
        for column, found in enumerate((low, middle, high)):
            found[here] = np.interp(z[here, k], grid, table[:, column])
    plain = np.take_along_axis(z, stop[:, None], axis=1)[:, 0] / np.sqrt(np.array(times)[stop])
    counts = ((low <= drift) & (drift <= high), middle > drift, plain > drift)
    return [int(count.sum()) for count in counts]


@cache
def _table(boundary: Boundary, times: tuple[float, ...], k: int) -> tuple[Floats, Floats]:
    """Values of z at which a trial may stop at a look, and what is then said."""
    bounds = spending_bounds(boundary, 0.05, times).z
    least = bounds[k] if k + 1 < len(times) else 0.0
    grid = np.concatenate([np.linspace(-8, -least, 161), np.linspace(least, 8, 161)])
    return grid, np.array([_limits(boundary, times[: k + 1], value) for value in grid])


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


def _contrast(control: float, effect: float, errors: Floats, units: int) -> Contrast:
    return Contrast("test", control, effect, float(errors[0]), float(errors[1]), math.inf, units, units)


def _said(times: tuple[float, ...]) -> str:
    return ", ".join(f"{time:g}" for time in times)


def _adjusted_study(name: str, boundary: Boundary, drift: float, too_high: float | None, seed: int) -> Study:
    count = partial(adjusted, boundary=boundary, drift=drift)
    claims = [
        exactly("the stage-wise interval of 0.95 covers", 0.95),
        exactly("the median-unbiased estimate is too high", 0.5),
    ]
    if too_high is not None:
        claims.append(caught_above("the plain estimate is too high", too_high))
    return Study(
        f"{name} spending, looks at 0.25, 0.6, 1, the effect {drift:g} of its last errors",
        seed,
        20_000,
        100_000,
        lambda rng, runs: count(rng, runs)[: len(claims)],
        tuple(claims),
        at_once=20_000,
    )


_ALARMS = tuple(
    exactly(f"{name} bounds alarm at 0.05", 0.05)
    for name in (
        *("O'Brien-Fleming", "Pocock", "Wang-Tsiatis 0.25"),
        *("Lan-DeMets O'Brien-Fleming", "Lan-DeMets Pocock", "Hwang-Shih-DeCani -4"),
    )
)
STUDIES = (
    *(
        Study(
            f"A/A, looks at {_said(times)}",
            seed,
            20_000,
            100_000,
            partial(bounded, times=times),
            _ALARMS,
            at_once=20_000,
        )
        for seed, times in ((20_501, EVEN), (20_502, UNEVEN))
    ),
    Study(
        f"A/A, looks at {_said(EARLY)}",
        20_503,
        20_000,
        100_000,
        misplaced,
        (
            exactly("Pocock bounds of these looks alarm at 0.05", 0.05),
            caught_above("Pocock bounds of even looks alarm", 0.055),
        ),
        at_once=20_000,
    ),
    *(
        Study(
            f"A/A, {looks} even looks",
            20_400 + looks,
            20_000,
            20_000,
            partial(peeking, looks=looks),
            (
                exactly("Lan-DeMets O'Brien-Fleming bounds alarm at 0.05", 0.05),
                exactly("looking at 1.96 alarms", rate, give=0.0005, wrong=True),
            ),
            at_once=5_000,
        )
        for looks, rate in ((5, 0.142), (14, 0.220), (28, 0.275), (100, 0.374))
    ),
    Study(
        "A/A, 5 looks at 60 to 300 lognormal values an arm",
        20_505,
        2_000,
        20_000,
        estimated_errors,
        (
            at_most("Lan-DeMets Pocock bounds, information from errors, alarm at 0.05", 0.05, least=0.03),
            at_least("information falls between two looks", 0.1),
            caught_above("looking at 1.96 alarms", 0.1),
        ),
    ),
    *(
        _adjusted_study(name, boundary, drift, too_high, seed + round(10 * drift))
        for name, boundary, seed in (("O'Brien-Fleming", OBRIEN_FLEMING, 20_600), ("Pocock", POCOCK, 20_700))
        for drift, too_high in ((0.0, None), (1.5, None), (3.0, 0.51))
    ),
)
