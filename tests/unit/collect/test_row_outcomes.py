import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from meshtrial.collect.row_cells import RowFlaw
from meshtrial.collect.row_outcomes import Columns, outcome_of
from meshtrial.errors import SettingError

COLUMNS = Columns(
    unit="user",
    unit_kind="header:x-user-id",
    time="at",
    name="purchase",
    id="order",
    values=(("amount", "total"),),
)
ROW = {"user": "u1", "at": "2026-03-01T12:00:00Z", "order": "17", "total": "12.50"}


def read(columns: Columns = COLUMNS, **cells: object) -> dict[str, Any]:
    return outcome_of({**ROW, **cells}, columns)


def flaw(columns: Columns = COLUMNS, **cells: object) -> str:
    with pytest.raises(RowFlaw) as found:
        read(columns, **cells)
    return str(found.value)


def columns(**changes: Any) -> Columns:
    given = {"unit": "user", "unit_kind": "request", "time": "at", "name": "purchase", **changes}
    return Columns(**given)


def test_a_row_is_the_outcome_that_the_door_takes() -> None:
    assert read() == {
        "id": "17",
        "unit": {"kind": "header:x-user-id", "value": "u1"},
        "name": "purchase",
        "time": "2026-03-01T12:00:00.000000Z",
        "values": {"amount": 12.5},
    }


def test_without_an_id_column_there_is_no_id_and_a_column_may_have_the_name() -> None:
    found = read(columns(name=None, name_column="order"))

    assert "id" not in found
    assert found["name"] == "17"


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("2026-03-01T12:00:00+01:00", "2026-03-01T11:00:00.000000Z"),
        ("2026-03-01t12:00:00z", "2026-03-01T12:00:00.000000Z"),
        (" 2026-03-01 12:00:00.25Z ", "2026-03-01T12:00:00.250000Z"),
        ("2026-03-01T12:00:00.123456789Z", "2026-03-01T12:00:00.123456Z"),
        ("1772366400", "2026-03-01T12:00:00.000000Z"),
        ("1772366400.5", "2026-03-01T12:00:00.500000Z"),
        ("1772366400123", "2026-03-01T12:00:00.123000Z"),
        (1772366400, "2026-03-01T12:00:00.000000Z"),
        (1772366400123, "2026-03-01T12:00:00.123000Z"),
        (1772366400.25, "2026-03-01T12:00:00.250000Z"),
        (Decimal("1772366400.000001"), "2026-03-01T12:00:00.000001Z"),
        (946_684_800, "2000-01-01T00:00:00.000000Z"),
        (datetime(2026, 3, 1, 12, tzinfo=UTC), "2026-03-01T12:00:00.000000Z"),
        (datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2))), "2026-03-01T10:00:00.000000Z"),
    ],
)
def test_times_are_rfc_3339_or_seconds_or_milliseconds(written: object, time: str) -> None:
    assert read(at=written)["time"] == time


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("2026-03-01 12:00:00", "2026-03-01T11:00:00.000000Z"),
        ("2026-07-01T12:00:00", "2026-07-01T10:00:00.000000Z"),
        (datetime(2026, 3, 1, 12), "2026-03-01T11:00:00.000000Z"),  # noqa: DTZ001 - what Parquet may hold
        ("2026-03-01 12:00:00+00:00", "2026-03-01T12:00:00.000000Z"),
        ("2026-10-25 02:30:00", "2026-10-25T00:30:00.000000Z"),  # the first of the two
    ],
)
def test_times_without_an_offset_are_those_of_the_time_zone(written: object, time: str) -> None:
    assert read(columns(zone=ZoneInfo("Europe/Paris")), at=written)["time"] == time


