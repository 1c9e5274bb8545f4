from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from meshtrial.collect.file_rows import Format, Row, format_of, read_rows
from meshtrial.errors import SettingError


def rows(path: Path, content: bytes, form: Format, *columns: str) -> list[Row]:
    path.write_bytes(content)
    return list(read_rows(path, form, columns))


def told(found: list[Row]) -> list[tuple[int, Any]]:
    """Each row's line, with its cells or its flaw."""
    return [(row.line, row.flaw or dict(row.cells)) for row in found]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def test_csv_has_its_columns_by_name_and_each_row_the_line_that_it_begins_on(path: Path) -> None:
    content = '\ufeffuser,total,note\r\nu1,1,"two\r\nlines"\r\n\r\nü2,,"a ""quote"", a comma"\r\n'.encode()

    assert told(rows(path, content, Format.CSV, "note", "user")) == [
        (2, {"note": "two\r\nlines", "user": "u1"}),
        (5, {"note": 'a "quote", a comma', "user": "ü2"}),
    ]


def test_a_malformed_row_of_csv_is_refused_and_the_rest_is_read(path: Path) -> None:
    content = b'user,total\nu1\nu2,1,2\n"u3"x,1\n\xff,4\n' + b"x" * 140_000 + b",5\nu6,6\n"

    assert told(rows(path, content, Format.CSV, "user")) == [
        (2, "it has 1 cells; the first line has 2"),
        (3, "it has 3 cells; the first line has 2"),
        (4, "it is not CSV: ',' expected after '\"'"),
        (5, {"user": "\udcff"}),
        (6, "it is not CSV: field larger than field limit (131072)"),
        (7, {"user": "u6"}),
    ]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "has no column `user`; its columns: "),
        (b"id,at\n", "has no column `user`; its columns: id, at"),
        (b"user,user\n", "has more than one column `user`; its columns: user, user"),
    ],
)
def test_a_csv_without_the_column_is_one_error(path: Path, content: bytes, error: str) -> None:
    with pytest.raises(SettingError) as found:
        rows(path, content, Format.CSV, "user")

    assert str(found.value) == f"{path} {error}"


def test_lines_of_json_have_their_fields_and_keep_their_types(path: Path) -> None:
    content = b'{"user": "u1", "n": 9007199254740993}\n\n {"n": 1.5, "more": []}'

    assert told(rows(path, content, Format.JSONL, "user", "n")) == [
        (1, {"user": "u1", "n": 9007199254740993}),
        (3, {"user": None, "n": 1.5}),
    ]


def test_a_malformed_line_of_json_is_refused_and_the_rest_is_read(path: Path) -> None:
    long = b'{"user": "' + b"x" * 3_000_000 + b'"}\n'
    content = b'{"user"\n[1]\n{"user": "\xff"}\n' + long + b"[" * 100_000 + b'\n{"user": "u6"}\n'

    found = told(rows(path, content, Format.JSONL, "user"))

    assert [line for line, _ in found] == [1, 2, 3, 4, 5, 6]
    assert [what for _, what in found][1] == "it is no JSON object"
    assert [what for _, what in found][3] == "it is longer than 1048576 bytes"
    for place in (0, 2, 4):
        assert str(found[place][1]).startswith("it is not JSON: ")
    assert found[5] == (6, {"user": "u6"})


def test_a_number_of_json_that_no_float_holds_is_left_to_who_reads_its_cell(path: Path) -> None:
    huge = b"1e99999999999999999999"
    content = b'{"n": 1e400, "m": 0.5}\n{"n": ' + huge + b'}\n{"n": ' + b"1" * 5000 + b'}\n{"n": 2}\n'

    assert told(rows(path, content, Format.JSONL, "n", "m")) == [
        (1, {"n": Decimal("1e400"), "m": Decimal("0.5")}),
        (2, "it has a number that is too large to be read"),
        (3, "it has a number that is too large to be read"),
        (4, {"n": 2, "m": None}),
    ]


def test_parquet_has_its_columns_and_rows_by_number(path: Path) -> None:
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    table = pa.table(
        {
            "user": pa.array(["u1", None]).dictionary_encode(),
            "at": pa.array([at, at], pa.timestamp("ns", "UTC")),
            "total": pa.array([1.5, None]),
        }
    )
    pq.write_table(table, path)

    found = list(read_rows(path, Format.PARQUET, ("at", "user")))

    assert told(found) == [(1, {"at": at, "user": "u1"}), (2, {"at": at, "user": None})]
    assert found[-1].done == 1.0


def test_of_times_in_nanoseconds_the_microseconds_are_kept(path: Path) -> None:
    pq.write_table(pa.table({"at": pa.array([1_772_366_400_123_456_789], pa.timestamp("ns", "UTC"))}), path)

    [row] = read_rows(path, Format.PARQUET, ("at",))

    assert row.cells["at"] == datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def test_what_is_no_parquet_or_lacks_a_column_is_one_error(path: Path) -> None:
    with pytest.raises(SettingError, match="is no Parquet file that can be read"):
        rows(path, b"not Parquet", Format.PARQUET, "user")

    pq.write_table(pa.table({"id": [1]}), path)
    with pytest.raises(SettingError, match="has no column `user`; its columns: id"):
        list(read_rows(path, Format.PARQUET, ("user",)))


def test_a_file_that_is_not_there_is_one_error(path: Path) -> None:
    with pytest.raises(SettingError, match="cannot be read: No such file or directory"):
        list(read_rows(path, Format.CSV, ()))


def test_the_name_of_a_file_says_its_format() -> None:
    names = ["a.csv", "a.CSV", "a.jsonl", "a.ndjson", "a.parquet"]

    assert [format_of(Path(name)).value for name in names] == ["csv", "csv", "jsonl", "jsonl", "parquet"]
    with pytest.raises(SettingError, match=r"a\.txt: is it csv, jsonl or parquet\? Say so with --format"):
        format_of(Path("a.txt"))
