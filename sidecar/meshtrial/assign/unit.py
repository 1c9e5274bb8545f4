"""Request -> the unit that is randomised, or why there is none."""

from enum import StrEnum

from meshtrial.assign.request import Request
from meshtrial.plan.model import Unit

MAX_UNIT_BYTES = 1024


class NoUnit(StrEnum):
    """Why a request has no unit; the values are metric labels."""

    MISSING = "missing"
    EMPTY = "empty"
    AMBIGUOUS = "ambiguous"
    """Sent twice with different values: which one counts would be a guess."""
    TOO_LONG = "too_long"
    NOT_UTF8 = "not_utf8"


def unit_of(request: Request, unit: Unit) -> bytes | NoUnit:
    """The unit's bytes as received, or why they cannot be one."""
    values = request.headers.get(unit.header, ())
    if not values:
        return NoUnit.MISSING
    value = values[0]
    if any(other != value for other in values):
        return NoUnit.AMBIGUOUS
    return unusable(value) or value


def unusable(value: bytes) -> NoUnit | None:
    """Why a value cannot be a unit: a unit is UTF-8, 1 to 1,024 bytes; None where it can."""
    if not value:
        return NoUnit.EMPTY
    if len(value) > MAX_UNIT_BYTES:
        return NoUnit.TOO_LONG
    try:
        value.decode()
    except UnicodeDecodeError:
        return NoUnit.NOT_UTF8
    return None
