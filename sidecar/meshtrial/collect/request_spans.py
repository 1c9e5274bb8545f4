"""One request of the proxy's access log -> spans `meshtrial.request`: one for each of its experiments. Pure.

Stage: OTLP door -> log_records -> **request_spans** -> spans -> journal. The proxy knows what every request
got, whatever a client asks for by its trace flags; the sidecar's metadata in the record says who it was.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from meshtrial.names import Attribute, RequestEvent, SpanName
from meshtrial.record.exposure import Attributes
from meshtrial.record.span import set_attributes
from meshtrial.store.values import as_string

_ABSENT: Final = "-"
"""What Envoy writes where it has no value:
https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage"""
_NUMBERS: Final = (Attribute.STATUS, Attribute.GRPC_STATUS)
_TEXTS: Final = (Attribute.ROUTE, Attribute.CLUSTER, Attribute.FLAGS)
_LARGEST_NUMBER: Final = 2**32
_LONGEST: Final = 10**6 * 10**9
"""ns of a request: eleven days. A longer one is a mistake."""
_LATEST: Final = 2**64 - 1
"""What a span's end can hold."""


class _Experiment(msgspec.Struct, frozen=True):
    """An experiment of the sidecar's metadata (`meshtrial.names.MetadataOf`)."""

    arm: str = ""
    phase: str = ""
    exposed: bool = False
    reason: str = ""
    unit: str = ""
    unit_kind: str = ""
    bucket: float | None = None


class _Decision(msgspec.Struct, frozen=True):
    """The sidecar's metadata (`meshtrial.names.Metadata`); what it has besides is not needed here."""

    plan: str = ""
    key: str = ""
    experiments: dict[str, _Experiment] = {}


_NOTHING: Final = _Decision()
_DECODER: Final = msgspec.json.Decoder(_Decision)


def request_spans(record: LogRecord, trace_id: bytes, digest: bytes) -> list[Span] | None:
    """The spans of a request, none where no experiment took it; None where its metadata cannot be read.

    A request that was to be decided and was not, since no answer of the sidecar came in time, has one span
    without experiment that says `meshtrial.failed_open`. Where the metadata name experiments the request was
    decided, although the sidecar may have failed later, at the response.

    Args:
        record: An event `meshtrial.request`, with a time: when the request began.
        trace_id: Of the spans, 16 bytes.
        digest: 32 bytes made of the record with the key: the spans' ids are made of it.
    """
    said = {a.key: a.value.string_value or as_string(a.value) for a in record.attributes}
    decision = _decision(said.get(RequestEvent.DECISION, _ABSENT))
    if decision is None:
        return None
    answered = _answered(said)
    if decision.experiments:
        rows: Iterable[tuple[str, Attributes]] = (
            (name, {**_of_experiment(name, one, decision), **answered, Attribute.FAILED_OPEN: False})
            for name, one in decision.experiments.items()
        )
    elif said.get(Attribute.FAILED_OPEN) in ("1", "true"):
        rows = [("", {**answered, Attribute.FAILED_OPEN: True})]
    else:
        return []
    start = record.time_unix_nano or record.observed_time_unix_nano
    end = min(start + _duration(said), _LATEST)
    return [_span(record, trace_id, _id(digest, name), (start, end), fields) for name, fields in rows]


def _span(
    record: LogRecord, trace_id: bytes, span_id: bytes, times: tuple[int, int], fields: Attributes
) -> Span:
    span = Span(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=record.span_id if trace_id == record.trace_id else b"",
        name=SpanName.REQUEST,
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=times[0],
        end_time_unix_nano=times[1],
    )
    set_attributes(span, fields)
    return span


def _id(digest: bytes, experiment: str) -> bytes:
    return hashlib.sha256(digest + experiment.encode()).digest()[:8]


def _decision(text: str) -> _Decision | None:
    if text == _ABSENT:
        return _NOTHING
    try:
        return _DECODER.decode(text)
    except msgspec.MsgspecError:
        return None


def _of_experiment(name: str, one: _Experiment, decision: _Decision) -> Attributes:
    fields: Attributes = {
        Attribute.KEY: name,
        Attribute.VARIANT: one.arm,
        Attribute.REASON: one.reason,
        Attribute.VERSION: decision.plan,
        Attribute.PHASE: one.phase,
        Attribute.UNIT_KIND: one.unit_kind,
        Attribute.EXPOSED: one.exposed,
    }
    if one.unit:
        fields[Attribute.CONTEXT_ID] = one.unit
        fields[Attribute.KEY_ID] = decision.key
    if one.bucket is not None and 0 <= one.bucket < _LARGEST_NUMBER:
        fields[Attribute.BUCKET] = int(one.bucket)
    return fields


def _answered(said: dict[str, str]) -> Attributes:
    """What every span of the request says: nothing that a client wrote."""
    fields: Attributes = {}
    for name in _NUMBERS:
        number = _number(said.get(name, _ABSENT))
        if number is not None:
            fields[name] = number
    for name in _TEXTS:
        text = said.get(name, _ABSENT)
        if text not in ("", _ABSENT):
            fields[name] = text
    return fields


def _duration(said: dict[str, str]) -> int:
    """ns; of a request whose response never ended, Envoy has milliseconds alone."""
    ns = _number(said.get(RequestEvent.DURATION_NS, _ABSENT), _LONGEST)
    if ns is not None:
        return ns
    return (_number(said.get(RequestEvent.DURATION_MS, _ABSENT), _LONGEST // 10**6) or 0) * 10**6


def _number(text: str, largest: int = _LARGEST_NUMBER) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_LONGEST))):
        return None
    return number if (number := int(text)) <= largest else None
