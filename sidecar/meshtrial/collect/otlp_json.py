"""OTLP's JSON encoding <-> its messages. Pure.

Protobuf's own mapping to JSON, but trace and span ids are hex, not base64:
https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

import base64
import binascii
import json
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.message import Message

from meshtrial.errors import Refused
from meshtrial.plan.problems import printable

LARGEST_OBJECTS: Final = 1_000_000
"""Objects in one request: an attribute is two. To read this many takes seconds, in a thread of their own."""

_IDS: Final = frozenset({"traceId", "spanId", "parentSpanId"})
_SHOWN: Final = 200
"""Characters of a reason, which may repeat what the client sent."""


def to_protobuf(body: bytes, kind: type[Message]) -> bytes:
    """The serialised message that the JSON text says; fields that the message does not have are ignored.

    Raises:
        Refused: 400, it is not JSON or not this message; 413, it has more than 1,000,000 objects.
    """
    if body.count(b"{") > LARGEST_OBJECTS:
        raise Refused(413, f"more than {LARGEST_OBJECTS} objects in one request")
    try:
        document = json.loads(body, object_hook=_with_ids)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the body is not OTLP in JSON: {_reason(error)}") from error
    if not isinstance(document, dict):
        raise Refused(400, "the body is not OTLP in JSON: it must be an object")
    try:
        message = json_format.ParseDict(document, kind(), ignore_unknown_fields=True)
    except (json_format.ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise Refused(400, f"the body is no {kind.DESCRIPTOR.name} in JSON: {_reason(error)}") from error
    return message.SerializeToString()


def to_json(message: Message) -> bytes:
    """An answer; it holds no ids."""
    return json_format.MessageToJson(message, indent=None).encode()


def _with_ids(fields: dict[str, Any]) -> dict[str, Any]:
    """Ids as protobuf's mapping has them."""
    for name in _IDS & fields.keys():
        value = fields[name]
        if not isinstance(value, str):
            continue  # null is left out; what else it may be, the mapping refuses
        try:
            fields[name] = base64.b64encode(binascii.unhexlify(value)).decode()
        except ValueError as error:
            raise ValueError(f"a {name} is not hex: {value}") from error
    return fields


def _reason(error: Exception) -> str:
    text = "nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
    text = printable(text)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
