"""Which rows of a store are there already: found once, before anything is counted.

A window over all rows in a view would keep every query's filters from the files, and to group millions of ids
by themselves takes twice as long as to sort their hashes.
"""

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

if TYPE_CHECKING:
    import duckdb

_AT_ONCE: Final = 2**25
"""Hashes sorted at a time: 256 MiB of them."""
_COUNT: Final = "SELECT count(*) FROM rows_as_received WHERE {which}"
_HASHES: Final = """
SELECT h FROM (SELECT hash(SpanId) AS h FROM rows_as_received WHERE {which}) t WHERE h % {parts} = {part}
"""
_COPIES: Final = """
CREATE TABLE repeats AS
WITH copies AS (
    SELECT filename, file_row_number, row_number() OVER (
        PARTITION BY TraceId, SpanId, SpanName
        ORDER BY coalesce(SpanAttributes['meshtrial.imported'], '') = 'true', ReceivedAt,
            filename = '', filename, file_row_number
    ) AS copy
    FROM rows_as_received WHERE {which} AND hash(SpanId) IN (SELECT h FROM again)
)
SELECT filename, file_row_number FROM copies WHERE copy > 1
"""
"""What was imported comes after what was not: its ReceivedAt is its own time, and a file of old outcomes must
not take the place of what the analysis has counted already. Of two that were imported, at one time then, the
earlier counts: segments are called by their number, and journals, which have no name, are younger than they.
"""


def find_repeats(database: "duckdb.DuckDBPyConnection", which: str) -> bool:
    """Make the table `repeats` (filename, file_row_number); whether it has any row.

    Args:
        database: Has the view `rows_as_received`.
        which: The condition on its rows among which repeats are looked for.
    """
    again = _hashes_twice(database, which)
    database.register("again", pa.table({"h": again}))
    database.execute(_COPIES.format(which=which if len(again) else "false"))
    database.unregister("again")
    return database.execute("SELECT 1 FROM repeats LIMIT 1").fetchone() is not None


def _hashes_twice(database: "duckdb.DuckDBPyConnection", which: str) -> npt.NDArray[np.uint64]:
    """Of span ids: two spans with one hash are looked at by all that makes them the same."""
    found = database.execute(_COUNT.format(which=which)).fetchone()
    parts = 1 + (found[0] if found else 0) // _AT_ONCE
    twice = [np.empty(0, np.uint64)]
    for part in range(parts):
        hashes = database.execute(_HASHES.format(which=which, parts=parts, part=part)).fetchnumpy()["h"]
        ordered = np.sort(np.asarray(hashes, np.uint64))
        twice.append(np.unique(ordered[1:][ordered[1:] == ordered[:-1]]))
    return np.concatenate(twice)
