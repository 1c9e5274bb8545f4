"""A store as a reader sees it: everything acknowledged when the reading began, without locks.

Stage: segments and journals -> **otel_traces** -> analysis.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from meshtrial.errors import NoData, StoreError
from meshtrial.store.layout import Layout
from meshtrial.store.repeats import find_repeats
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


_ROWS: Final = """
CREATE VIEW rows_as_received AS
SELECT * FROM segment_rows UNION ALL BY NAME SELECT * FROM journal_rows
"""
_COUNTED: Final = "SpanName <> 'meshtrial.exposure'"
MEMORY: Final = "1536MiB"
"""What the engine may take; more goes to the disk."""
_ALL: Final = """
CREATE VIEW otel_traces AS
SELECT * EXCLUDE (filename, file_row_number) FROM rows_as_received
"""
_WITHOUT_REPEATS: Final = f"{_ALL} ANTI JOIN repeats USING (filename, file_row_number)"


def connect(path: Path, *, exposures_once: bool = True) -> "duckdb.DuckDBPyConnection":
    """A database in memory; its view `otel_traces` (`meshtrial.store.schema`) is the store as it is now.

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
    database = duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": tempfile.gettempdir()})
    try:
        _make_view(database, snapshot, "true" if exposures_once else _COUNTED)
    except duckdb.Error as error:
        database.close()
        raise StoreError(f"the store {path} cannot be read: {error}") from error
    return database


def _make_view(database: "duckdb.DuckDBPyConnection", snapshot: Snapshot, which: str) -> None:
    database.register("journal_rows", _numbered(snapshot.journal))
    if snapshot.segments:
        files = [str(path) for path in snapshot.segments]
        # By name: a segment of an earlier version lacks the columns that were added since.
        # There are thousands of segments, and every query asks for the footers of all of them.
        database.execute("LOAD parquet; SET parquet_metadata_cache = true")
        segments = database.read_parquet(files, filename=True, file_row_number=True, union_by_name=True)
        segments.create_view("segment_rows")
    else:
        database.execute("CREATE VIEW segment_rows AS SELECT * FROM journal_rows LIMIT 0")
    database.execute(_ROWS)
    database.execute(_WITHOUT_REPEATS if find_repeats(database, which) else _ALL)


def _numbered(journal: pa.Table) -> pa.Table:
    """With the two columns that DuckDB gives to a file's rows."""
    count = journal.num_rows
    return journal.append_column("filename", pa.repeat("", count)).append_column(
        "file_row_number", pa.array(range(count), pa.int64())
    )
