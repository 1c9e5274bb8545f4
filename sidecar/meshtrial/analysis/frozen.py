"""A store's spans -> tallies and aggregates, by what an earlier report remembered of the segments it read.

Segments never change, so their rows are counted once; new are the segments and journals since. A unit without
new rows adds what it added then. Of the others all rows are read, old and new: what they added is taken away,
and what they add now is added. Nothing is assumed of the order in which rows come, or of their times.

::

    <store>/aggregates/units-<digest of plan, experiment and versions>    `Base`; units that have any row
"""

import hashlib
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from meshtrial.analysis.aggregates import Aggregates, Numbers, Scale
from meshtrial.analysis.aggregating import UNSETTLED, aggregate, kinds_of, scale_of
from meshtrial.analysis.caps import Settles
from meshtrial.analysis.cells import Key
from meshtrial.analysis.counting import Counting, Whole, keep_tables
from meshtrial.analysis.deferred import Deferred
from meshtrial.analysis.eligible import Eligible
from meshtrial.analysis.tallies import Exposures, Outcomes, Tallies, read_tallies, summed_of
from meshtrial.analysis.units import Trial
from meshtrial.analysis.values import events_of
from meshtrial.plan.inference import Events, MetricKind
from meshtrial.plan.model import Plan
from meshtrial.store.database import open_database
from meshtrial.store.engine import DuckDB, Engine, quoted
from meshtrial.store.layout import Segment
from meshtrial.store.read import Reading
from meshtrial.store.remembered import Memory, Words, common, digest_of

if TYPE_CHECKING:
    import duckdb

FORMAT: Final = "2"
"""Of what is remembered. Goes up when a query or its meaning changes between versions."""
LEAST: Final = 200_000
"""Rows worth to be remembered: fewer are read in a moment."""
NEW_AT_MOST: Final = 0.1
"""New rows, as a share of those remembered: with more, everything is read again and remembered anew."""
_READ: Final = """
SpanName, Experiment, Arm, Reason, Phase, UnitKind, Cohort, Outcome, Unit, Bucket, Exposed, OutcomeValues,
Strata, Status, GrpcStatus, Duration, TraceId, SpanId, Timestamp, ReceivedAt
"""
"""Columns that the tables of units and events are made of."""


class Base(msgspec.Struct, frozen=True):
    """What is remembered of some segments."""

    now: int
    """When, nanoseconds since 1970: all of their rows were received before."""
    segments: list[tuple[int, int, int]]
    """`Segment.mark` of each."""
    rows: int
    repeats: str
    """Digest of their rows that are left out."""
    eligible: tuple[Eligible, ...]
    """Which units are analysed."""
    exposures: tuple[Exposures, ...]
    outcomes: tuple[Outcomes, ...]
    exposed: list[tuple[Key, Numbers]]
    analysed: list[tuple[Key, Numbers]]
    strays: Numbers
    other_arms: list[tuple[Key, Numbers]]
    scale: Scale

    @property
    def aggregates(self) -> Aggregates:
        """What their units add up to."""
        return Aggregates(dict(self.exposed), dict(self.analysed), self.strays, dict(self.other_arms))


class Unsettled(Exception):
    """What all units are measured by may change with the ones that have new rows."""


def counting_of(store: Engine | Reading, plan: Plan, trial: Trial, now: int) -> Counting:
    """How an experiment's spans are counted.

    Args:
        store: An engine that has the view `spans`; or a store's reading.
        plan: The plan in force.
        trial: One of its experiments.
        now: Nanoseconds since 1970.
    """
    if not isinstance(store, Reading):
        return Whole(store, trial, now)
    return (
        Frozen(store, plan, trial, now)
        if _is_gain(trial, store)
        else Whole(DuckDB(store.connection), trial, now)
    )


def _is_gain(trial: Trial, reading: Reading) -> bool:
    """Not where rows are few, nor where whole tables of units are read in any case."""
    experiment = trial.experiment
    by_unit = experiment.unit.group_kind is None and experiment.unit.switchback is None
    told = all(metric.kind is not MetricKind.QUANTILE for metric in experiment.decision.metrics())
    return by_unit and told and any(rows >= LEAST for rows in accumulate(map(rows_in, reading.segments)))


