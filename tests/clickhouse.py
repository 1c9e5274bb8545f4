"""ClickHouse's engine in this process, as the analysis asks it (`meshtrial.store.engine.Engine`).

A view of a file stands for the table, so that the analysis reads the types that a server would have. A real
ClickHouse needs the same view over its own table, `CREATE VIEW spans AS SELECT ... FROM otel_traces`, and:

- `join_use_nulls`, `cast_keep_nullable` and `aggregate_functions_null_for_empty` set to 1 for the session: a
  row without a match has nulls, not zeros; a null stays one in a CAST; of no rows a sum is null, not 0.
- Maps whose values can be null, as a key that is not there is null then, not 0 or the empty text:
  `CAST(SpanAttributes AS Map(String, Nullable(String)))`, and so for OutcomeValues and Strata.
- Time and Received: `toUnixTimestamp64Nano` of Timestamp, and of ReceivedAt or else of Timestamp.
- The columns from Experiment on, null where a span has none. A table that the OpenTelemetry Collector's
  exporter wrote has only the columns before them: the view takes the others out of SpanAttributes, by the
  names and the rules in `meshtrial.store.schema`. It has no ReceivedAt, so nothing counts as late.
- Each span once: the store's reader leaves out what came twice (`meshtrial.store.read`), an exporter's table
  may hold it twice.
- Tables of rows that are kept, in a database of the session's own: `Engine.keep` makes them anew each time.
"""

import functools
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet
from chdb.session import Session

_numbers = itertools.count(1)

_SETTINGS = "SET join_use_nulls = 1, cast_keep_nullable = 1, aggregate_functions_null_for_empty = 1"
_SPANS = """
CREATE VIEW spans AS
SELECT *, toUnixTimestamp64Nano(Timestamp) AS Time,
  toUnixTimestamp64Nano(coalesce(ReceivedAt, Timestamp)) AS Received
FROM file('{path}', Parquet)
"""


@functools.cache
def _session() -> Session:
    """The process's one session: it is slow to start, and another one would end it."""
    return Session()  # type: ignore[no-untyped-call] # as below


def _asked(query: str, form: str = "CSV") -> bytes:
    """What the session answers, in a format."""
    answer: bytes = _session().query(query, form).bytes()  # type: ignore[no-untyped-call] # it has no types
    return answer


class ClickHouse:
    """An engine on a database of its own."""

    def rows(self, query: str) -> Sequence[tuple[Any, ...]]:
        """All rows of a query."""
        with pa.ipc.open_file(pa.BufferReader(_asked(query, "Arrow"))) as reader:
            table = reader.read_all()
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True))

    def keep(self, name: str, query: str) -> None:
        """Make a table of a query's rows."""
        _asked(f"CREATE OR REPLACE TABLE {name} ENGINE = Memory AS {query}")

    def name(self, name: str, query: str) -> None:
        """Make a view of a query."""
        _asked(f"CREATE OR REPLACE VIEW {name} AS {query}")

    def drop(self, name: str) -> None:
        """Drop a table."""
        _asked(f"DROP TABLE IF EXISTS {name}")


@contextmanager
def clickhouse(rows: pa.Table) -> Iterator[ClickHouse]:
    """An engine whose view `spans` has these rows of `meshtrial.store.schema.SCHEMA`; one at a time."""
    database = f"trial_{next(_numbers)}"
    with TemporaryDirectory() as folder:
        path = Path(folder) / "otel_traces.parquet"
        pyarrow.parquet.write_table(rows, path)
        _asked(_SETTINGS)
        _asked(f"CREATE DATABASE {database}")
        _asked(f"USE {database}")
        _asked(_SPANS.format(path=path))
        try:
            yield ClickHouse()
        finally:
            _asked(f"DROP DATABASE {database}")
