"""A row of a file -> the outcome that the collector's door takes. Pure.

Stage: file_rows -> **row_outcomes** -> importing -> the collector's door.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any, Final

from meshtrial.errors import SettingError
from meshtrial.record.outcome import KIND_RULE, NAME_RULE, is_kind, is_name

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)
"""RFC 3339, section 5.6, the offset optional."""
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MILLISECONDS: Final = 10**11
"""A number of this size or more is milliseconds: as seconds it would be in the year 5138."""
_LARGEST_NUMBER: Final = 10**14
_SHOWN: Final = 60
"""Characters of a cell that a reason repeats."""


class RowFlaw(Exception):
    """The rule that a row breaks."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Where a file has what an outcome is made of."""

    unit: str
    """Column of the clear unit ids."""
    unit_kind: str
    """The units' kind, as the plan's experiments have it: `header:x-user-id`."""
    time: str
    """Column of the times."""
    name: str | None = None
    """The outcome's name; None where a column has it."""
    name_column: str | None = None
    id: str | None = None
    """Column of the outcomes' ids; None where rows have none."""
    values: tuple[tuple[str, str], ...] = ()
    """Fields of the outcome, each with its column."""
    zone: tzinfo | None = None
    """Where times without an offset were written down; None to refuse them."""

    def __post_init__(self) -> None:
        """Raise `SettingError` for what every row would be refused for."""
        if not is_kind(self.unit_kind):
            raise SettingError(f"--unit-kind {self.unit_kind}: {KIND_RULE}")
        if (self.name is None) == (self.name_column is None):
            raise SettingError(
                "give the outcomes' name by --name, or by --name-column the column that has it"
            )
        if self.name is not None and not is_name(self.name):
            raise SettingError(f"--name {self.name}: {NAME_RULE}")
        fields = [field for field, _ in self.values]
        for field in fields:
            if not is_name(field):
                raise SettingError(f"--value {field}: {NAME_RULE}")
            if fields.count(field) > 1:
                raise SettingError(f"--value {field} is given twice")

    def needed(self) -> tuple[str, ...]:
        """The columns that are read, each once."""
        some = (self.unit, self.time, self.name_column, self.id, *(column for _, column in self.values))
        return tuple(dict.fromkeys(column for column in some if column is not None))


def outcome_of(cells: Mapping[str, object], columns: Columns) -> dict[str, Any]:
    """The outcome of a row: `id` is left out where no column has it; an empty cell is a value left out.

    Equal outcomes give equal results, however their times and numbers are written.

    Raises:
        RowFlaw: A cell cannot be what it is to be.
    """
    fixed = {} if columns.id is None else {"id": _text(cells, columns.id)}
    return {
        **fixed,
        "unit": {"kind": columns.unit_kind, "value": _text(cells, columns.unit)},
        "name": columns.name if columns.name_column is None else _text(cells, columns.name_column),
        "time": _time(cells, columns.time, columns.zone),
        "values": {
            field: _number(cells[column], column)
            for field, column in columns.values
            if cells[column] not in (None, "")
        },
    }


def _text(cells: Mapping[str, object], column: str) -> str:
    value = cells[column]
    if value is None or value in ("", b""):
        raise RowFlaw(f"`{column}` is empty")
    try:
        if isinstance(value, bytes):
            return value.decode()
        if isinstance(value, str):
            value.encode()
            return value
    except UnicodeError:
        raise RowFlaw(f"`{column}` is not UTF-8") from None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise RowFlaw(f"`{column}` must be text or a whole number, not {_shown(value)}")


def _number(value: object, column: str) -> float:
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise RowFlaw(f"`{column}` must be a number, not {_shown(value)}")


def _time(cells: Mapping[str, object], column: str, zone: tzinfo | None) -> str:
    """In UTC, RFC 3339 with microseconds."""
    value = cells[column]
    if value is None or value == "":
        raise RowFlaw(f"`{column}` is empty")
    try:
        moment = _moment(value, column, zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise RowFlaw(f"`{column}` is no time that exists: {_shown(value)}") from None
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _moment(value: object, column: str, zone: tzinfo | None) -> datetime:
    if isinstance(value, str):
        text = value.strip()
        if _NUMBER.fullmatch(text):
            return _since_1970(Decimal(text), column)
        if not _TIME.fullmatch(text):
            raise RowFlaw(
                f"`{column}` must be a time such as 2026-03-01T12:00:00Z, or seconds or milliseconds since "
                f"1970, not {_shown(value)}"
            )
        value = datetime.fromisoformat(text.upper())
    if isinstance(value, datetime):
        return value if value.tzinfo is not None else _local(value, column, zone)
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return _since_1970(Decimal(str(value)), column)
    raise RowFlaw(f"`{column}` must be a time, not {_shown(value)}")


def _local(moment: datetime, column: str, zone: tzinfo | None) -> datetime:
    """Of an hour that a clock shows twice, the first."""
    if zone is None:
        raise RowFlaw(
            f"`{column}` has no offset from UTC: {moment}; say with --timezone where it was written"
        )
    there = moment.replace(tzinfo=zone)
    if there.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment:
        raise RowFlaw(f"`{column}` is a time that no clock showed in {zone}: {moment}")
    return there


def _since_1970(number: Decimal, column: str) -> datetime:
    if number.is_nan() or not 0 <= number < _LARGEST_NUMBER:
        raise RowFlaw(f"`{column}` is neither seconds nor milliseconds since 1970: {number}")
    seconds = number if number < _FIRST_MILLISECONDS else number / 1000
    return _EPOCH + timedelta(microseconds=int(seconds * 10**6))


def _shown(value: object) -> str:
    text = str(value)
    return f"`{text if len(text) <= _SHOWN else text[: _SHOWN - 1] + '…'}`"
