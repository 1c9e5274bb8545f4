"""What an OTLP client sent -> what may be stored: no clear unit, no forged outcome, no span without identity.

Pure. Stage: OTLP door -> **spans** -> journal.
"""

import re
from collections.abc import Callable, Iterator, MutableSequence
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span

from meshtrial.errors import Refused
from meshtrial.names import Attribute, SpanName
from meshtrial.record.pseudonym import PseudonymKey

_PSEUDONYM: Final = re.compile(r"[0-9a-f]{32}")
_NEEDS_A_LOOK: Final = (Attribute.CONTEXT_ID.encode(), SpanName.OUTCOME.encode())
"""A payload in which neither of these occurs holds neither units nor outcomes."""

_Attributes = MutableSequence[KeyValue]


@dataclass(frozen=True, slots=True)
class Accepted:
    """What is left of a request."""

    payload: bytes
    """A serialised ExportTraceServiceRequest, as the client sent it where nothing had to change."""
    spans: int
    """Spans in it; with 0 there is nothing to store."""
    units_hidden: int
    """Clear units that were replaced by their pseudonym or removed."""
    without_id: int
    """Spans dropped because their trace id is not 16 bytes, or their span id not 8, or all zero."""
    forged: int
    """Spans `meshtrial.outcome` dropped because the client did not show the door's token."""

    def answer(self) -> bytes:
        """The serialised ExportTraceServiceResponse: `partial_success` says what was dropped, if anything.

        https://opentelemetry.io/docs/specs/otlp/#partial-success
        """
        response = ExportTraceServiceResponse()
        if self.without_id or self.forged:
            response.partial_success.rejected_spans = self.without_id + self.forged
            response.partial_success.error_message = (
                f"dropped: {self.without_id} spans without a valid trace id and span id, "
                f"{self.forged} outcomes from a client without a token"
            )
        return response.SerializeToString()


def accept(payload: bytes, key: PseudonymKey, *, authenticated: bool) -> Accepted:
    """Check a request and make it fit to be stored and forwarded.

    - A unit (`feature_flag.context.id`) counts as clear unless `meshtrial.key.id` is beside it and it looks
      like a pseudonym. It is replaced by its pseudonym, with the kind from `meshtrial.unit.kind`; where the
      kind is missing, or the value is neither text nor a whole number, it is removed. That holds for the
      attributes of spans, their events and links, scopes and resources.
    - Spans named `meshtrial.outcome` decide trials. They are taken only from clients that showed the door's
      token, since a client must not forge outcomes; else they are dropped and counted.
    - Spans without a valid trace id and span id cannot be told apart, so they are dropped and counted:
      https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto
    - Fields that this version of OTLP does not have are left out, as the OpenTelemetry Collector does: nobody
      can say whether a clear unit is in them.

    Args:
        payload: A serialised ExportTraceServiceRequest.
        key: Makes the pseudonyms.
        authenticated: The client showed the door's token.

    Raises:
        Refused: 400; the payload is something else or was cut short.
    """
    try:
        request = ExportTraceServiceRequest.FromString(payload)
    except DecodeError as error:
        raise Refused(400, "the body is no ExportTraceServiceRequest, or only a part of one") from error
    scopes = [scope for resource in request.resource_spans for scope in resource.scope_spans]
    hidden = forged = 0
    if any(name in payload for name in _NEEDS_A_LOOK):
        if not authenticated:
            forged = _drop(scopes, lambda span: span.name == SpanName.OUTCOME)
        for attributes, kind in _attribute_lists(request):
            hidden += _hide_units(attributes, kind, key)
    without_id = _drop(scopes, lambda span: not (_is_id(span.trace_id, 16) and _is_id(span.span_id, 8)))
    request.DiscardUnknownFields()
    return Accepted(
        request.SerializeToString(), sum(len(scope.spans) for scope in scopes), hidden, without_id, forged
    )


def _is_id(raw: bytes, size: int) -> bool:
    return len(raw) == size and any(raw)


def _drop(scopes: list[ScopeSpans], unwanted: Callable[[Span], bool]) -> int:
    dropped = 0
    for scope in scopes:
        for index in reversed([i for i, span in enumerate(scope.spans) if unwanted(span)]):
            del scope.spans[index]
            dropped += 1
    return dropped


def _attribute_lists(request: ExportTraceServiceRequest) -> Iterator[tuple[_Attributes, str]]:
    """Every list of attributes, with the unit's kind that the span around it names."""
    for of_resource in request.resource_spans:
        yield of_resource.resource.attributes, ""
        for of_scope in of_resource.scope_spans:
            yield of_scope.scope.attributes, ""
            for span in of_scope.spans:
                kind = _text_of(span.attributes, Attribute.UNIT_KIND)
                yield span.attributes, kind
                yield from ((event.attributes, kind) for event in span.events)
                yield from ((link.attributes, kind) for link in span.links)


def _hide_units(attributes: _Attributes, kind: str, key: PseudonymKey) -> int:
    """Replace or remove the clear units of one list; how many there were."""
    units = [index for index, attribute in enumerate(attributes) if attribute.key == Attribute.CONTEXT_ID]
    if not units:
        return 0
    has_key_id = bool(_text_of(attributes, Attribute.KEY_ID))
    clear = [i for i in units if not (has_key_id and _PSEUDONYM.fullmatch(attributes[i].value.string_value))]
    kind = _text_of(attributes, Attribute.UNIT_KIND) or kind
    replaced = False
    for index in reversed(clear):
        unit = _unit_bytes(attributes[index].value)
        if kind and unit:
            attributes[index].value.CopyFrom(AnyValue(string_value=key.pseudonym(kind, unit)))
            replaced = True
        else:
            del attributes[index]
    if replaced:
        for index in reversed(
            [i for i, attribute in enumerate(attributes) if attribute.key == Attribute.KEY_ID]
        ):
            del attributes[index]
        attributes.append(KeyValue(key=Attribute.KEY_ID, value=AnyValue(string_value=key.id)))
    return len(clear)


def _text_of(attributes: _Attributes, name: str) -> str:
    return next((a.value.string_value for a in attributes if a.key == name), "")


def _unit_bytes(value: AnyValue) -> bytes:
    """The unit as it would stand in a header; empty where the value cannot be one."""
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value.encode()
        case "int_value":
            return str(value.int_value).encode()
        case "bytes_value":
            return value.bytes_value
        case _:
            return b""
