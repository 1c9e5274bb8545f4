"""Lists of units in CSV and Parquet: read and written in pieces, so that a file may be larger than memory."""

import contextlib
import csv
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from meshtrial.errors import SettingError
from meshtrial.plan.problems import printable

_ROWS: Final = 100_000
_BLOCK: Final = 4 << 20
"""Bytes of a CSV file that are read at once: about as many rows."""
SUFFIXES: Final = (".csv", ".parquet")


def suffix_of(path: Path) -> str:
    """`.csv` or `.parquet`.

    Raises:
        SettingError: It is neither.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise SettingError(
            f"{printable(str(path))}: the name must end in .csv or .parquet, which says its form"
        )
    return suffix


def columns_of(path: Path) -> tuple[str, ...]:
    """The names of a file's columns; of a CSV file its first line.

    Raises:
        SettingError: The file cannot be read, or a name stands twice.
    """
    with _reading(path):
        if suffix_of(path) == ".parquet":
            names = tuple(pq.read_schema(path).names)
        else:
            with path.open(encoding="utf-8-sig", newline="") as file:
                names = tuple(next(csv.reader(file), ()))
    if not names:
        raise SettingError(f"{printable(str(path))} is empty: it needs a line with the names of its columns")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SettingError(f"{printable(str(path))}: the column `{printable(twice)}` stands twice")
    return names


def pieces(path: Path, columns: Sequence[str]) -> Iterator[tuple[dict[str, list[bytes | None]], float]]:
    """Some columns of a file, piece by piece, and how much of the file has been read, 0..1.

    Values are texts and whole numbers, as the bytes that a request would carry; None where there is none.

    Raises:
        SettingError: The file cannot be read, or a column holds something else.
    """
    with _reading(path), path.open("rb") as file:
        if suffix_of(path) == ".parquet":
            parquet = pq.ParquetFile(file)
            total, done = max(parquet.metadata.num_rows, 1), 0
            for batch in parquet.iter_batches(batch_size=_ROWS, columns=list(columns)):
                done += batch.num_rows
                yield {name: _texts(path, name, batch.column(name)) for name in columns}, done / total
            return
        size = max(path.stat().st_size, 1)
        # Every value is text: `007` is no 7.
        convert = pa_csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()), include_columns=list(columns)
        )
        reader = pa_csv.open_csv(
            file,
            read_options=pa_csv.ReadOptions(block_size=_BLOCK),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True),
            convert_options=convert,
        )
        for batch in reader:
            yield {name: _texts(path, name, batch.column(name)) for name in columns}, file.tell() / size


def _texts(path: Path, name: str, values: Any) -> list[bytes | None]:  # noqa: ANN401 - pyarrow has no types
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    textual = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)
    if not textual:
        message = f"holds {kind}; units and values of requests are texts or whole numbers"
        raise SettingError(f"{printable(str(path))}: the column `{printable(name)}` {message}")
    found: list[bytes | None] = (
        values.cast(pa.string()).cast(pa.binary()).to_numpy(zero_copy_only=False).tolist()
    )
    return found


@contextlib.contextmanager
def writing(path: Path | None, schema: Any) -> Iterator[Callable[[Any], None]]:  # noqa: ANN401 - pyarrow has no types
    """What writes tables of a schema to a file, or as CSV to standard output where there is none.

    The file has its name only once it is whole.

    Raises:
        SettingError: It cannot be written.
    """
    if path is None:
        with pa_csv.CSVWriter(sys.stdout.buffer, schema) as writer:
            yield writer.write_table
        return
    part = path.with_name(path.name + ".part")
    try:
        opened = pq.ParquetWriter if suffix_of(path) == ".parquet" else pa_csv.CSVWriter
        try:
            with opened(part, schema) as writer:
                yield writer.write_table
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise SettingError(
            f"{printable(str(path))} cannot be written: {os.strerror(error.errno or 0)}"
        ) from error


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        raise SettingError(f"{printable(str(path))} cannot be read: {why}") from error
    except (UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        first = str(error).partition("\n")[0]
        raise SettingError(f"{printable(str(path))} cannot be read: {printable(first)}") from error
