"""A file of outcomes or exposures -> its rows, one after the other, never the whole file at once.

Stage: **file_rows** -> row_cells -> row_outcomes or row_exposures -> importing -> the collector's door.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, TextIO

import msgspec

from meshtrial.errors import SettingError

LARGEST_LINE: Final = 2**20
"""Bytes of one line of JSON: what is longer is refused and skipped."""
_LARGE: Final = msgspec.json.Decoder(float_hook=Decimal)
"""For a line of which a number is beyond 64 bits' floats, such as 1e400: who reads its cell says so."""
_BATCH: Final = 8192
"""Rows of Parquet in memory at a time."""


class Format(StrEnum):
    """How a file of rows is written."""

    CSV = "csv"
    """RFC 4180, UTF-8, the first line names the columns."""
    JSONL = "jsonl"
    """One JSON object a line."""
    PARQUET = "parquet"


_SUFFIXES: Final = {
    ".csv": Format.CSV,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".parquet": Format.PARQUET,
}


class Row(NamedTuple):
    """One row of a file."""

    line: int
    """Where it begins, from 1; in Parquet the number of the row."""
    cells: Mapping[str, object]
    """By column; None where the row has no such cell."""
    done: float
    """Share of the file that was read, 0..1."""
    flaw: str = ""
    """Why it cannot be read; "" where it can."""


def format_of(path: Path) -> Format:
    """The format that the file's name says.

    Raises:
        SettingError: It says none.
    """
    found = _SUFFIXES.get(path.suffix.lower())
    if found is None:
        raise SettingError(f"{path}: is it csv, jsonl or parquet? Say so with --format")
    return found


def read_rows(path: Path, form: Format, columns: Sequence[str]) -> Iterator[Row]:
    """The rows of a file, with these columns of it.

    Raises:
        SettingError: The file cannot be read, is not of that format, or lacks a column.
    """
    try:
        size = max(1, path.stat().st_size)
        # What is not UTF-8 stays recognisable in CSV, so that only its row is refused.
        match form:
            case Format.CSV:
                with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
                    yield from _csv(lines, size, path, columns)
            case Format.JSONL:
                with path.open("rb") as file:
                    yield from _json_lines(file, size, columns)
            case Format.PARQUET:
                with path.open("rb") as file:
                    yield from _parquet(file, path, columns)
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror or error}") from error


def _csv(text: TextIO, size: int, path: Path, columns: Sequence[str]) -> Iterator[Row]:
    reader = csv.reader(text, strict=True)
    try:
        header = next(reader, [])
    except csv.Error as error:
        raise SettingError(f"{path}: its first line is not CSV: {error}") from error
    _demand(columns, header, path)
    places = {column: header.index(column) for column in columns}
    while True:
        line, flaw = reader.line_num + 1, ""
        cells: list[str] = []
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            flaw = f"it is not CSV: {error}"
        if not cells and not flaw:
            continue  # an empty line
        if not flaw and len(cells) != len(header):
            flaw = f"it has {len(cells)} cells; the first line has {len(header)}"
        known: dict[str, object] = {} if flaw else {column: cells[at] for column, at in places.items()}
        yield Row(line, known, text.buffer.tell() / size, flaw)


def _json_lines(file: BinaryIO, size: int, columns: Sequence[str]) -> Iterator[Row]:
    line = 0
    while raw := file.readline(LARGEST_LINE + 1):
        line += 1
        known: dict[str, object] = {}
        flaw = ""
        if len(raw) > LARGEST_LINE:
            flaw = f"it is longer than {LARGEST_LINE} bytes"
            while raw and not raw.endswith(b"\n"):
                raw = file.readline(LARGEST_LINE)
        elif raw.isspace():
            continue
        else:
            try:
                row = _decoded(raw)
            except (msgspec.ValidationError, ArithmeticError):
                row, flaw = None, "it has a number that is too large to be read"
            except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
                row, flaw = None, f"it is not JSON: {error}"
            if isinstance(row, dict):
                known = {column: row.get(column) for column in columns}
            else:
                flaw = flaw or "it is no JSON object"
        yield Row(line, known, file.tell() / size, flaw)


def _decoded(raw: bytes) -> object:
    try:
        return msgspec.json.decode(raw)
    except msgspec.ValidationError:  # of a number: else any JSON will do
        return _LARGE.decode(raw)


def _parquet(file: BinaryIO, path: Path, columns: Sequence[str]) -> Iterator[Row]:
    import pyarrow as pa  # noqa: PLC0415 - only here; an import of text needs no Arrow
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        parquet = pq.ParquetFile(file)
        _demand(columns, parquet.schema_arrow.names, path)
        total, number = parquet.metadata.num_rows, 0
        for batch in parquet.iter_batches(_BATCH, columns=list(columns)):
            cells = {name: _values(batch.column(name)) for name in columns}
            for at in range(batch.num_rows):
                number += 1
                yield Row(number, {name: values[at] for name, values in cells.items()}, number / total)
    except (pa.ArrowException, OSError) as error:
        raise SettingError(f"{path} is no Parquet file that can be read: {error}") from error


def _values(column: "pa.Array") -> list[object]:  # type: ignore[name-defined]  # noqa: F821 - pyarrow comes late
    """As Python has them; of times, microseconds are left."""
    import pyarrow as pa  # noqa: PLC0415 - as above

    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return list(column.to_pylist())


def _demand(columns: Sequence[str], present: Sequence[str], path: Path) -> None:
    for column in columns:
        if present.count(column) != 1:
            how = "no" if column not in present else "more than one"
            raise SettingError(f"{path} has {how} column `{column}`; its columns: {', '.join(present)}")
