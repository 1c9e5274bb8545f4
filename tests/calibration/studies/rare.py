"""Rare outcomes and one unit in ten treated: where errors of arms tell little, and plain intervals err."""

from collections.abc import Callable
from functools import cache, partial
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from calibration.study import Study, at_most, caught_above
from meshtrial.plan.inference import Boundary, Shape
from meshtrial.stats.boundary import exact_bounds
from meshtrial.stats.burn_in import effective_units
from meshtrial.stats.contrast import Contrast
from meshtrial.stats.joint import Joint
from meshtrial.stats.proportion import Proportion, proportion_contrast, share_interval
from meshtrial.stats.ratio import ratio_contrast

LOOKS = (0.2, 0.4, 0.6, 0.8, 1.0)
Counts: TypeAlias = npt.NDArray[np.int64]
Errs: TypeAlias = tuple[bool, bool]
"""Whether an interval lies beside the effect: that of shares, and the plain one."""


@cache
def _errs(control: Proportion, treatment: Proportion, critical: float, margin: float, relative: bool) -> Errs:
    contrast = proportion_contrast(control, treatment)
    if not isinstance(contrast, Contrast):
        return False, False
    alike = (control.units, treatment.units)
    share = share_interval(contrast, alike, critical, margin, relative=relative)
    moved = contrast.above(margin, relative=relative)
    return not share.low <= 0 <= share.high, abs(moved.effect) >= critical * moved.error


def looked_at(
    rng: np.random.Generator, runs: int, *, shape: Shape, units: Counts, rates: tuple[float, float]
) -> list[int]:
    """Trials in which some look's interval misses the effect: of shares, plain."""
    bounds = exact_bounds(Boundary(shape, None, spending=False), 0.05, LOOKS).z.tolist()
    each = units // len(LOOKS)
    had = [rng.binomial(n, p, (runs, len(LOOKS))).cumsum(axis=1) for n, p in zip(each, rates, strict=True)]
    effect, missed = rates[1] - rates[0], np.zeros((runs, 2), bool)
    for look, critical in enumerate(bounds):
        n0, n1 = (int(n) * (look + 1) for n in each)
        for run, (x0, x1) in enumerate(zip(*(of_arm[:, look].tolist() for of_arm in had), strict=True)):
            missed[run] |= _errs(Proportion(n0, x0), Proportion(n1, x1), critical, effect, False)
    return [int(count) for count in missed.sum(axis=0)]


def relative(rng: np.random.Generator, runs: int, *, units: Counts, rates: tuple[float, float]) -> list[int]:
    """Trials in which the interval beyond the true share of control's value misses 0: of shares, plain."""
    margin, critical = rates[1] / rates[0] - 1, float(norm.isf(0.025))
    x0, x1 = (rng.binomial(n, p, runs).tolist() for n, p in zip(units, rates, strict=True))
    n0, n1 = map(int, units)
    found = [
        _errs(Proportion(n0, a), Proportion(n1, b), critical, margin, True)
        for a, b in zip(x0, x1, strict=True)
    ]
    return [int(count) for count in np.array(found).sum(axis=0)]


def failing(rng: np.random.Generator, runs: int, *, units: Counts) -> list[int]:
    """The same of the share of failed requests: units make 1 to 9, and one in 300 has most of its fail."""
    critical, missed = float(norm.isf(0.025)), np.zeros((runs, 2), bool)
    for run in range(runs):
        arms = []
        for n in units:
            requests = rng.integers(1, 10, n)
            fails = rng.binomial(requests, 0.6) * (rng.random(n) < 1 / 300)
            arms.append(Joint.of(np.column_stack([fails, requests]).astype(float), (0.0, 5.0)))
        contrast = ratio_contrast(*arms)
        if isinstance(contrast, Contrast):
            alike = [effective_units(arm.linear([0.0, 1.0])) for arm in arms]
            share = share_interval(contrast, (alike[0], alike[1]), critical)
            missed[run] = not share.low <= 0 <= share.high, abs(contrast.effect) >= critical * contrast.error
    return [int(count) for count in missed.sum(axis=0)]


def _study(
    name: str, seed: int, count: Callable[..., list[int]], most: float, plain: float, short: int = 4_000
) -> Study:
    claims = (
        at_most("the interval of shares misses the effect", most),
        caught_above("a plain one misses it", plain),
    )
    return Study(name, seed, short, 10 * short, count, claims, at_once=short)


_NAMES = {Shape.OBRIEN_FLEMING: "O'Brien-Fleming", Shape.POCOCK: "Pocock"}
STUDIES = (
    *(
        _study(
            f"{_NAMES[shape]}, 5 looks, {n0:,} and {n1:,} units with rates {p0:g} and {p1:g}",
            seed,
            partial(looked_at, shape=shape, units=np.array([n0, n1]), rates=(p0, p1)),
            0.06,
            plain,
        )
        for seed, shape, (n0, n1), (p0, p1), plain in (
            (20_801, Shape.OBRIEN_FLEMING, (4_500, 500), (0.005, 0.005), 0.15),
            (20_802, Shape.POCOCK, (4_500, 500), (0.005, 0.005), 0.15),
            (20_803, Shape.POCOCK, (18_000, 2_000), (0.005, 0.01), 0.08),
            (20_804, Shape.POCOCK, (2_500, 2_500), (0.001, 0.006), 0.07),
        )
    ),
    *(
        _study(
            f"One look, {n0:,} and {n1:,} units, {p1 / p0 - 1:.0%} more than {p0:g}",
            seed,
            partial(relative, units=np.array([n0, n1]), rates=(p0, p1)),
            0.055,
            plain,
        )
        for seed, (n0, n1), (p0, p1), plain in (
            (20_811, (4_500, 500), (0.002, 0.004), 0.1),
            (20_812, (9_000, 1_000), (0.002, 0.003), 0.08),
        )
    ),
    _study(
        "One look at the share of failed requests, 4,500 and 500 units",
        20_821,
        partial(failing, units=np.array([4_500, 500])),
        0.06,
        0.1,
        short=1_000,
    ),
)
