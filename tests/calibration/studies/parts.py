"""Parts of the units: effects by value of a field and whether they differ, and strata after the fact."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from calibration.study import Study, at_least, caught_above, exactly
from meshtrial.analysis.breakdown import breakdown_of
from meshtrial.analysis.cells import Cells, Clock, Key
from meshtrial.analysis.contrasts import measured_of
from meshtrial.analysis.post_strata import PostStratified, post_stratified
from meshtrial.analysis.slices import sliced
from meshtrial.analysis.strata import strata_of
from meshtrial.analysis.told import Telling
from meshtrial.plan.inference import Events, Metric, MetricKind, Window
from meshtrial.stats.contrast import Contrast
from meshtrial.stats.fixed import fixed_critical
from meshtrial.stats.interaction import Heterogeneity, interaction
from meshtrial.stats.joint import Joint

CLOCK = Clock(1)
ARMS = ("v1", "v2")
MEAN = Metric("spent", MetricKind.MEAN, Events("purchase", "amount"), Window(0, 1))
PROPORTION = replace(MEAN, kind=MetricKind.PROPORTION)
Array: TypeAlias = npt.NDArray[Any]


def _cells(values: Array, treated: Array, stratum: Array, day: Array) -> Cells:
    """One variable a unit."""
    found: dict[Key, Joint] = {}
    groups = set(zip(stratum.tolist(), treated.tolist(), day.tolist(), strict=True))
    for number, treats, of_day in sorted(groups):
        own = (stratum == number) & (treated == treats) & (day == of_day)
        key = Key(of_day * CLOCK.day, "now", "default", ARMS[treats], (f"s{number}",))
        found[key] = Joint.of(values[own, None], [0.0])
    return found


def _covers(contrast: Contrast, truth: float) -> bool:
    return abs(contrast.effect - truth) <= fixed_critical(contrast, 0.05) * contrast.error


SHARES = np.array([0.5, 0.3, 0.12, 0.05, 0.03])
MEANS, SPREADS = np.array([10.0, 14.0, 20.0, 5.0, 30.0]), np.array([3.0, 4.0, 5.0, 2.0, 8.0])


def post_strata(rng: np.random.Generator, runs: int) -> Sequence[int]:
    """1,000 units on four days, 30% treated; effects differ by stratum, and the smallest strata merge."""
    effects = np.array([0.5, 0.0, 1.0, -1.0, 2.0])
    truth = float(SHARES @ effects)
    covered = narrower = 0
    for _ in range(runs):
        stratum, day = rng.choice(5, 1000, p=SHARES), rng.integers(0, 4, 1000)
        treated = rng.random(1000) < 0.3
        values = rng.normal(MEANS[stratum] + treated * effects[stratum] + day, SPREADS[stratum])
        cells = _cells(values, treated, stratum, day)
        found = post_stratified(MEAN, cells, ARMS, CLOCK)
        assert isinstance(found, PostStratified)
        assert isinstance(found.measured.contrast, Contrast)
        strata = strata_of({key: cell.units for key, cell in cells.items()}, *ARMS, CLOCK)
        plain = measured_of(MEAN, cells, strata, ARMS, CLOCK).contrast
        assert isinstance(plain, Contrast)
        covered += _covers(found.measured.contrast, truth)
        narrower += found.measured.contrast.error < plain.error
    return [covered, narrower]


def useless_strata(rng: np.random.Generator, runs: int) -> Sequence[int]:
    """Twenty strata that say nothing of lognormal values, in 2,500 units; no effect."""
    hits = 0
    for _ in range(runs):
        stratum, day = rng.integers(0, 20, 2500), np.zeros(2500, int)
        treated = rng.random(2500) < 0.5
        cells = _cells(rng.lognormal(0, 0.7, 2500), treated, stratum, day)
        found = post_stratified(MEAN, cells, ARMS, CLOCK)
        assert isinstance(found, PostStratified)
        assert isinstance(found.measured.contrast, Contrast)
        hits += not _covers(found.measured.contrast, 0.0)
    return [hits]


RATES = np.array([0.03, 0.05, 0.1, 0.02, 0.03, 0.01, 0.03, 0.02])
SIZES = np.array([4000, 2000, 1000, 800, 600, 500, 300, 200])


def rare_outcomes(rng: np.random.Generator, runs: int) -> Sequence[int]:
    """Eight values of other sizes and rates, 20% treated, no effect in any."""
    hits = naive = 0
    for _ in range(runs):
        cells: dict[Key, Joint] = {}
        for number, (size, rate) in enumerate(zip(SIZES.tolist(), RATES.tolist(), strict=True)):
            n1 = rng.binomial(size, 0.2)
            for arm, units in zip(ARMS, (size - n1, n1), strict=True):
                had = float(rng.binomial(units, rate))
                cells[Key(0, "now", "default", arm, (f"s{number}",))] = Joint((0.0,), units, (had,), (had,))
        slices = sliced(PROPORTION, cells, lambda key: key.strata[0], ARMS, CLOCK)
        found = breakdown_of("field", "bought", "v2", slices, Telling(0.05))
        assert isinstance(found.interaction, Heterogeneity)
        hits += found.interaction.p_value < 0.05
        every = [slices.measured([value]).contrast for value in slices.sizes]
        test = interaction([one for one in every if isinstance(one, Contrast)])
        assert isinstance(test, Heterogeneity)
        naive += test.p_value < 0.05
    return [hits, naive]


STUDIES = (
    Study(
        "Post-stratified: five strata on four days, 30% treated, small strata merged",
        20_401,
        600,
        10_000,
        post_strata,
        (
            exactly("the interval covers", 0.95, give=0.007),
            at_least("its error is below that of the plan's estimate", 0.99),
        ),
    ),
    Study(
        "Post-stratified: twenty strata that say nothing, lognormal values, A/A",
        20_402,
        300,
        10_000,
        useless_strata,
        (exactly("alarms", 0.05, give=0.007),),
    ),
    Study(
        "Effects of eight values of a field, rare outcomes, A/A",
        20_403,
        800,
        10_000,
        rare_outcomes,
        (
            exactly("the interaction test alarms", 0.05, give=0.007),
            caught_above("with values that have too few outcomes it does", 0.08),
        ),
    ),
)
