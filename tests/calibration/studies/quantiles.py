"""Quantiles of events: 99th percentiles, with a unit for each event and with units that bring 20."""

from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt

from calibration.studies.fixed_sample import Z, told
from calibration.studies.ratios import covers
from calibration.study import Claim, Study, at_most, caught_above, chosen, exactly
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.joint import Joint
from meshtrial.stats.quantile import (
    QuantileSample,
    Ranks,
    cluster_inflation,
    order_ranks,
    quantile_contrast,
    value_rank,
)

Q: Final = 0.99
A_UNIT: Final = 20
"""Events of each unit, where units bring several."""


def independent(rng: np.random.Generator, events: int) -> QuantileSample | None:
    """One event a unit. The three order statistics are drawn, not all events.

    Those of uniform events are shares of a sum of gamma variables, each with as many degrees as there are
    ranks between two of them (David & Nagaraja 2003, Order Statistics, section 2.5).
    """
    rank = value_rank(events, Q)
    counts = Joint(
        (0.0, 0.0), events, (float(rank), float(events)), (float(rank), float(rank), float(events))
    )
    ranks = order_ranks(events, Q, _inflation(counts, counts))
    if not isinstance(ranks, Ranks):
        return None
    gaps = np.diff([0, ranks.lower, rank, ranks.upper, events + 1])
    pieces = np.cumsum(rng.standard_gamma(gaps))
    lower, value, upper = (-np.log1p(-pieces[:3] / pieces[3])).tolist()  # of exponential events
    return QuantileSample(Q, value, counts, counts, value, value, ranks, lower, upper)


