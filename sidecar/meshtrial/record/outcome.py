"""An outcome -> its span, the one form in which every way of reporting it is stored: pure.

The span's ids are made from the outcome's own id and the pseudonym key alone, so an outcome that is sent
again is the same span and counts once: as it was received first. Who does not have the key cannot make them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from meshtrial.names import OUTCOME_VALUE_PREFIX, Attribute, SpanName
from meshtrial.plan.cursor import NAME
from meshtrial.pseudonym import PseudonymKey
from meshtrial.record.span import set_attributes, spans_request

NAME_RULE: Final = "a name begins with a lower-case letter; letters, digits, `_`, `.`, `-` follow, 64 in all"
KIND_RULE: Final = (
    "a unit's kind is `request`, or `header:`, `cookie:` or `query:` with its name (a header's in lower "
    "case), or `metadata:NAMESPACE:PATH`"
)
SERVICE: Final = "meshtrial-outcomes"
"""`service.name` of the spans that are made here."""

_ID: Final = b"\xffoutcome"
"""Before an outcome's id where its span's ids are made: no kind of unit, being no UTF-8, so that no pseudonym
that a client may have made for it gives the ids away."""
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
"""A token in lower case: RFC 9110, section 5.6.2."""
_COOKIE_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token: RFC 6265, section 4.1.1."""
_LONGEST_NAME: Final = 128
"""Characters of what follows `query:` or `metadata:`."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One thing that happened to one unit."""

    id: str
    name: str
    unit: str
    """The unit's pseudonym, 32 hex digits."""
    unit_kind: str
    time_ns: int
    """When it happened, ns since 1970."""
    values: Mapping[str, float]


def is_name(text: str) -> bool:
    """Whether an outcome or one of its fields may be called so (`NAME_RULE`)."""
    return NAME.fullmatch(text) is not None


def is_kind(text: str) -> bool:
    """Whether this is a kind of unit (`KIND_RULE`)."""
    source, _, name = text.partition(":")
    match source:
        case "header":
            return _HEADER_NAME.fullmatch(name) is not None
        case "cookie":
            return _COOKIE_NAME.fullmatch(name) is not None
        case "query":
            return 0 < len(name) <= _LONGEST_NAME and name.isprintable()
        case "metadata":
            namespace, _, path = name.partition(":")
            return bool(namespace and path) and len(name) <= _LONGEST_NAME and name.isprintable()
        case _:
            return text == "request"


def outcome_ids(outcome_id: str, key: PseudonymKey) -> tuple[bytes, bytes]:
    """The trace id (16 bytes) and the span id (8 bytes) of the outcome of this id.

    Raises:
        UnicodeEncodeError: The id holds half of a surrogate pair.
    """
    digest = key.digest(_ID, outcome_id.encode())
    return digest[:16], digest[16:24]


def outcome_span(outcome: Outcome, key: PseudonymKey, *, imported: bool = False) -> Span:
    """The span that carries an outcome (`protos/CONTRACT.md`, "Spans").

    Args:
        outcome: What happened.
        key: That made the unit's pseudonym, and makes the span's ids.
        imported: It is of a file: it counts as received when it happened.

    Raises:
        UnicodeEncodeError: A text holds half of a surrogate pair.
    """
    trace_id, span_id = outcome_ids(outcome.id, key)
    span = Span(
        trace_id=trace_id,
        span_id=span_id,
        name=SpanName.OUTCOME,
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=outcome.time_ns,
        end_time_unix_nano=outcome.time_ns,
    )
    set_attributes(
        span,
        {
            Attribute.OUTCOME_NAME: outcome.name,
            Attribute.OUTCOME_ID: outcome.id,
            Attribute.CONTEXT_ID: outcome.unit,
            Attribute.UNIT_KIND: outcome.unit_kind,
            Attribute.KEY_ID: key.id,
            **({Attribute.IMPORTED: True} if imported else {}),
            **{OUTCOME_VALUE_PREFIX + field: float(value) for field, value in outcome.values.items()},
        },
    )
    return span


def outcome_record(outcome: Outcome, key: PseudonymKey) -> bytes:
    """One outcome as a serialised ExportTraceServiceRequest, which the collector takes from who has the key.

    Args:
        outcome: With an id that no other has; 16 random bytes in hex where it has none of its own.
        key: The key that made the unit's pseudonym.
    """
    return spans_request([outcome_span(outcome, key)], SERVICE)
