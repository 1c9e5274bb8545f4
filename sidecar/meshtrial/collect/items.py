"""JSON that reports things one by one -> spans; what is malformed is refused alone. Pure.

Shared by the doors of outcomes and of exposures: stage door -> **items** -> outcomes or exposures -> intake.
"""

import json
import math
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, TypeVar

import msgspec
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from meshtrial.collect.row_cells import EARLIEST
from meshtrial.errors import Refused
from meshtrial.plan.cursor import NAME
from meshtrial.plan.problems import printable
from meshtrial.pseudonym import PseudonymKey
from meshtrial.record.outcome import KIND_RULE, NAME_RULE, is_kind
from meshtrial.record.span import spans_request
from meshtrial.store.rows import LATEST

LARGEST_BATCH: Final = 10_000
"""Items in one request."""
LARGEST_UNIT: Final = 1024
"""Bytes of UTF-8, as for the units of requests."""

_SHOWN_LENGTH: Final = 200
"""Characters of a path or an error: both may repeat what the client sent."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_IMPORTED: Final = (EARLIEST - _EPOCH) // timedelta(microseconds=1) * 1000
_LARGEST_TIME: Final = 2**63 - 1
"""ns since 1970: what a stored time can hold, up to the year 2262."""
_HALF_A_PAIR: Final = "half of a surrogate pair is no character"

Word = Annotated[str, msgspec.Meta(pattern=rf"^{NAME.pattern}\Z")]
"""A name of the plan, or of an outcome or one of its fields."""
Time = Annotated[datetime, msgspec.Meta(tz=True)] | float
"""RFC 3339 with an offset, or seconds since 1970."""


class Unit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose it is."""

    kind: str
    value: Annotated[str, msgspec.Meta(min_length=1)]


@dataclass(frozen=True, slots=True)
class RefusedItem:
    """An item that was not taken."""

    index: int
    """Of the array, from 0; 0 for an item on its own."""
    path: str
    """Place in the body, `$` being its root: `$[3].unit.value`."""
    error: str

    def as_json(self) -> dict[str, Any]:
        """For the door's answer."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of one request."""

    payload: bytes
    """A serialised ExportTraceServiceRequest of the items taken; meaningless where there are none."""
    accepted: int
    refused: tuple[RefusedItem, ...]


class Flaw(Exception):
    """One rule that an item breaks: where, and which."""

    def __init__(self, path: str, rule: str) -> None:
        super().__init__(path, rule)
        self.path, self.rule = path, rule


def read_items(body: bytes, span_of: Callable[[object], Span], *, what: str, service: str) -> Batch:
    """Read a JSON object (one item) or an array of items; what is malformed is refused one by one.

    Args:
        body: The JSON text.
        span_of: Makes an item's span, or raises `Flaw`.
        what: The items' name in errors: `outcome`.
        service: `service.name` of the spans.

    Raises:
        Refused: 400, the body is not JSON or neither object nor array; 413, too many items.
    """
    try:
        # Not msgspec: it takes no item of a body where one number is NaN, and that is one item's fault.
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Refused(400, f"the body is not JSON: {reason}") from error
    if not isinstance(document, dict | list):
        raise Refused(400, f"the body must be one {what} (an object) or an array of them")
    items = document if isinstance(document, list) else [document]
    if len(items) > LARGEST_BATCH:
        raise Refused(413, f"{len(items)} {what}s in one request; at most {LARGEST_BATCH} are taken")
    spans = []
    refused = []
    for index, item in enumerate(items):
        try:
            spans.append(span_of(item))
        except Flaw as flaw:
            root = f"$[{index}]" if isinstance(document, list) else "$"
            refused.append(RefusedItem(index, _shown(root + flaw.path), _shown(flaw.rule)))
    return Batch(spans_request(spans, service), len(spans), tuple(refused))


_Item = TypeVar("_Item", bound=msgspec.Struct)


def converted(item: object, kind: type[_Item]) -> _Item:
    """The item as its type has it.

    Raises:
        Flaw: It is something else.
    """
    try:
        return msgspec.convert(item, kind)
    except msgspec.ValidationError as error:
        rule, _, place = str(error).partition(" - at ")
        found = re.search(r"\$(.*)`", place)
        path = found[1] if found else ""
        if "matching regex" in rule:
            rule = NAME_RULE
        raise Flaw(path, rule) from error
    except UnicodeEncodeError as error:
        raise Flaw("", _HALF_A_PAIR) from error


def pseudonym_of(unit: Unit, key: PseudonymKey, path: str = ".unit") -> str:
    """A unit as it is stored.

    Raises:
        Flaw: Its kind is none, or its value is too long or no text.
    """
    if not is_kind(unit.kind):
        raise Flaw(f"{path}.kind", KIND_RULE)
    value = encoded(unit.value, f"{path}.value")
    if len(value) > LARGEST_UNIT:
        raise Flaw(f"{path}.value", f"{len(value)} bytes; a unit has at most {LARGEST_UNIT}")
    return key.pseudonym(unit.kind, value)


def encoded(text: str, path: str) -> bytes:
    """In UTF-8.

    Raises:
        Flaw: It holds half of a surrogate pair.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise Flaw(path, _HALF_A_PAIR) from error


def nanoseconds(time: datetime | float, received_ns: int, *, imported: bool = False) -> int:
    """Since 1970.

    Raises:
        Flaw: Before 1970, after 2262, or more than a day after its receipt; imported, before 2000.
    """
    if isinstance(time, datetime):
        ns = (time - _EPOCH) // timedelta(microseconds=1) * 1000
    else:
        ns = int(time) * 10**9 + round(math.fmod(time, 1.0) * 1e9) if math.isfinite(time) else -1
    if not 0 <= ns <= _LARGEST_TIME:
        raise Flaw(".time", f"{time} is not in 1970 to 2262; a number is seconds since 1970")
    if imported and ns < _EARLIEST_IMPORTED:
        raise Flaw(".time", f"{time} is before 2000; a number is seconds since 1970")
    if ns > received_ns + LATEST:
        raise Flaw(".time", f"{time} is more than a day after its receipt")
    return ns


def _shown(text: str) -> str:
    """Fit for the answer: half of a surrogate pair could not be written."""
    return printable(text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 1] + "…")