def clustered(rng: np.random.Generator, events: int) -> QuantileSample | None:
    """Latencies that are alike within a unit."""
    typical = rng.normal(0, 0.6, (events // A_UNIT, 1))
    return quantile_sample(typical + rng.normal(0, 0.8, (events // A_UNIT, A_UNIT)))


def quantile_sample(values: npt.NDArray[np.float64], q: float = Q) -> QuantileSample | None:
    """Of values by unit and event, as the store delivers it; None where there are too few for the ranks."""
    units, events = values.shape
    ordered = np.sort(values, axis=None)
    at = float(ordered[value_rank(ordered.size, q) - 1])
    sides: list[Joint] = []
    for below in ((values <= at).sum(axis=1), (values < at).sum(axis=1)):
        squares = (float((below**2).sum()), float(below.sum() * events), float(units * events**2))
        sides.append(Joint((0.0, 0.0), units, (float(below.sum()), float(values.size)), squares))
    counts, beneath = sides
    first, last = np.searchsorted(ordered, at), np.searchsorted(ordered, at, side="right")
    near = (float(ordered[first - 1]) if first else at, float(ordered[last]) if last < ordered.size else at)
    ranks = order_ranks(values.size, q, _inflation(counts, beneath))
    if not isinstance(ranks, Ranks):
        return None
    lower, upper = (float(ordered[int(rank) - 1]) for rank in (ranks.lower, ranks.upper))
    return QuantileSample(q, at, counts, beneath, *near, ranks, lower, upper)


def _inflation(counts: Joint, beneath: Joint) -> float:
    found = cluster_inflation(counts, beneath)
    assert not isinstance(found, NotEstimable)
    return found


def errors(
    rng: np.random.Generator,
    runs: int,
    *,
    sample: Callable[[np.random.Generator, int], QuantileSample | None],
    events: tuple[int, int],
) -> list[int]:
    """Trials without an effect whose interval misses it, that are refused, that err as if without units."""
    missed = refused = naive = 0
    for _ in range(runs):
        control, treatment = (sample(rng, n) for n in events)
        if control is None or treatment is None:
            refused += 1
            continue
        found = told(quantile_contrast(control, treatment))
        missed += not covers(found, 0.0)
        naive += abs(found.effect) > Z * found.error / _inflation(control.counts, control.beneath) ** 0.5
    return [missed, refused, naive]


def stars(rng: np.random.Generator, events: int) -> npt.NDArray[np.float64]:
    """1 to 5, of which half are 3 or less: the median is 3 or 4."""
    return rng.choice([1.0, 2.0, 3.0, 4.0, 5.0], events, p=[0.1, 0.15, 0.25, 0.3, 0.2])


def latencies(rng: np.random.Generator, events: int) -> npt.NDArray[np.float64]:
    """Whole milliseconds, half of them up to 20."""
    return np.rint(np.exp(rng.normal(3, 0.5, events))).astype(np.float64)


def rounded_errors(
    rng: np.random.Generator,
    runs: int,
    *,
    values: Callable[[np.random.Generator, int], npt.NDArray[np.float64]],
    q: float,
    events: int,
) -> list[int]:
    """Trials without an effect whose interval misses it, that are refused, that err without the steps."""
    missed = refused = plain = 0
    for _ in range(runs):
        arms = [quantile_sample(values(rng, events)[:, None], q) for _ in range(2)]
        if arms[0] is None or arms[1] is None:
            refused += 1
            continue
        found = told(quantile_contrast(arms[0], arms[1]))
        missed += not covers(found, 0.0)
        widths = (arms[0].upper - arms[0].lower, arms[1].upper - arms[1].lower)
        error = float(np.hypot(*widths)) / 2 / Z
        plain += abs(found.effect) > Z * error
    return [missed, refused, plain]


def _rounded(
    what: str,
    seed: int,
    values: Callable[[np.random.Generator, int], npt.NDArray[np.float64]],
    q: float,
    events: int,
) -> Study:
    return Study(
        f"{what} of {events:,} events against as many",
        seed,
        500,
        10_000,
        partial(rounded_errors, values=values, q=q, events=events),
        (
            at_most(_MISSES, 0.05),
            exactly(_REFUSED, 0),
            caught_above("one without the steps between whole numbers misses", 0.06),
        ),
        at_once=250,
    )


def _one_a_unit(events: tuple[int, int], seed: int, misses: Claim) -> Study:
    count = partial(errors, sample=independent, events=events)
    return Study(
        f"99th percentile of {events[0]:,} events against {events[1]:,}, one a unit",
        seed,
        2_000,
        10_000,
        chosen(count, 0, 1),
        (misses, exactly(_REFUSED, 0)),
        at_once=1_000,
    )


def _many_a_unit(events: int, seed: int, misses: Claim, refused: Claim) -> Study:
    return Study(
        f"99th percentile of {events:,} events against as many, of {events // A_UNIT:,} units an arm",
        seed,
        500,
        10_000,
        partial(errors, sample=clustered, events=(events, events)),
        (misses, refused, caught_above("one of independent events misses", 0.06)),
        at_once=250,
    )


_MISSES = "the interval of 0.95 misses"
_REFUSED = "too few events for it"
STUDIES = (
    _one_a_unit((1_000, 1_000), 20_281, at_most(_MISSES, 0.05, least=0.01)),
    _one_a_unit((10_000, 20_000), 20_282, exactly(_MISSES, 0.05)),
    _one_a_unit((100_000, 100_000), 20_283, exactly(_MISSES, 0.05)),
    _many_a_unit(1_000, 20_284, at_most(_MISSES, 0.05, least=0.01), exactly(_REFUSED, 0.29, give=0.03)),
    _many_a_unit(10_000, 20_285, exactly(_MISSES, 0.05), exactly(_REFUSED, 0)),
    _many_a_unit(100_000, 20_286, exactly(_MISSES, 0.05), exactly(_REFUSED, 0)),
    _rounded("Median of 1 to 5 stars", 20_287, stars, 0.5, 2_000),
    _rounded("95th percentile of whole milliseconds", 20_288, latencies, 0.95, 20_000),
)
