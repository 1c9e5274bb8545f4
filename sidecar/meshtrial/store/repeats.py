"""Which rows of a store are there already: found once, before anything is counted.

A window over all rows in a view would keep every query's filters from the files, and to group millions of ids
by themselves takes twice as long as to sort their hashes. The sorted hashes of segments, which never change,
are remembered: among them those of new rows are looked for, and as a rule none is there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import pyarrow as pa

from meshtrial.store.database import name_rows
from meshtrial.store.layout import Segment
from meshtrial.store.remembered import Memory, Remembered, Words, common, digest_of

if TYPE_CHECKING:
    import duckdb

_AT_ONCE: Final = 2**25
"""Hashes sorted at a time: 256 MiB of them. Of more nothing is remembered."""
LEAST: Final = 200_000
"""Hashes worth to be remembered."""
NEW_AT_MOST: Final = 0.1
"""New hashes, as a share of those remembered: with more they are remembered anew."""
_COUNT: Final = "SELECT count(*) FROM {rows} WHERE {which}"
_HASHES: Final = """
SELECT h FROM (SELECT hash(SpanId) AS h FROM {rows} WHERE {which}) t WHERE h % {parts} = {part}
"""
_COPIES: Final = """
CREATE TABLE repeats AS
WITH copies AS (
    SELECT filename, file_row_number, row_number() OVER (
        PARTITION BY TraceId, SpanId, SpanName
        ORDER BY coalesce(SpanAttributes['meshtrial.imported'], '') = 'true', ReceivedAt,
            filename = '', filename, file_row_number
    ) AS copy
    FROM {rows} WHERE {which} AND hash(SpanId) IN (SELECT h FROM again)
)
SELECT filename, file_row_number FROM copies WHERE copy > 1
"""
"""What was imported comes after what was not: its ReceivedAt is its own time, and a file of old outcomes must
not take the place of what the analysis has counted already. Of two that were imported, at one time then, the
earlier counts: segments are called by their number, and journals, which have no name, are younger than they.
"""


class _Known(msgspec.Struct, frozen=True):
    """What is remembered beside the sorted hashes of segments."""

    segments: list[tuple[int, int, int]]
    """`Segment.mark` of each."""
    again: list[int]
    """Hashes that are there twice."""
    repeats: list[tuple[int, int]]
    """Number of the segment, number of the row in it."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """Where rows that are there already are looked for."""

    database: "duckdb.DuckDBPyConnection"
    """Has the view `rows_as_received`, and the table `journal_rows`."""
    segments: Sequence[Segment]
    which: str
    """The condition on rows among which repeats are looked for."""
    remembered: Remembered

    def find(self) -> None:
        """Make the table `repeats` (filename, file_row_number)."""
        found = self._by_known()
        if found is None:
            found = self._by_all()
        if isinstance(found, _Known):
            paths = {segment.number: str(segment.path) for segment in self.segments}
            table = pa.table(
                {
                    "filename": pa.array([paths[number] for number, _ in found.repeats], pa.string()),
                    "file_row_number": pa.array([row for _, row in found.repeats], pa.int64()),
                }
            )
            self.database.register("known_repeats", table)
            self.database.execute("CREATE TABLE repeats AS SELECT * FROM known_repeats")
            self.database.unregister("known_repeats")
            return
        self._copies(found)

    def _by_known(self) -> "_Known | Words | None":
        """The repeats that are known where nothing new repeats anything; else all hashes that repeat."""
        memory = self.remembered.load(self._name)
        if memory is None:
            return None
        try:
            known = msgspec.msgpack.decode(memory.text, type=_Known)
        except msgspec.DecodeError:
            return None
        marks = set(known.segments)
        if not marks <= {segment.mark for segment in self.segments}:
            return None
        new = [segment for segment in self.segments if segment.mark not in marks]
        name_rows(self.database, "new_rows", [segment.path for segment in new], journal=True)
        if self._count("new_rows") > NEW_AT_MOST * len(memory.words):
            return None
        hashes = self._hashes("new_rows")
        again = np.union1d(_twice(hashes), common(hashes, memory.words))
        return np.union1d(again, np.array(known.again, np.uint64)) if len(again) else known

    def _by_all(self) -> Words:
        count = self._count("rows_as_received")
        if count > _AT_ONCE:
            parts = 1 + count // _AT_ONCE
            found = [_twice(self._hashes("rows_as_received", parts, part)) for part in range(parts)]
            return np.concatenate(found)
        name_rows(self.database, "closed_rows", [segment.path for segment in self.segments], journal=False)
        closed, journal = self._hashes("closed_rows"), self._hashes("journal_rows")
        within = _twice(closed)
        if len(closed) >= LEAST:
            self._remember(closed, within)
        return np.union1d(within, np.union1d(_twice(journal), common(journal, closed)))

    def _remember(self, closed: Words, again: Words) -> None:
        """Of segments alone: rows that are in none yet will be in another place."""
        self._copies(again, "closed_rows")
        rows = self.database.execute("SELECT filename, file_row_number FROM repeats").fetchall()
        self.database.execute("DROP TABLE repeats")
        numbers = {str(segment.path): segment.number for segment in self.segments}
        known = _Known(
            [segment.mark for segment in self.segments],
            again.tolist(),
            [(numbers[path], row) for path, row in rows],
        )
        self.remembered.save(self._name, Memory(msgspec.msgpack.encode(known), closed))

    @property
    def _name(self) -> str:
        return f"ids-{digest_of(self.which)}"

    def _copies(self, again: Words, rows: str = "rows_as_received") -> None:
        self.database.register("again", pa.table({"h": again}))
        self.database.execute(_COPIES.format(which=self.which if len(again) else "false", rows=rows))
        self.database.unregister("again")

    def _count(self, rows: str) -> int:
        [(count,)] = self.database.execute(_COUNT.format(rows=rows, which=self.which)).fetchall()
        return int(count)

    def _hashes(self, rows: str, parts: int = 1, part: int = 0) -> Words:
        """Of span ids, sorted: two spans with one hash are looked at by all that makes them the same."""
        query = _HASHES.format(rows=rows, which=self.which, parts=parts, part=part)
        return np.sort(np.asarray(self.database.execute(query).fetchnumpy()["h"], np.uint64))


def _twice(ordered: Words) -> Words:
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
