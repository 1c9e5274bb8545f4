"""Where the analysis asks: one query text for every engine that keeps `otel_traces`.

An engine gives what differs between them as the view `spans`: all columns of `otel_traces`
(`meshtrial.store.schema`), and Time and Received, which are Timestamp and ReceivedAt in whole nanoseconds
since 1970. All else is SQL that DuckDB and ClickHouse read alike, the latter set to give nulls where the
standard does: `join_use_nulls`, `cast_keep_nullable` and `aggregate_functions_null_for_empty`
(https://clickhouse.com/docs/operations/settings/settings).

What a text must not do, so that both read it alike: give an expression the name of a column that it or its
WHERE reads (ClickHouse reads the expression), or leave unnamed what it takes from a joined table by `u.Unit`.
"""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import duckdb

_SPANS: Final = """
CREATE OR REPLACE TEMP VIEW spans AS
SELECT *, epoch_ns(Timestamp) AS Time, coalesce(epoch_ns(ReceivedAt), epoch_ns(Timestamp)) AS Received
FROM otel_traces
"""


class Engine(Protocol):
    """A database that has the view `spans`."""

    def rows(self, query: str) -> Sequence[tuple[Any, ...]]:
        """All rows of a query."""

    def keep(self, name: str, query: str) -> None:
        """Make a temporary table of a query's rows, in the place of one that has the name."""

    def name(self, name: str, query: str) -> None:
        """Give a query a name under which others can read its rows, in the place of one that has the name."""

    def drop(self, name: str) -> None:
        """Forget a table that was kept, if there is one of the name."""


class DuckDB:
    """The embedded engine."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection") -> None:
        """Make the view `spans`.

        Args:
            connection: Has `otel_traces` (`meshtrial.store.read.connect`).
        """
        self._connection = connection
        # The order of rows is asked for where it matters; to keep it everywhere takes memory.
        connection.execute("SET preserve_insertion_order = false")
        connection.execute(_SPANS)

    def rows(self, query: str) -> Sequence[tuple[Any, ...]]:
        """All rows of a query."""
        return self._connection.execute(query).fetchall()

    def numbers(self, query: str) -> npt.NDArray[np.uint64]:
        """The only column of a query, of whole numbers that are not negative."""
        [column] = self._connection.execute(query).fetchnumpy().values()
        return np.asarray(column, np.uint64)

    def keep(self, name: str, query: str) -> None:
        """Make a temporary table of a query's rows."""
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {query}")

    def name(self, name: str, query: str) -> None:
        """Make a temporary view of a query."""
        self._connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {query}")

    def drop(self, name: str) -> None:
        """Drop a temporary table."""
        self._connection.execute(f"DROP TABLE IF EXISTS {name}")


def quoted(text: str) -> str:
    """A text as a literal of SQL.

    In plain quotes a backslash stands for itself in DuckDB, and begins an escape in ClickHouse. Between tags
    such as `$q0$` both read every character as it is:
    https://duckdb.org/docs/stable/sql/data_types/literal_types#dollar-quoted-string-literals,
    https://clickhouse.com/docs/sql-reference/syntax#heredoc
    """
    if "\\" not in text:
        return "'" + text.replace("'", "''") + "'"
    tags = (f"$q{number}$" for number in itertools.count())
    tag = next(tag for tag in tags if (text + tag).index(tag) == len(text))
    return tag + text + tag