class Frozen:
    """By reading what is new, where the rest is remembered."""

    def __init__(self, reading: Reading, plan: Plan, trial: Trial, now: int) -> None:
        """Prepare.

        Args:
            reading: The store.
            plan: The plan in force.
            trial: One of its experiments, which randomises units one by one.
            now: Nanoseconds since 1970.
        """
        self._reading, self._trial, self._now = reading, trial, now
        self._name = f"units-{digest_of(FORMAT, plan.digest, trial.experiment.id)}"
        self._whole = DuckDB(reading.connection)
        self._eligible: tuple[Eligible, ...] = ()
        self._base, self._units = self._load()
        self._closed: tuple[DuckDB, Tallies] | None = None
        self.engine: Engine = Deferred(self._whole, lambda e: keep_tables(e, trial, self._eligible))

    def tallies(self) -> Tallies:
        """The store's rows, counted."""
        base = self._base
        closed = self._of_segments()[1] if base is None else self._tallies(base)
        new = self._new(base)
        if not new and not self._reading.journal.num_rows:
            return closed
        with self._reading.part(new, journal=True) as database:
            return closed.plus(read_tallies(DuckDB(database), self._trial, self._now))

    def aggregates(
        self, tallies: Tallies, eligible: Sequence[Eligible], settles: Settles
    ) -> tuple[Aggregates, Scale]:
        """What the units add up to, and by what they are measured."""
        self._eligible = tuple(eligible)
        for base in (self._base, None):
            if base is not None and (base.eligible != self._eligible or self._is_unsettled(base)):
                continue
            try:
                return self._with_new(base or self._anew(settles), tallies)
            except Unsettled:
                continue
        self.engine = self._whole
        return Whole(self._whole, self._trial, self._now).aggregates(tallies, eligible, settles)

    def _is_unsettled(self, base: Base) -> bool:
        """Whether time alone may have changed what units are measured by: more of them are final by now."""
        return base.scale.settled == UNSETTLED and base.now != self._now

    def _load(self) -> tuple[Base | None, Words]:
        """What holds for the store as it is."""
        nothing = np.empty(0, np.uint64)
        memory = self._reading.remembered.load(self._name)
        if memory is None:
            return None, nothing
        try:
            base = msgspec.msgpack.decode(memory.text, type=Base)
        except msgspec.DecodeError:
            return None, nothing
        marks = set(base.segments)
        old = [segment for segment in self._reading.segments if segment.mark in marks]
        holds = (
            len(old) == len(marks)
            and base.now <= self._now
            and base.repeats == self._repeats(old)
            and self._rows_but(old) <= NEW_AT_MOST * base.rows
        )
        return (base, memory.words) if holds else (None, nothing)

    def _rows_but(self, old: Sequence[Segment]) -> int:
        known = set(old)
        new = [segment for segment in self._reading.segments if segment not in known]
        return int(self._reading.journal.num_rows) + sum(map(rows_in, new))

    def _repeats(self, segments: Sequence[Segment]) -> str:
        """Digest of the rows of these that are left out."""
        numbers = {str(segment.path): segment.number for segment in segments}
        paths, rows = (column.to_pylist() for column in self._reading.repeats.columns)
        left_out = sorted(
            (numbers[path], row) for path, row in zip(paths, rows, strict=True) if path in numbers
        )
        return hashlib.blake2b(msgspec.msgpack.encode(left_out), digest_size=16).hexdigest()

    def _tallies(self, base: Base) -> Tallies:
        summed = summed_of(self._trial)
        experiment = self._trial.experiment
        return Tallies(experiment.id, experiment.unit.kind, base.exposures, base.outcomes, summed)

    def _new(self, base: Base | None) -> list[Segment]:
        """Segments that are not in what was remembered; none where that is all to be made anew."""
        marks = None if base is None else set(base.segments)
        return [s for s in self._reading.segments if marks is not None and s.mark not in marks]

    def _of_segments(self) -> tuple[DuckDB, Tallies]:
        """An engine of all segments, and their rows counted."""
        if self._closed is None:
            engine = self._whole
            if self._reading.journal.num_rows:
                engine = DuckDB(self._reading.part(self._reading.segments, journal=False))
            self._closed = engine, read_tallies(engine, self._trial, self._now)
        return self._closed

    def _anew(self, settles: Settles) -> Base:
        """Count all segments, and remember them."""
        engine, tallies = self._of_segments()
        keep_tables(engine, self._trial, self._eligible)
        scale = scale_of(engine, self._trial, settles)
        aggregates = aggregate(engine, self._trial, tallies, scale)
        self._units = self._units_of(engine)
        base = Base(
            now=self._now,
            segments=[segment.mark for segment in self._reading.segments],
            rows=sum(map(rows_in, self._reading.segments)),
            repeats=self._repeats(self._reading.segments),
            eligible=self._eligible,
            exposures=tallies.exposures,
            outcomes=tallies.outcomes,
            exposed=list(aggregates.exposed.items()),
            analysed=list(aggregates.analysed.items()),
            strays=aggregates.strays,
            other_arms=list(aggregates.other_arms.items()),
            scale=scale,
        )
        if _are_due(self._trial, tallies):
            memory = Memory(msgspec.msgpack.encode(base), self._units)
            self._reading.remembered.save(self._name, memory)
        if engine is self._whole:
            self.engine = engine
        self._closed = None
        return base

    def _units_of(self, part: DuckDB) -> Words:
        """Units with a row that they are counted by, in order."""
        experiment = self._trial.experiment
        wanted = [Events(outcome, None) for outcome in kinds_of(self._trial).names]
        return np.sort(
            part.numbers(f"""
SELECT DISTINCT e.Unit FROM spans e WHERE e.Unit IS NOT NULL AND (
  e.SpanName = 'meshtrial.exposure' AND e.Experiment = {quoted(experiment.id)}
  OR {events_of(self._trial, wanted)}
)
""")
        )

    def _with_new(self, base: Base, tallies: Tallies) -> tuple[Aggregates, Scale]:
        """All units: those of the base, and the ones with new rows as they are now.

        Raises:
            Unsettled: All have to be measured anew.
        """
        marks = set(base.segments)
        old = [segment for segment in self._reading.segments if segment.mark in marks]
        new = [segment for segment in self._reading.segments if segment.mark not in marks]
        aggregates = base.aggregates
        if not new and not self._reading.journal.num_rows:
            return aggregates, base.scale
        with self._reading.part(new, journal=True) as database:
            known = common(self._units_of(DuckDB(database)), self._units)
            if len(known):
                rows = self._rows_of(old, known)
                with open_database(rows) as before:
                    before.execute("CREATE VIEW otel_traces AS SELECT * FROM journal_rows")
                    aggregates = aggregates.minus(self._added(before, tallies, base.scale))
                database.register("old_rows", rows)
                database.execute("ALTER VIEW otel_traces RENAME TO new_spans")
                database.execute(_BOTH)
            return aggregates.plus(self._added(database, tallies, base.scale)), base.scale

    def _added(self, database: "duckdb.DuckDBPyConnection", tallies: Tallies, scale: Scale) -> Aggregates:
        """What the units of a few rows add up to."""
        part = DuckDB(database)
        keep_tables(part, self._trial, self._eligible)
        if part.rows(f"SELECT 1 FROM kept_units WHERE First <= {scale.settled} LIMIT 1"):
            raise Unsettled
        return aggregate(part, self._trial, tallies, scale)

    def _rows_of(self, segments: Sequence[Segment], units: Words) -> pa.Table:
        """All rows of some units; of the files that have any."""
        with self._reading.part(segments, journal=False) as database:
            database.register("known", pa.table({"Unit": units}))
            found = database.execute(
                "SELECT DISTINCT filename FROM rows_as_received SEMI JOIN known USING (Unit)"
            )
            files = {path for (path,) in found.fetchall()}
        having = [segment for segment in segments if str(segment.path) in files]
        with self._reading.part(having, journal=False) as database:
            database.register("known", pa.table({"Unit": units}))
            wanted = database.sql(f"SELECT {_READ} FROM otel_traces SEMI JOIN known USING (Unit)")
            return wanted.to_arrow_table()


def _are_due(trial: Trial, tallies: Tallies) -> bool:
    """Whether all rows were received before now, where that is told.

    What was received after now, by a clock that was put back, will be due one day.
    """
    names = {None, *kinds_of(trial).names}
    return all(row.is_due for row in tallies.own) and all(
        row.is_due or row.name not in names for row in tallies.outcomes
    )


_BOTH: Final = "CREATE VIEW otel_traces AS SELECT * FROM new_spans UNION ALL BY NAME SELECT * FROM old_rows"


def rows_in(segment: Segment) -> int:
    """How many it has, by its footer."""
    return int(pq.read_metadata(segment.path).num_rows)
