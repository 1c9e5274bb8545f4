"""A store's files -> views of their rows, in a database in memory."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa

if TYPE_CHECKING:
    import duckdb

MEMORY: Final = "1536MiB"
"""What the engine may take; more goes to the disk."""
_ROWS: Final = """
CREATE OR REPLACE VIEW {name} AS
SELECT * FROM {name}_of_segments UNION ALL BY NAME SELECT * FROM journal_rows {which}
"""
_NONE: Final = "CREATE VIEW {name}_of_segments AS SELECT * FROM journal_rows LIMIT 0"
_SPANS: Final = """
CREATE VIEW otel_traces AS
SELECT * EXCLUDE (filename, file_row_number) FROM rows_as_received {without}
"""


def open_database(journal: pa.Table) -> "duckdb.DuckDBPyConnection":
    """A database that has the rows in no segment yet as `journal_rows`."""
    import duckdb  # noqa: PLC0415 - a collector runs without it

    database = duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": tempfile.gettempdir()})
    # There are thousands of segments, and every query asks for the footers of all of them.
    database.execute("LOAD parquet; SET parquet_metadata_cache = true")
    database.register("journal_rows", _numbered(journal))
    return database


def name_rows(
    database: "duckdb.DuckDBPyConnection", name: str, segments: Sequence[Path], *, journal: bool
) -> None:
    """Make a view of rows, with the two columns that DuckDB gives to a file's rows.

    Args:
        database: Of `open_database`.
        name: Of the view.
        segments: Parquet files.
        journal: With the rows in no segment yet.
    """
    if segments:
        files = [str(path) for path in segments]
        # By name: a segment of an earlier version lacks the columns that were added since.
        rows = database.read_parquet(files, filename=True, file_row_number=True, union_by_name=True)
        rows.create_view(f"{name}_of_segments")
    else:
        database.execute(_NONE.format(name=name))
    database.execute(_ROWS.format(name=name, which="" if journal else "WHERE 1 = 0"))


def name_spans(database: "duckdb.DuckDBPyConnection") -> None:
    """Make the view `otel_traces`: `rows_as_received` but for the rows of the table `repeats`."""
    found = database.execute("SELECT 1 FROM repeats LIMIT 1").fetchall()
    without = "ANTI JOIN repeats USING (filename, file_row_number)" if found else ""
    database.execute(_SPANS.format(without=without))


def _numbered(journal: pa.Table) -> pa.Table:
    count = journal.num_rows
    return journal.append_column("filename", pa.repeat("", count)).append_column(
        "file_row_number", pa.array(range(count), pa.int64())
    )
