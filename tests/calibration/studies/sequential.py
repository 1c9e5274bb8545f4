"""As many looks as one likes: confidence sequences, safe tests, and the split of units."""

import math
from functools import partial
from typing import Final

import numpy as np
from scipy.stats import norm

from calibration.studies.looks import Looks, alternating, ever
from calibration.study import Study, at_least, at_most, caught_above, exactly
from meshtrial.stats.safe import safe_log_e
from meshtrial.stats.sequence import sequence_critical
from meshtrial.stats.srm import CONCENTRATION, srm_log_e

ALPHA: Final = 0.05
AT_ONCE: Final = 100
_FIXED: Final = float(norm.isf(ALPHA / 2))


def every_pair(rng: np.random.Generator, runs: int) -> list[int]:
    """Counts of mean 2, looked at after every pair, for up to 20 times the 500 units it is tuned for."""
    critical = sequence_critical(np.arange(2, 10_001, 2), ALPHA, 500)
    looks = Looks(rng.poisson(2.0, (runs, 10_000)).astype(float), alternating(runs, 10_000), 2)
    ready = looks.units >= 20  # the values are hardly skewed
    missed, naive = looks.misses(critical) & ready, looks.misses(_FIXED) & ready
    return [*(ever(missed[:, : units // 2]) for units in (500, 1_000, 10_000)), ever(naive[:, :500])]


def rare(rng: np.random.Generator, runs: int) -> list[int]:
    """A rate of 0.005 at 10/90, looked at after every 4 of 48,000 units; tuned for 20,000."""
    units, every = 48_000, 4
    values = (rng.random((runs, units), np.float32) < 0.005).astype(float)
    looks = Looks(values, rng.random((runs, units), np.float32) < 0.1, every)
    missed = looks.misses(sequence_critical(np.arange(every, units + 1, every), ALPHA, 20_000))
    return [ever(missed & looks.eventful()), ever(missed)]


def skewed(
    rng: np.random.Generator, runs: int, *, spread: float, nonzero: float, tuned_for: int
) -> list[int]:
    """Lognormal values of some of the units at 10/90, looked at after every 20 of 40,000."""
    units, every = 40_000, 20
    critical = sequence_critical(np.arange(every, units + 1, every), ALPHA, tuned_for)
    values = np.exp(spread * rng.standard_normal((runs, units), np.float32))
    values = (values * (rng.random((runs, units), np.float32) < nonzero)).astype(float)
    looks = Looks(values, rng.random((runs, units), np.float32) < 0.1, every)
    ready, missed = looks.effective(), looks.misses(critical)
    return [ever(missed & ready), ever(ready), ever(missed)]


def clusters(rng: np.random.Generator, runs: int) -> list[int]:
    """Means of 300 clusters, a fifth treated, looked at from 4 in each arm on."""
    looks = Looks(rng.standard_normal((runs, 300)), rng.random((runs, 300)) < 0.2)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = (looks.errors**2 / (looks.counts - 1)).sum(axis=0)
        freedom = np.nan_to_num(looks.error**4 / terms, nan=1.0)
    enough = (looks.counts >= 4).all(axis=0)
    freedom = np.where(enough, freedom, 1.0)
    of_t = looks.misses(sequence_critical(looks.units, ALPHA, 30, freedom))
    of_normal = looks.misses(sequence_critical(looks.units, ALPHA, 30))
    return [ever(of_t & enough), ever(of_normal & enough)]


def ramp(rng: np.random.Generator, runs: int) -> list[int]:
    """As many units at 1% as the sequence is tuned for, then 20 times as many at 50%; of unit variance."""
    shares = np.repeat([0.01, 0.5], [200, 2_000])
    units, clock = np.cumsum(np.full(2_200, 0.005)), np.cumsum(0.005 * shares * (1 - shares))
    steps = rng.standard_normal((runs, 2_200)) * np.sqrt(np.diff(clock, prepend=0))
    z = np.abs(np.cumsum(steps, axis=1)) / np.sqrt(clock)
    return [ever(z >= sequence_critical(clock, ALPHA, 0.25)), ever(z >= sequence_critical(units, ALPHA, 1.0))]


def safe(rng: np.random.Generator, runs: int, *, rate: float) -> list[int]:
    """4,000 pairs, each a block."""
    had = (rng.random((2, runs, 4_000), np.float32) < rate).astype(float)
    return [ever(safe_log_e(1, had[0], 1, had[1]) >= -math.log(ALPHA))]


def split(rng: np.random.Generator, runs: int, *, shares: tuple[float, ...]) -> list[int]:
    """100 days of 500 units."""
    theta = np.array(shares)
    counts = rng.multinomial(500, theta, (runs, 100)).cumsum(axis=1)
    log_e = srm_log_e(counts, theta, CONCENTRATION * theta)
    expected = counts.sum(axis=2, keepdims=True) * theta
    statistic = ((counts - expected) ** 2 / expected).sum(axis=2)
    limit = {2: 10.8276, 3: 13.8155}[len(shares)]  # chi-squared at p = 0.001
    alarms = (log_e >= -math.log(alpha) for alpha in (0.05, 0.001))
    return [*(ever(alarm) for alarm in alarms), ever(statistic > limit)]


def rise(rng: np.random.Generator, runs: int) -> list[int]:
    """From 5% to 6.5%, 8,000 pairs: intervals that ever miss it, and what finds it."""
    pairs, effect = 8_000, 0.015
    critical = sequence_critical(np.arange(2, 2 * pairs + 1, 2), ALPHA, 2 * pairs)
    control = rng.random((runs, pairs), np.float32) < 0.05
    treatment = rng.random((runs, pairs), np.float32) < 0.05 + effect
    values = np.stack([control, treatment], axis=2).reshape(runs, 2 * pairs).astype(float)
    looks = Looks(values, alternating(runs, 2 * pairs), 2)
    ready = looks.eventful()
    found = looks.misses(critical) & ready
    return [
        ever(looks.misses(critical, effect) & ready),
        int(looks.misses(_FIXED)[:, -1].sum()),
        ever(found),
        ever(found[:, pairs // 14 - 1 :: pairs // 14]),
        ever(safe_log_e(1, control, 1, treatment) >= -math.log(ALPHA)),
        ever(looks.misses(_FIXED, effect) & ready),
    ]


_SEQUENCE = "the confidence sequence alarms at 0.05"
_HASTY = "without burn-in it alarms"
STUDIES = (
    Study(
        "A/A, counts of mean 2, a look after every pair",
        30_001,
        1_000,
        20_000,
        every_pair,
        (
            at_most("the confidence sequence alarms up to the units it is tuned for", ALPHA, least=0.005),
            at_most("up to twice as many", ALPHA, least=0.005),
            at_most("up to 20 times as many", ALPHA, least=0.01),
            caught_above("fixed intervals alarm up to twice as many", 0.2),
        ),
        AT_ONCE,
    ),
    Study(
        "A/A, a proportion of 0.005 at 10/90, a look after every 4 of 48,000 units",
        30_002,
        500,
        20_000,
        rare,
        (at_most(_SEQUENCE, ALPHA), caught_above(_HASTY, 0.15)),
        AT_ONCE,
    ),
    *(
        Study(
            f"A/A, {title} at 10/90, a look after every 20 units",
            30_300 + tuned_for // 1_000,
            400,
            8_000,
            partial(skewed, spread=spread, nonzero=nonzero, tuned_for=tuned_for),
            (
                at_most(_SEQUENCE, ALPHA),
                at_least("it may be looked at within 40,000 units", 0.9),
                caught_above(_HASTY, over),
            ),
            AT_ONCE,
        )
        for title, spread, nonzero, tuned_for, over in (
            ("30% of units with lognormal values", 1.0, 0.3, 10_000, 0.055),
            ("lognormal values with a spread of 1.25", 1.25, 1.0, 5_000, 0.075),
        )
    ),
    Study(
        "A/A, up to 300 clusters, a fifth treated, a look after every one",
        30_004,
        1_000,
        20_000,
        clusters,
        (at_most(_SEQUENCE, ALPHA), caught_above("without degrees of freedom it alarms", 0.05)),
        500,
    ),
    Study(
        "A/A, a ramp from 1% to 50%",
        30_005,
        4_000,
        20_000,
        ramp,
        (
            at_most("with information as the clock the sequence alarms at 0.05", ALPHA, least=0.01),
            caught_above("with units as the clock it alarms", 0.05),
        ),
        500,
    ),
    *(
        Study(
            f"A/A, a proportion of {rate:g}, a look after each of 4,000 pairs",
            30_050 + round(100 * rate),
            1_000,
            20_000,
            partial(safe, rate=rate),
            (at_most("the safe test alarms at 0.05", ALPHA),),
            AT_ONCE,
        )
        for rate in (0.01, 0.5)
    ),
    *(
        Study(
            f"A split of {' to '.join(f'{share:.0%}' for share in shares)}, 100 daily looks",
            30_100 + round(100 * shares[0]),
            4_000,
            20_000,
            partial(split, shares=shares),
            (
                at_most("the sequential test alarms at 0.05", 0.05),
                at_most("the sequential test alarms at 0.001", 0.001),
                caught_above("chi-squared at 0.001 alarms", 0.01),
            ),
            500,
        )
        for shares in ((0.5, 0.5), (0.9, 0.1), (0.6, 0.3, 0.1))
    ),
    Study(
        "A rise from 5% to 6.5%, 8,000 units an arm, a look after every pair",
        30_008,
        500,
        5_000,
        rise,
        (
            at_most("the confidence sequence of 0.95 ever misses it", 0.05),
            exactly("a fixed test finds it", 0.983, give=0.004),
            exactly("the confidence sequence finds it", 0.907, give=0.012),
            at_least("at 14 looks it finds it", 0.8),
            exactly("the safe test finds it", 0.698, give=0.02),
            caught_above("fixed intervals ever miss it", 0.2),
        ),
        AT_ONCE,
        note="The rates were given by a simulation of 5,000 trials, written apart.",
    ),
)
