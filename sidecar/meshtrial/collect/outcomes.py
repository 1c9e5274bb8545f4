"""Outcomes as JSON -> spans `meshtrial.outcome`, so that both share one way into the store. Pure.

An outcome is `{id, unit: {kind, value}, name, time, values: {amount: 12.5}}`. What has no id, such as a row
of a file, has `occurrence` in its place: 1 for the first of equal ones, 2 for the second. Its id is then made
from what it says with the key, so sent again it counts once too; without the key anyone could try units.
"""

import json
from typing import Annotated, Final

import msgspec
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from meshtrial.collect.items import (
    Batch,
    Flaw,
    Time,
    Unit,
    Word,
    converted,
    encoded,
    nanoseconds,
    pseudonym_of,
    read_items,
)
from meshtrial.pseudonym import PseudonymKey
from meshtrial.record import outcome as record
from meshtrial.store.schema import LARGEST_VALUE

_ROW: Final = b"\xffrow"
"""Before what an outcome without an id says where its id is made: no kind of unit, being no UTF-8."""


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that happened to one unit."""

    unit: Unit
    name: Word
    time: Time
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] | msgspec.UnsetType = msgspec.UNSET
    occurrence: Annotated[int, msgspec.Meta(ge=1, le=2**31)] | msgspec.UnsetType = msgspec.UNSET
    """Of equal outcomes without an id, the first, the second, and so on."""
    values: dict[Word, float] = {}


def to_spans(body: bytes, key: PseudonymKey, received_ns: int, *, imported: bool = False) -> Batch:
    """Read one outcome or an array of them; what is malformed is refused one by one.

    Args:
        body: The JSON text.
        key: Makes the units' pseudonyms and the spans' ids.
        received_ns: When it came, ns since 1970; an outcome of more than a day later is refused.
        imported: They are of a file: a statement about the past that counts as received when it happened.

    Raises:
        Refused: 400, the body is not JSON or neither object nor array; 413, too many outcomes.
    """
    return read_items(
        body,
        lambda item: _span(item, key, received_ns, imported=imported),
        what="outcome",
        service=record.SERVICE,
    )


def _span(item: object, key: PseudonymKey, received_ns: int, *, imported: bool) -> Span:
    outcome = converted(item, Outcome)
    pseudonym = pseudonym_of(outcome.unit, key)
    at = nanoseconds(outcome.time, received_ns, imported=imported)
    for field, value in outcome.values.items():
        if not abs(value) <= LARGEST_VALUE:
            raise Flaw(f".values.{field}", f"{value} is no number within {LARGEST_VALUE:g}")
    said = record.Outcome(
        _id(outcome, pseudonym, at, key), outcome.name, pseudonym, outcome.unit.kind, at, outcome.values
    )
    return record.outcome_span(said, key, imported=imported)


def _id(outcome: Outcome, pseudonym: str, at: int, key: PseudonymKey) -> str:
    if outcome.id is not msgspec.UNSET:
        if outcome.occurrence is not msgspec.UNSET:
            raise Flaw(".occurrence", "an outcome with an id has none")
        encoded(outcome.id, ".id")
        return outcome.id
    if outcome.occurrence is msgspec.UNSET:
        raise Flaw("", "Object missing required field `id`")
    says = [
        outcome.unit.kind,
        pseudonym,
        outcome.name,
        at,
        sorted(outcome.values.items()),
        outcome.occurrence,
    ]
    return "row-" + key.digest(_ROW, json.dumps(says).encode()).hex()[:32]
