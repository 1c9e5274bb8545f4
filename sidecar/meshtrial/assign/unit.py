"""Request -> the value that a source names: a unit, or why there is none."""

import hashlib
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from meshtrial.assign.request import Request
from meshtrial.plan.traffic import Carrier, Source, Unit

MAX_UNIT_BYTES = 1024


class NoUnit(StrEnum):
    """Why a request has no unit; the values are metric labels."""

    MISSING = "missing"
    EMPTY = "empty"
    AMBIGUOUS = "ambiguous"
    """Sent twice with different values: which one counts would be a guess."""
    TOO_LONG = "too_long"
    NOT_UTF8 = "not_utf8"
    NOT_TEXT = "not_text"
    """A claim that is no string: numbers lose digits on their way through the proxy."""


def value_of(request: Request, source: Source) -> bytes | NoUnit:
    """The one value at a source, maybe empty; equal values that were sent twice are one."""
    match source.carrier:
        case Carrier.HEADER:
            values: Sequence[bytes] = request.headers.get(source.name, ())
        case Carrier.COOKIE:
            values = request.cookies.get(source.name, ())
        case Carrier.QUERY:
            values = request.query.get(source.name, ())
        case Carrier.METADATA:
            return _claim(request, source)
    if not values:
        return NoUnit.MISSING
    value = values[0]
    if len(values) > 1 and any(other != value for other in values):
        return NoUnit.AMBIGUOUS
    return value


def put_claim(metadata: dict[str, Any], source: Source, value: bytes) -> None:
    """Put a text where `value_of` finds a source's claim; what is no object on the way gives way.

    Bytes that are no UTF-8 are no unit in a claim either: `surrogateescape` keeps them from becoming text.
    """
    place = metadata
    for key in (source.name, *source.path[:-1]):
        if not isinstance(place.get(key), dict):
            place[key] = {}
        place = place[key]
    place[source.path[-1]] = value.decode("utf-8", "surrogateescape")


def unit_of(request: Request, source: Source) -> bytes | NoUnit:
    """The unit's bytes as received, or why they cannot be one."""
    value = value_of(request, source)
    return value if isinstance(value, NoUnit) else unusable(value) or value


def minted(unit: Unit, chance: bytes) -> bytes:
    """The cookie that a request without one is given: 32 hex digits.

    Args:
        unit: Of a cookie.
        chance: At least 16 random bytes, the same for every experiment of the request, so that they agree.
    """
    return hashlib.sha256(unit.source.name.encode() + b"\0" + chance).hexdigest()[:32].encode()


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


def _claim(request: Request, source: Source) -> bytes | NoUnit:
    place: object = request.metadata.get(source.name)
    for key in source.path:
        if not isinstance(place, dict) or key not in place:
            return NoUnit.MISSING
        place = place[key]
    if place is None:
        return NoUnit.MISSING
    # Half a surrogate pair, which JSON can say, is no UTF-8: its bytes are refused as any such bytes are.
    return place.encode("utf-8", "surrogatepass") if isinstance(place, str) else NoUnit.NOT_TEXT
