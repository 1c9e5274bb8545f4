"""What an OTLP client sent -> what may be stored: no clear unit, no forged outcome, no span without identity.

Pure. Stage: OTLP door -> **spans** -> journal.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from meshtrial.collect.outcome_spans import is_proven, name_by_outcome
from meshtrial.collect.size import parts
from meshtrial.collect.units import (
    PROXY_REQUEST_ID,
    PROXY_UNIT,
    Attributes,
    hide_request,
    hide_units,
    keep,
    text_of,
)
from meshtrial.errors import Refused
from meshtrial.names import Attribute, SpanName
from meshtrial.pseudonym import PseudonymKey
from meshtrial.store.rows import is_plausible

LARGEST_COUNT: Final = 100_000
"""Spans and groups of spans in one request: to check this many takes about a second."""
LARGEST_INSIDE: Final = 500_000
"""Attributes, events and links in one request: exposures of 16 MiB have fewer."""
_NEEDS_A_LOOK: Final = tuple(
    name.encode()
    for name in (
        Attribute.CONTEXT_ID,
        PROXY_REQUEST_ID,
        PROXY_UNIT,
        SpanName.OUTCOME,
        SpanName.EXPOSURE,
        Attribute.NEIGHBOURS,
    )
)
"""A payload in which none of these occurs holds neither units nor outcomes nor exposures."""
_IMPORTED: Final = Attribute.IMPORTED.encode()


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
    """Spans `meshtrial.outcome` dropped because their client showed neither token nor key."""
    implausible: int
    """Spans `meshtrial.exposure` that are stored, and not analysed for their time."""

    def answer(self) -> ExportTraceServiceResponse:
        """What the client is told: `partial_success` says what was dropped, if anything.

        https://opentelemetry.io/docs/specs/otlp/#partial-success
        """
        response = ExportTraceServiceResponse()
        if self.without_id or self.forged:
            response.partial_success.rejected_spans = self.without_id + self.forged
            response.partial_success.error_message = (
                f"dropped: {self.without_id} spans without a valid trace id and span id, "
                f"{self.forged} outcomes from a client without a token"
            )
        return response


def accept(payload: bytes, key: PseudonymKey, received_ns: int, *, authenticated: bool) -> Accepted:
    """Check a request and make it fit to be stored and forwarded.

    - A unit (`feature_flag.context.id`) counts as clear unless `meshtrial.key.id` is beside it and it looks
      like a pseudonym. It is replaced by its pseudonym, with the kind from `meshtrial.unit.kind`; where the
      kind is missing, or the value is neither text nor a whole number, it is removed. That holds for the
      attributes of spans, their events and links, scopes and resources.
    - The proxy's spans lose their request id and the query of their URL (`meshtrial.collect.units`).
    - Spans named `meshtrial.outcome` decide trials. They are taken only from clients that showed a token, or
      where the span shows that its sender has the key, since a client must not forge outcomes; else they are
      dropped and counted. Those that have an outcome's id get its ids (`meshtrial.collect.outcome_spans`).
    - `meshtrial.imported` is removed from spans: only doors for imports say that something counts as received
      when it happened.
    - Spans without a valid trace id and span id cannot be told apart, so they are dropped and counted:
      https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto
    - Fields that this version of OTLP does not have are left out, as the OpenTelemetry Collector does: nobody
      can say whether a clear unit is in them.

    Args:
        payload: A serialised ExportTraceServiceRequest.
        key: Makes the pseudonyms.
        received_ns: When it came, ns since 1970.
        authenticated: The client showed a token.

    Raises:
        Refused: 400; the payload is something else or was cut short. 413; it has more than 100,000 spans
            and groups of spans, or more than 500,000 attributes, events and links.
    """
    if parts(payload, LARGEST_COUNT) > LARGEST_COUNT:
        raise Refused(413, f"more than {LARGEST_COUNT} spans and groups of spans in one request")
    try:
        request = ExportTraceServiceRequest.FromString(payload)
    except DecodeError as error:
        raise Refused(400, "the body is no ExportTraceServiceRequest, or only a part of one") from error
    if _inside(request) > LARGEST_INSIDE:
        raise Refused(413, f"more than {LARGEST_INSIDE} attributes, events and links in one request")
    scopes = [scope for resource in request.resource_spans for scope in resource.scope_spans]
    hidden = forged = implausible = 0
    if any(name in payload for name in _NEEDS_A_LOOK):
        if not authenticated:
            forged = sum(keep(scope.spans, lambda span: not _is_forged(span, key)) for scope in scopes)
        for attributes, kind in _attribute_lists(request):
            hidden += hide_units(attributes, kind, key)
        for scope in scopes:
            name_by_outcome(scope.spans, key)
            for span in scope.spans:
                hidden += hide_request(span.attributes)
                implausible += span.name == SpanName.EXPOSURE and not is_plausible(
                    span.start_time_unix_nano, received_ns
                )
    if _IMPORTED in payload:
        _disown(span for scope in scopes for span in scope.spans)
    without_id = sum(
        keep(scope.spans, lambda span: is_id(span.trace_id, 16) and is_id(span.span_id, 8))
        for scope in scopes
    )
    request.DiscardUnknownFields()
    return Accepted(
        request.SerializeToString(),
        sum(len(scope.spans) for scope in scopes),
        hidden,
        without_id,
        forged,
        implausible,
    )


def is_id(raw: bytes, size: int) -> bool:
    """Whether this is an id of a trace (16 bytes) or a span (8): not all zero."""
    return len(raw) == size and any(raw)


def _disown(spans: Iterable[Span]) -> None:
    """Nobody but a door for imports says that something was imported."""
    for span in spans:
        keep(span.attributes, lambda attribute: attribute.key != Attribute.IMPORTED)


def _is_forged(span: Span, key: PseudonymKey) -> bool:
    return span.name == SpanName.OUTCOME and not is_proven(span, key)


def _inside(request: ExportTraceServiceRequest) -> int:
    """Attributes, events and links; the counting ends soon after there are too many."""
    count = 0
    for of_resource in request.resource_spans:
        count += len(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            count += len(of_scope.scope.attributes)
            for span in of_scope.spans:
                count += len(span.attributes) + len(span.events) + len(span.links)
                if count > LARGEST_INSIDE:
                    return count
                count += sum(len(event.attributes) for event in span.events)
                count += sum(len(link.attributes) for link in span.links)
    return count


def _attribute_lists(request: ExportTraceServiceRequest) -> Iterator[tuple[Attributes, str]]:
    """Every list of attributes, with the unit's kind that the span around it names."""
    for of_resource in request.resource_spans:
        yield of_resource.resource.attributes, ""
        for of_scope in of_resource.scope_spans:
            yield of_scope.scope.attributes, ""
            for span in of_scope.spans:
                kind = text_of(span.attributes, Attribute.UNIT_KIND)
                yield span.attributes, kind
                yield from ((event.attributes, kind) for event in span.events)
                yield from ((link.attributes, kind) for link in span.links)
