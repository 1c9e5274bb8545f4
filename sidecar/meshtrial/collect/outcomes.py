"""Outcomes as JSON -> spans `meshtrial.outcome`, so that both share one way into the store. Pure.

An outcome is `{id, unit: {kind, value}, name, time, values: {amount: 12.5}}`. What has no id, such as a row
of a file, has `occurrence` in its place: 1 for the first of equal ones, 2 for the second. Its id is then made
from what it says with the key, so sent again it counts once too; without the key anyone could try units.
"""

import json
import math
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from meshtrial.errors import Refused
from meshtrial.plan.cursor import NAME
from meshtrial.plan.problems import printable
from meshtrial.pseudonym import PseudonymKey
from meshtrial.record import outcome as record
from meshtrial.store.rows import LATEST
from meshtrial.store.schema import LARGEST_VALUE

LARGEST_BATCH: Final = 10_000
"""Outcomes in one request."""
LARGEST_UNIT: Final = 1024
"""Bytes of UTF-8, as for the units of requests."""

_ROW: Final = b"\xffrow"
"""Before what an outcome without an id says where its id is made: no kind of unit, being no UTF-8."""
_SHOWN_LENGTH: Final = 200
"""Characters of a path or an error: both may repeat what the client sent."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST_TIME: Final = 2**63 - 1
"""ns since 1970: what a stored time can hold, up to the year 2262."""

_HALF_A_PAIR: Final = "half of a surrogate pair is no character"

Word = Annotated[str, msgspec.Meta(pattern=rf"^{NAME.pattern}\Z")]
"""Name of an outcome or of one of its fields."""


class Unit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose outcome it is."""

    kind: str
    value: Annotated[str, msgspec.Meta(min_length=1)]


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that happened to one unit."""

    unit: Unit
    name: Word
    time: Annotated[datetime, msgspec.Meta(tz=True)] | float
    """RFC 3339 with an offset, or seconds since 1970."""
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] | msgspec.UnsetType = msgspec.UNSET
    occurrence: Annotated[int, msgspec.Meta(ge=1, le=2**31)] | msgspec.UnsetType = msgspec.UNSET
    """Of equal outcomes without an id, the first, the second, and so on."""
    values: dict[Word, float] = {}


@dataclass(frozen=True, slots=True)
class RefusedItem:
    """An outcome that was not taken."""

    index: int
    """Of the array, from 0; 0 for an outcome on its own."""
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
    """A serialised ExportTraceServiceRequest of the outcomes taken; meaningless where there are none."""
    accepted: int
    refused: tuple[RefusedItem, ...]


class _Flaw(Exception):
    """One rule that an outcome breaks: where, and which."""

    def __init__(self, path: str, rule: str) -> None:
        super().__init__(path, rule)
        self.path, self.rule = path, rule


def to_spans(body: bytes, key: PseudonymKey, received_ns: int) -> Batch:
    """Read a JSON object (one outcome) or an array of outcomes; what is malformed is refused one by one.

    Args:
        body: The JSON text.
        key: Makes the units' pseudonyms and the spans' ids.
        received_ns: When it came, ns since 1970; an outcome of more than a day later is refused.

    Raises:
        Refused: 400, the body is not JSON or neither object nor array; 413, too many outcomes.
    """
    try:
        # Not msgspec: it takes no item of a body where one number is NaN, and that is one item's fault.
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Refused(400, f"the body is not JSON: {reason}") from error
    if not isinstance(document, dict | list):
        raise Refused(400, "the body must be one outcome (an object) or an array of them")
    items = document if isinstance(document, list) else [document]
    if len(items) > LARGEST_BATCH:
        raise Refused(413, f"{len(items)} outcomes in one request; at most {LARGEST_BATCH} are taken")
    spans = []
    refused = []
    for index, item in enumerate(items):
        try:
            spans.append(_span(item, key, received_ns))
        except _Flaw as flaw:
            root = f"$[{index}]" if isinstance(document, list) else "$"
            refused.append(RefusedItem(index, _shown(root + flaw.path), _shown(flaw.rule)))
    return Batch(record.outcome_request(spans), len(spans), tuple(refused))


def _span(item: object, key: PseudonymKey, received_ns: int) -> Span:
    try:
        outcome = msgspec.convert(item, Outcome)
    except msgspec.ValidationError as error:
        rule, _, place = str(error).partition(" - at ")
        found = re.search(r"\$(.*)`", place)
        path = found[1] if found else ""
        if "matching regex" in rule:
            rule = record.NAME_RULE
        raise _Flaw(path, rule) from error
    except UnicodeEncodeError as error:
        raise _Flaw("", _HALF_A_PAIR) from error
    if not record.is_kind(outcome.unit.kind):
        raise _Flaw(".unit.kind", record.KIND_RULE)
    unit = _bytes(outcome.unit.value, ".unit.value")
    if len(unit) > LARGEST_UNIT:
        raise _Flaw(".unit.value", f"{len(unit)} bytes; a unit has at most {LARGEST_UNIT}")
    at = _nanoseconds(outcome.time)
    if at > received_ns + LATEST:
        raise _Flaw(".time", f"{outcome.time} is more than a day after its receipt")
    for field, value in outcome.values.items():
        if not abs(value) <= LARGEST_VALUE:
            raise _Flaw(f".values.{field}", f"{value} is no number within {LARGEST_VALUE:g}")
    pseudonym = key.pseudonym(outcome.unit.kind, unit)
    return record.outcome_span(
        record.Outcome(
            _id(outcome, pseudonym, at, key), outcome.name, pseudonym, outcome.unit.kind, at, outcome.values
        ),
        key,
    )


def _id(outcome: Outcome, pseudonym: str, at: int, key: PseudonymKey) -> str:
    if outcome.id is not msgspec.UNSET:
        if outcome.occurrence is not msgspec.UNSET:
            raise _Flaw(".occurrence", "an outcome with an id has none")
        _bytes(outcome.id, ".id")
        return outcome.id
    if outcome.occurrence is msgspec.UNSET:
        raise _Flaw("", "Object missing required field `id`")
    says = [
        outcome.unit.kind,
        pseudonym,
        outcome.name,
        at,
        sorted(outcome.values.items()),
        outcome.occurrence,
    ]
    return "row-" + key.digest(_ROW, json.dumps(says).encode()).hex()[:32]


def _shown(text: str) -> str:
    """Fit for the answer: half of a surrogate pair could not be written."""
    return printable(text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 1] + "…")


def _bytes(text: str, path: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise _Flaw(path, _HALF_A_PAIR) from error


def _nanoseconds(time: datetime | float) -> int:
    if isinstance(time, datetime):
        ns = (time - _EPOCH) // timedelta(microseconds=1) * 1000
    else:
        ns = int(time) * 10**9 + round(math.fmod(time, 1.0) * 1e9) if math.isfinite(time) else -1
    if not 0 <= ns <= _LARGEST_TIME:
        raise _Flaw(".time", f"{time} is not in 1970 to 2262; a number is seconds since 1970")
    return ns