SEVERAL = "`at` must be a time such as 2026-03-01T12:00:00Z, or seconds or milliseconds since 1970, not "
EARLY = "`at` is before 2000: seconds, milliseconds or something else? It is "


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        ("", "`at` is empty"),
        (None, "`at` is empty"),
        ("yesterday", SEVERAL + "`yesterday`"),
        ("2026-03-01", SEVERAL + "`2026-03-01`"),
        ("01/03/2026 12:00:00", SEVERAL + "`01/03/2026 12:00:00`"),
        ("2026-02-30T12:00:00Z", "`at` is no time that exists: `2026-02-30T12:00:00Z`"),
        ("0001-01-01T00:00:00+01:00", "`at` is no time that exists: `0001-01-01T00:00:00+01:00`"),
        (
            "2026-03-01 12:00:00",
            "`at` has no offset from UTC: 2026-03-01 12:00:00; say with --timezone where it was written",
        ),
        ("-1", "`at` is neither seconds nor milliseconds since 1970: `-1`"),
        ("1772366400123456", "`at` is neither seconds nor milliseconds since 1970: `1772366400123456`"),
        ("1e400", "`at` is neither seconds nor milliseconds since 1970: `1e400`"),
        (math.nan, "`at` is neither seconds nor milliseconds since 1970: `nan`"),
        (0, EARLY + "`0`"),
        ("0", EARLY + "`0`"),
        ("20513", EARLY + "`20513`"),  # days
        ("1999-12-31T23:59:59.999999Z", EARLY + "`1999-12-31T23:59:59.999999Z`"),
        (datetime(1970, 1, 1, tzinfo=UTC), EARLY + "`1970-01-01 00:00:00+00:00`"),
        (True, "`at` must be a time, not `true`"),
        (date(2026, 3, 1), "`at` must be a time, not `2026-03-01`"),
    ],
)
def test_what_is_no_time_is_refused(written: object, rule: str) -> None:
    assert flaw(at=written) == rule


def test_a_time_that_no_clock_showed_is_refused() -> None:
    paris = columns(zone=ZoneInfo("Europe/Paris"))

    assert flaw(paris, at="2026-03-29 02:30:00") == (
        "`at` is a time that no clock showed in Europe/Paris: 2026-03-29 02:30:00"
    )


@pytest.mark.parametrize(
    ("written", "number"), [("12.5", 12.5), (" -3 ", -3.0), ("1e3", 1000.0), (7, 7.0), (Decimal("0.1"), 0.1)]
)
def test_numbers(written: object, number: float) -> None:
    assert read(total=written)["values"] == {"amount": number}


@pytest.mark.parametrize("written", ["", None])
def test_an_empty_cell_is_a_value_left_out(written: object) -> None:
    assert read(total=written)["values"] == {}


@pytest.mark.parametrize("written", ["12,50", "1_000", "nan", "inf", "free", True, math.nan, 10**400, [1]])
def test_what_is_no_number_is_refused(written: object) -> None:
    assert flaw(total=written).startswith("`total` must be a number, not `")


@pytest.mark.parametrize(
    ("written", "shown"),
    [("1e400", "1e400"), (" -1e400", " -1e400"), (True, "true"), ([True], "[true]"), (math.inf, "inf")],
)
def test_what_is_no_number_is_shown_as_it_was_written(written: object, shown: str) -> None:
    assert flaw(total=written) == f"`total` must be a number, not `{shown}`"


@pytest.mark.parametrize(("written", "unit"), [("u1", "u1"), (7, "7"), (b"u1", "u1"), (" u1", " u1")])
def test_units_are_text_as_it_stands_or_whole_numbers(written: object, unit: str) -> None:
    assert read(user=written)["unit"]["value"] == unit


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        (None, "`user` is empty"),
        ("", "`user` is empty"),
        (b"", "`user` is empty"),
        (b"\xff", "`user` is not UTF-8"),
        ("\udcff", "`user` is not UTF-8"),
        (1.0, "`user` must be text or a whole number, not `1.0`"),
        (True, "`user` must be text or a whole number, not `true`"),
    ],
)
def test_what_is_no_unit_is_refused(written: object, rule: str) -> None:
    assert flaw(user=written) == rule


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"unit_kind": "user"}, "--unit-kind user: a unit's kind is "),
        ({"name": None}, "give the outcomes' name by --name, or by --name-column"),
        ({"name_column": "event"}, "give the outcomes' name by --name, or by --name-column"),
        ({"name": "Purchase"}, "--name Purchase: a name begins with a lower-case letter"),
        ({"values": (("Amount", "total"),)}, "--value Amount: a name begins with a lower-case letter"),
        ({"values": (("a", "x"), ("a", "y"))}, "--value a is given twice"),
    ],
)
def test_what_every_row_would_be_refused_for_is_one_error(changes: dict[str, Any], error: str) -> None:
    with pytest.raises(SettingError) as found:
        columns(**changes)

    assert str(found.value).startswith(error)


def test_a_column_that_is_needed_twice_is_read_once() -> None:
    assert columns(id="order", values=(("a", "order"), ("b", "x"))).needed() == ("user", "at", "order", "x")
