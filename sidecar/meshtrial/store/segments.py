"""Journal N -> Parquet segment N, so that a crash at any moment leaves one of them whole.

Stage: journal -> **segment** -> reader.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from meshtrial.errors import StoreError
from meshtrial.names import SpanName
from meshtrial.store.journal import read_journal
from meshtrial.store.layout import FILE_MODE, FOLDER_MODE, Layout, sync_folder
from meshtrial.store.rows import to_table
from meshtrial.store.schema import TABLE

ROW_GROUP: Final = 122_880
"""Rows: DuckDB's own group size, the least that keeps a thread busy.

https://duckdb.org/docs/stable/guides/performance/file_formats#parquet-file-sizes
"""


_OWN: Final = frozenset(SpanName)
"""Others' spans are of any number of names."""


@dataclass(frozen=True, slots=True)
class Rolled:
    """What became of one journal."""

    number: int
    spans: int
    unreadable: int
    """Bytes of a torn or damaged tail; the journal is then kept beside as `.unreadable`."""


def rows_of(journal: Path) -> tuple[pa.Table, int]:
    """The rows of a journal, and how many bytes of its tail are unreadable.

    Raises:
        FileNotFoundError: There is no such journal (any more).
        StoreError: It holds something else than trace requests.
    """
    contents = read_journal(journal)
    try:
        table = to_table(
            (at, ExportTraceServiceRequest.FromString(payload)) for at, payload in contents.records
        )
    except DecodeError as error:
        raise StoreError(f"journal {journal} holds what is no ExportTraceServiceRequest") from error
    return table, contents.unreadable


def roll(layout: Layout, number: int) -> Rolled:
    """Turn a closed journal into a segment and delete it; called again after a crash, it goes on.

    An empty journal becomes no segment.

    Raises:
        StoreError: The journal cannot be read or the segment not written; the journal is as it was.
    """
    journal = layout.journal(number)
    try:
        if layout.parquet(number).exists():
            journal.unlink()
            return Rolled(number, 0, 0)
        table, unreadable = rows_of(journal)
        if table.num_rows:
            building = layout.building(number)
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir(FOLDER_MODE)
            with open(building / f"{TABLE}.parquet", "wb", opener=_opener) as file:
                write_rows(table, file)
                file.flush()
                os.fsync(file.fileno())
            sync_folder(building)
            building.rename(layout.segment(number))
            sync_folder(layout.segment(number).parent)
        if unreadable:
            journal.rename(journal.with_suffix(".unreadable"))
        else:
            journal.unlink()
        sync_folder(journal.parent)
    except OSError as error:
        raise StoreError(f"journal {journal} cannot be made into a segment: {error}") from error
    return Rolled(number, table.num_rows, unreadable)


def write_rows(table: pa.Table, file: BinaryIO) -> None:
    """Write a segment's rows: by name in groups of their own, in the order received within each.

    A reader of exposures then passes over the groups of outcomes without opening them.
    """
    names = sorted(pc.unique(table["SpanName"]).to_pylist())
    own = [name for name in names if name in _OWN]
    parts = [table.filter(pc.equal(table["SpanName"], name)) for name in own]
    parts.append(table.filter(pc.invert(pc.is_in(table["SpanName"], pa.array(own, pa.string())))))
    with pq.ParquetWriter(file, table.schema, compression="zstd") as writer:
        for part in parts:
            if part.num_rows:
                writer.write_table(part, row_group_size=ROW_GROUP)


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags, FILE_MODE)
