"""OTLP log events of outcomes, flag evaluations and requests -> the spans that they would be. Pure.

Stage: OTLP door -> **log_records** -> spans -> journal. An event `meshtrial.outcome` becomes a span of that
name, `meshtrial.request` several (`meshtrial.collect.request_spans`); a `feature_flag.evaluation` of any SDK
becomes a `meshtrial.exposure`. What another SDK evaluated has no
`meshtrial.phase`, so the analysis does not count it: it is there to be looked at.

https://opentelemetry.io/docs/specs/semconv/feature-flags/feature-flags-events/
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from meshtrial.collect.request_spans import request_spans
from meshtrial.collect.size import parts
from meshtrial.collect.spans import LARGEST_COUNT, LARGEST_INSIDE, Accepted, is_id
from meshtrial.collect.units import text_of
from meshtrial.errors import Refused
from meshtrial.names import Attribute, SpanName
from meshtrial.pseudonym import PseudonymKey

EVENT_NAME: Final = "event.name"
"""The attribute that named an event before OTLP's field `event_name`:
https://opentelemetry.io/docs/specs/semconv/general/events/"""

_SPAN_NAMES: Final = {
    "meshtrial.outcome": SpanName.OUTCOME,
    "feature_flag.evaluation": SpanName.EXPOSURE,
    "meshtrial.request": SpanName.REQUEST,
}
_RENAMED: Final = {
    "feature_flag.variant": Attribute.VARIANT,
    "feature_flag.evaluation.reason": Attribute.REASON,
    "feature_flag.provider_name": Attribute.PROVIDER_NAME,
}
"""What earlier semantic conventions called them:
https://opentelemetry.io/docs/specs/semconv/registry/attributes/feature-flag/"""
_RECORD: Final = b"\xfflog"
"""Before a record's content where its span's ids are made: no kind of unit, being no UTF-8."""


class Dropped(StrEnum):
    """Why nothing is stored of a log record."""

    NOT_OURS = "not_ours"
    """Another event."""
    WITHOUT_TIME = "without_time"
    """It says neither when it happened nor when it was seen."""
    UNREADABLE = "unreadable"
    """A request with metadata that are not the sidecar's."""
    UNDECIDED = "undecided"
    """A request that no experiment took: no fault, so its client is not told."""


_FAULTS: Final = (Dropped.NOT_OURS, Dropped.WITHOUT_TIME, Dropped.UNREADABLE)


@dataclass(frozen=True, slots=True)
class Converted:
    """What became of a request of logs."""

    payload: bytes
    """A serialised ExportTraceServiceRequest: the spans that `spans.accept` is to check."""
    dropped: Mapping[Dropped, int]
    """How many records of each kind were dropped; what did not occur may be missing."""

    def answer(self, accepted: Accepted) -> ExportLogsServiceResponse:
        """What the client is told, given what became of the spans: `partial_success` says what was dropped.

        https://opentelemetry.io/docs/specs/otlp/#partial-success
        """
        response = ExportLogsServiceResponse()
        not_ours, timeless, unreadable = (self.dropped.get(why, 0) for why in _FAULTS)
        if rejected := not_ours + timeless + unreadable + accepted.forged:
            response.partial_success.rejected_log_records = rejected
            response.partial_success.error_message = (
                f"dropped: {not_ours} records that are no event of meshtrial or of a feature flag, "
                f"{timeless} events without a time, {unreadable} requests whose metadata cannot be read, "
                f"{accepted.forged} outcomes from a client without a token"
            )
        return response


def to_spans(payload: bytes, key: PseudonymKey) -> Converted:
    """The events of a request that are ours, as spans.

    A span's ids are made from its record's content with the key: a record sent again is the same span, and
    nobody can try units on them. An outcome that has an id gets that one's ids later.

    Args:
        payload: A serialised ExportLogsServiceRequest.
        key: Makes the spans' ids.

    Raises:
        Refused: 400; the payload is something else or was cut short. 413; it has more than 100,000 records
            and groups of records, more than 500,000 attributes, or its requests more than 100,000
            experiments.
    """
    if parts(payload, LARGEST_COUNT) > LARGEST_COUNT:
        raise Refused(413, f"more than {LARGEST_COUNT} log records and groups of them in one request")
    try:
        request = ExportLogsServiceRequest.FromString(payload)
    except DecodeError as error:
        raise Refused(400, "the body is no ExportLogsServiceRequest, or only a part of one") from error
    scopes = [of_scope for of_resource in request.resource_logs for of_scope in of_resource.scope_logs]
    if sum(len(record.attributes) for scope in scopes for record in scope.log_records) > LARGEST_INSIDE:
        raise Refused(413, f"more than {LARGEST_INSIDE} attributes in one request")
    converted = ExportTraceServiceRequest()
    dropped = Counter[Dropped]()
    count = 0
    for of_resource in request.resource_logs:
        resource_spans = converted.resource_spans.add(resource=of_resource.resource)
        shared = of_resource.resource.SerializeToString(deterministic=True)
        kind = text_of(of_resource.resource.attributes, Attribute.UNIT_KIND)
        for of_scope in of_resource.scope_logs:
            scope_spans = resource_spans.scope_spans.add(scope=of_scope.scope)
            for record in of_scope.log_records:
                found = _spans(record, shared, kind, key)
                if isinstance(found, Dropped):
                    dropped[found] += 1
                    continue
                count += len(found)
                if count > LARGEST_COUNT:
                    raise Refused(413, f"requests in more than {LARGEST_COUNT} experiments together")
                scope_spans.spans.extend(found)
    return Converted(converted.SerializeToString(), dropped)


def _spans(record: LogRecord, shared: bytes, kind: str, key: PseudonymKey) -> Sequence[Span] | Dropped:
    """The spans of a record; `shared` is its resource, `kind` that of units where the record names none."""
    name = _SPAN_NAMES.get(record.event_name or text_of(record.attributes, EVENT_NAME))
    if name is None:
        return Dropped.NOT_OURS
    if not (record.time_unix_nano or record.observed_time_unix_nano):
        return Dropped.WITHOUT_TIME
    digest = key.digest(_RECORD, shared, record.SerializeToString(deterministic=True))
    if name is not SpanName.REQUEST:
        return [_span(record, name, kind, digest)]
    trace_id = record.trace_id if is_id(record.trace_id, 16) else digest[:16]
    found = request_spans(record, trace_id, digest)
    if found is None:
        return Dropped.UNREADABLE
    return found or Dropped.UNDECIDED


def _span(record: LogRecord, name: SpanName, kind: str, digest: bytes) -> Span:
    """The span of an event; `kind` is that of units where the event names none."""
    in_trace = is_id(record.trace_id, 16)
    time = record.time_unix_nano or record.observed_time_unix_nano
    span = Span(
        trace_id=record.trace_id if in_trace else digest[:16],
        span_id=digest[16:24],
        parent_span_id=record.span_id if in_trace and is_id(record.span_id, 8) else b"",
        name=name,
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=time,
        end_time_unix_nano=time,
    )
    present = {attribute.key for attribute in record.attributes}
    for attribute in record.attributes:
        if attribute.key == EVENT_NAME:
            continue
        renamed = _RENAMED.get(attribute.key, attribute.key)
        span.attributes.add(key=attribute.key if renamed in present else renamed, value=attribute.value)
    if kind and Attribute.UNIT_KIND not in present and Attribute.CONTEXT_ID in present:
        span.attributes.append(KeyValue(key=Attribute.UNIT_KIND, value=AnyValue(string_value=kind)))
    return span
