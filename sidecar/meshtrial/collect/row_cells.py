"""A cell of a file -> a text, a number or a time: what rows of all kinds are made of. Pure.

Stage: file_rows -> **row_cells** -> row_outcomes or row_exposures -> importing -> the collector's door.
"""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Final

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)
"""RFC 3339, section 5.6, the offset optional."""
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""A time before it is a 0 or a number of another unit; it would make a trial begin decades ago."""
_FIRST_MILLISECONDS: Final = 10**11
"""A number of this size or more is milliseconds: as seconds it would be in the year 5138."""
_LARGEST_NUMBER: Final = 10**14
_SHOWN: Final = 60
"""Characters of a cell that a reason repeats."""


class RowFlaw(Exception):
    """The rule that a row breaks."""


def text_cell(cells: Mapping[str, object], column: str) -> str:
    """A text that is not empty; a whole number counts as one.

    Raises:
        RowFlaw: It is none.
    """
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


def number_cell(value: object, column: str) -> float:
    """A finite number.

    Raises:
        RowFlaw: It is none.
    """
    is_text = isinstance(value, str) and _NUMBER.fullmatch(value.strip())
    if is_text or (isinstance(value, int | float | Decimal) and not isinstance(value, bool)):
        try:
            number = float(value)  # type: ignore[arg-type] # one of those
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise RowFlaw(f"`{column}` must be a number, not {_shown(value)}")


def time_cell(cells: Mapping[str, object], column: str, zone: tzinfo | None) -> str:
    """In UTC, RFC 3339 with microseconds.

    Args:
        cells: The row.
        column: Of the time.
        zone: Where times without an offset were written down; None to refuse them.

    Raises:
        RowFlaw: It is no time, none that exists, or one before 2000.
    """
    value = cells[column]
    if value is None or value == "":
        raise RowFlaw(f"`{column}` is empty")
    try:
        moment = _moment(value, column, zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise RowFlaw(f"`{column}` is no time that exists: {_shown(value)}") from None
    if moment < EARLIEST:
        why = "seconds, milliseconds or something else?"
        raise RowFlaw(f"`{column}` is before 2000: {why} It is {_shown(value)}")
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _moment(value: object, column: str, zone: tzinfo | None) -> datetime:
    if isinstance(value, str):
        text = value.strip()
        if _NUMBER.fullmatch(text):
            return _since_1970(Decimal(text), column, value)
        if not _TIME.fullmatch(text):
            raise RowFlaw(
                f"`{column}` must be a time such as 2026-03-01T12:00:00Z, or seconds or milliseconds since "
                f"1970, not {_shown(value)}"
            )
        value = datetime.fromisoformat(text.upper())
    if isinstance(value, datetime):
        return value if value.tzinfo is not None else _local(value, column, zone)
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return _since_1970(Decimal(str(value)), column, value)
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


def _since_1970(number: Decimal, column: str, value: object) -> datetime:
    if number.is_nan() or not 0 <= number < _LARGEST_NUMBER:
        raise RowFlaw(f"`{column}` is neither seconds nor milliseconds since 1970: {_shown(value)}")
    seconds = number if number < _FIRST_MILLISECONDS else number / 1000
    return _EPOCH + timedelta(microseconds=int(seconds * 10**6))


def _written(value: object) -> str:
    """As the file has it: `true`, not Python's `True`."""
    if isinstance(value, bool | dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _shown(value: object) -> str:
    text = _written(value)
    return f"`{text if len(text) <= _SHOWN else text[: _SHOWN - 1] + '…'}`"
