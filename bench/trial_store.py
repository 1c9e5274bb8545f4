"""A store of any size, made of chance: one trial of four weeks, as a collector would have written it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from meshtrial.plan.model import Experiment
from meshtrial.store.layout import Layout
from meshtrial.store.schema import SCHEMA
from meshtrial.store.segments import write_rows

Ints = npt.NDArray[np.int64]

DAYS: Final = 28
UNITS_PER_EXPOSURE: Final = 0.4
START: Final = 1_789_948_800 * 10**9
"""A Monday, 0 o'clock UTC, in nanoseconds since 1970."""
_HOUR: Final = 3600 * 10**9
_SEGMENT: Final = 1_000_000
"""Rows."""
_OUTCOMES: Final = ("purchase", "click", "impression", "inference")
_SHARES: Final = (0.2, 0.2, 0.4, 0.2)
_FIELDS: Final = ("amount", "ms")
"""Of `purchase` and `inference`; the other two have none."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Whose rows they are."""

    experiment: Experiment
    ids: int
    """Ids that are taken."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """Rows in order of time."""

    times: Ints
    units: Ints
    """Index of each row's unit."""
    outcomes: Ints
    """Index of each row's outcome; -1 for an exposure."""
    values: npt.NDArray[np.float64]


def write_store(root: Path, experiment: Experiment, exposures: int, seed: int) -> None:
    """As many outcomes as exposures; every unit's arm is that of its bucket.

    Args:
        root: The store's folder; must not exist.
        experiment: Two arms of equal weight.
        exposures: How many; four of ten are a unit's first.
        seed: The same seed draws the same rows.
    """
    Layout(root).create()
    _write(root, experiment, exposures, np.random.default_rng(seed), (0, DAYS * 24 * _HOUR))


def more(root: Path, experiment: Experiment, exposures: int, seed: int) -> None:
    """One hundredth as much again, of units that come in the quarter of a day that follows."""
    begin = DAYS * 24 * _HOUR
    _write(root, experiment, exposures // 100, np.random.default_rng(seed), (begin, begin + 6 * _HOUR))


def _write(
    root: Path, experiment: Experiment, exposures: int, rng: np.random.Generator, span: tuple[int, int]
) -> None:
    count = int(exposures * UNITS_PER_EXPOSURE)
    pseudonyms = rng.integers(1, 2**63, count, dtype=np.uint64)
    buckets = rng.integers(0, experiment.bucketing.buckets, count)
    first = np.sort(rng.integers(*span, count))
    drawn = _drawn(rng, first, exposures, buckets * 2 < experiment.bucketing.buckets)
    layout = Layout(root)
    begun = len(layout.segments())
    for number, start in enumerate(range(0, len(drawn.times), _SEGMENT), begun + 1):
        rows = slice(start, start + _SEGMENT)
        table = _table(drawn, rows, (pseudonyms, buckets), Trial(experiment, begun * _SEGMENT))
        layout.segment(number).mkdir()
        with layout.parquet(number).open("wb") as file:
            write_rows(table, file)


def _drawn(rng: np.random.Generator, first: Ints, exposures: int, treated: npt.NDArray[np.bool_]) -> Drawn:
    units = len(first)
    again = rng.integers(0, units, exposures - units)
    who = rng.integers(0, units, exposures)
    since = rng.exponential(10 * _HOUR, exposures).astype(np.int64)
    before = rng.random(exposures) < 0.15
    outcomes = rng.choice(len(_OUTCOMES), exposures, p=_SHARES)
    taste = rng.normal(0, 0.5, units)  # what a unit did before tells of what it does later
    amounts = rng.lognormal(3 + taste[who], 1) * (1 + 0.02 * treated[who])
    values = np.where(outcomes == 0, amounts, rng.lognormal(4, 0.5, exposures))
    times = np.concatenate(
        [
            first,
            first[again] + rng.exponential(6 * _HOUR, exposures - units).astype(np.int64),
            first[who] + np.where(before, -10 * since, since),
        ]
    )
    order = np.argsort(times, kind="stable")
    return Drawn(
        times[order] + START,
        np.concatenate([np.arange(units), again, who])[order],
        np.concatenate([np.full(exposures, -1), outcomes])[order],
        np.concatenate([np.zeros(exposures), values])[order],
    )


def _table(
    drawn: Drawn, rows: slice, of_units: tuple[npt.NDArray[np.uint64], Ints], trial: Trial
) -> pa.Table:
    """Some of the rows; of units their pseudonyms and buckets."""
    (pseudonyms, buckets), experiment = of_units, trial.experiment
    units, outcomes, times = drawn.units[rows], drawn.outcomes[rows], drawn.times[rows]
    exposed = outcomes < 0
    arms = experiment.treatments()[0].id, experiment.control.id
    in_control = (buckets[units] * 2 >= experiment.bucketing.buckets).astype(np.int32)
    ids = [f"{trial.ids + number:016x}" for number in range(rows.start + 1, rows.start + 1 + len(units))]
    columns: dict[str, pa.Array] = {
        "Timestamp": pa.array(times, SCHEMA.field("Timestamp").type),
        "ReceivedAt": pa.array(times + 10**9, SCHEMA.field("ReceivedAt").type),
        "TraceId": pa.array(["0" * 16 + text for text in ids]),
        "SpanId": pa.array(ids),
        "SpanName": _coded(exposed.astype(np.int32), ("meshtrial.outcome", "meshtrial.exposure")).cast(
            pa.string()
        ),
        "Experiment": _coded(np.zeros(len(units)), (experiment.id,), ~exposed),
        "Arm": _coded(in_control, arms, ~exposed),
        "Reason": _coded(np.zeros(len(units)), ("split",), ~exposed),
        "Phase": _coded(np.zeros(len(units)), (experiment.phase,), ~exposed),
        "UnitKind": _coded(np.zeros(len(units)), (experiment.unit.kind,)),
        "KeyId": _coded(np.zeros(len(units)), ("k1",)),
        "Outcome": _coded(np.maximum(outcomes, 0), _OUTCOMES, exposed),
        "Unit": pa.array(pseudonyms[units]),
        "Bucket": pa.array(buckets[units].astype(np.uint32), mask=~exposed),
        "Exposed": pa.array(exposed, mask=~exposed),
        "OutcomeValues": _values(outcomes, drawn.values[rows]),
    }
    arrays = [
        columns[field.name].cast(field.type) if field.name in columns else pa.nulls(len(units), field.type)
        for field in SCHEMA
    ]
    return pa.table(arrays, schema=SCHEMA)


def _coded(
    codes: npt.NDArray[np.generic], words: tuple[str, ...], missing: npt.NDArray[np.bool_] | None = None
) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32), mask=missing), pa.array(words))


def _values(outcomes: Ints, values: npt.NDArray[np.float64]) -> pa.Array:
    has = (outcomes == 0) | (outcomes == 3)
    ends = np.concatenate([[0], np.cumsum(has)]).astype(np.int32)
    fields = _coded((outcomes[has] == 3).astype(np.int32), _FIELDS).cast(pa.string())
    return pa.MapArray.from_arrays(pa.array(ends), fields, pa.array(values[has]))
