"""A store as a reader sees it: everything acknowledged when the reading began, without locks.

Stage: segments and journals -> **otel_traces** -> analysis.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import pyarrow as pa

from meshtrial.errors import NoData, StoreError
from meshtrial.store.database import name_rows, name_spans, open_database
from meshtrial.store.layout import Layout, Segment, found_segment
from meshtrial.store.remembered import Remembered
from meshtrial.store.repeats import Repeats
from meshtrial.store.schema import SCHEMA
from meshtrial.store.segments import rows_of

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a store held at one moment; a span that came twice is in it twice."""

    segments: tuple[Path, ...]
    """Parquet files, oldest first; they never change."""
    journal: pa.Table
    """Rows that are in no segment yet, in the order received."""


def open_snapshot(path: Path) -> Snapshot:
    """Read the journals, then list the segments; that order makes it whole (`meshtrial.store.layout`).

    Raises:
        NoData: There is no store, or it holds no span.
        StoreError: A file cannot be read.
    """
    layout = Layout(path)
    if not path.is_dir():
        raise NoData(f"there is no store at {path}")
    try:
        tables: dict[int, pa.Table] = {}
        for number in layout.journals():
            try:
                tables[number], _ = rows_of(layout.journal(number))
            except FileNotFoundError:
                continue  # rolled since it was listed: its segment is listed below
        segments = layout.segments()
    except OSError as error:
        raise StoreError(f"the store {path} cannot be read: {error.strerror}") from error
    rows = [table for number, table in tables.items() if number not in segments]
    journal = pa.concat_tables([SCHEMA.empty_table(), *rows]).unify_dictionaries().combine_chunks()
    if not segments and not journal.num_rows:
        raise NoData(f"the store {path} holds no spans yet")
    return Snapshot(tuple(layout.parquet(number) for number in segments), journal)


_COUNTED: Final = "SpanName <> 'meshtrial.exposure'"


@dataclass(frozen=True, slots=True)
class Reading:
    """A store opened for reading: what it held at that moment, with each span once."""

    connection: "duckdb.DuckDBPyConnection"
    """Has the view `otel_traces` of all rows (`meshtrial.store.schema`)."""
    remembered: Remembered
    """What earlier readers remembered."""
    segments: tuple[Segment, ...]
    """The Parquet files read, oldest first."""
    journal: pa.Table
    """Rows that are in no segment yet."""
    repeats: pa.Table
    """Rows that are left out, for they are there already: filename, file_row_number."""

    def __enter__(self) -> Self:
        """Be closed at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the database."""
        self.connection.close()

    def part(self, segments: Collection[Segment], *, journal: bool) -> "duckdb.DuckDBPyConnection":
        """A database of its own with the view `otel_traces` of some of the rows.

        Args:
            segments: Whose rows.
            journal: With the rows that are in no segment yet.
        """
        database = open_database(self.journal)
        name_rows(database, "rows_as_received", [segment.path for segment in segments], journal=journal)
        database.register("repeats", self.repeats)
        name_spans(database)
        return database


def connect(path: Path, *, exposures_once: bool = True) -> "duckdb.DuckDBPyConnection":
    """A database in memory with a store's view `otel_traces`: arguments and errors as of `open_reading`."""
    return open_reading(path, exposures_once=exposures_once).connection


def open_reading(path: Path, *, exposures_once: bool = True) -> Reading:
    """Read a store as it is now, into a database in memory.

    A span that came more than once, by (TraceId, SpanId, SpanName), is there once: as it was received first,
    and as it was imported only where it came in no other way.

    Args:
        path: The store's folder.
        exposures_once: False where nobody counts exposures one by one: not to look for repeats among them
            halves the time, and more than one copy may then be there.

    Raises:
        NoData: There is no store, or it holds no span.
        StoreError: A file cannot be read.
    """
    import duckdb  # noqa: PLC0415 - a collector runs without it

    snapshot = open_snapshot(path)
    database = open_database(snapshot.journal)
    remembered = Remembered(path)
    try:
        segments = tuple(map(found_segment, snapshot.segments))
        name_rows(database, "rows_as_received", snapshot.segments, journal=True)
        Repeats(database, segments, "true" if exposures_once else _COUNTED, remembered).find()
        repeats = database.sql("SELECT * FROM repeats").to_arrow_table()
        name_spans(database)
    except (duckdb.Error, OSError) as error:
        database.close()
        raise StoreError(f"the store {path} cannot be read: {error}") from error
    return Reading(database, remembered, segments, snapshot.journal, repeats)
