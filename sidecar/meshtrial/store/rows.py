"""OTLP trace requests -> rows of `otel_traces`. Pure.

Total: a piece that is not what it should be leaves its promoted column null and stays in the attributes.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, Final

import pyarrow as pa
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from meshtrial.names import OUTCOME_VALUE_PREFIX, STRATUM_PREFIX, Attribute, SpanName
from meshtrial.store.schema import LARGEST_VALUE, SCHEMA
from meshtrial.store.values import as_string

_KINDS: Final = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
"""By number: https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto"""
_STATUSES: Final = ("Unset", "Ok", "Error")
"""By number, from the same file."""

_CODED: Final = (
    Attribute.KEY.value,
    Attribute.VARIANT.value,
    Attribute.REASON.value,
    Attribute.PHASE.value,
    Attribute.VERSION.value,
    Attribute.UNIT_KIND.value,
    Attribute.KEY_ID.value,
    Attribute.PLANE.value,
    Attribute.COHORT.value,
)
"""What the columns from Experiment to Cohort hold, in their order."""
_CHUNK: Final = 2048
"""Rows held as Python objects at a time: they take ten times the space of a table."""
_TRUTH: Final = {"true": True, "false": False}
_PSEUDONYM: Final = re.compile(r"[0-9a-f]{32}")
_WHOLE: Final = re.compile(r"[0-9]{1,10}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")
_DECIMAL: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
"""A window's number; that of any time in nanoseconds since 1970 is shorter."""
_IMPORTED: Final = frozenset([SpanName.EXPOSURE, SpanName.OUTCOME])
"""What doors for imports write."""
_LARGEST_UINT16: Final = 2**16 - 1
_LARGEST_UINT32: Final = 2**32 - 1
MAX_NEIGHBOURS: Final = 100
"""Of an exposure, that are stored."""
_LARGEST_TIME: Final = 2**63 - 2
"""Of 64 bits; the one above it is what DuckDB calls infinity."""

EARLIEST: Final = 30 * 86_400 * 10**9
"""ns before its receipt that an exposure may have begun: a spool kept that long is still analysed."""
LATEST: Final = 86_400 * 10**9
"""ns after its receipt that a span may begin: clocks differ by minutes, wrong time zones by hours."""


def is_plausible(start_ns: int, received_ns: int, *, imported: bool = False) -> bool:
    """Whether an exposure can have begun then: one of 1970 would end a trial's minimum duration at once.

    An imported one is as old as its file says: whoever imports it has looked at the file, not at a clock.
    """
    return (imported or received_ns - EARLIEST <= start_ns) and start_ns <= received_ns + LATEST


def to_table(requests: Iterable[tuple[int, ExportTraceServiceRequest]]) -> pa.Table:
    """One row a span, in the order received.

    Args:
        requests: Each with when it was received, ns since 1970.
    """
    rows = chain.from_iterable(_rows(received_ns, request) for received_ns, request in requests)
    chunks = [SCHEMA.empty_table()]
    while chunk := list(islice(rows, _CHUNK)):
        columns = zip(*chunk, strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
        chunks.append(pa.table(arrays, schema=SCHEMA))
    return pa.concat_tables(chunks).unify_dictionaries().combine_chunks()


def _rows(received_ns: int, request: ExportTraceServiceRequest) -> Iterator[tuple[Any, ...]]:
    for of_resource in request.resource_spans:
        resource = _texts(of_resource.resource.attributes)
        service = resource.get("service.name", "")
        for of_scope in of_resource.scope_spans:
            scope = of_scope.scope
            for span in of_scope.spans:
                texts = _texts(span.attributes)
                imported = span.name in _IMPORTED and texts.get(Attribute.IMPORTED) == "true"
                yield (
                    _time(span.start_time_unix_nano),
                    _id(span.trace_id, 16),
                    _id(span.span_id, 8),
                    _id(span.parent_span_id, 8),
                    span.trace_state,
                    span.name,
                    _word(_KINDS, span.kind),
                    service,
                    list(resource.items()),
                    scope.name,
                    scope.version,
                    list(texts.items()),
                    max(0, span.end_time_unix_nano - span.start_time_unix_nano),
                    _word(_STATUSES, span.status.code),
                    span.status.message,
                    [_event(event) for event in span.events],
                    [_link(link) for link in span.links],
                    *_promoted(span, texts, received_ns, imported=imported),
                    _time(span.start_time_unix_nano) if imported else received_ns,
                )


def _event(event: Span.Event) -> dict[str, Any]:
    attributes = list(_texts(event.attributes).items())
    return {"Timestamp": _time(event.time_unix_nano), "Name": event.name, "Attributes": attributes}


def _link(link: Span.Link) -> dict[str, Any]:
    return {
        "TraceId": _id(link.trace_id, 16),
        "SpanId": _id(link.span_id, 8),
        "TraceState": link.trace_state,
        "Attributes": list(_texts(link.attributes).items()),
    }


def _promoted(span: Span, texts: dict[str, str], received_ns: int, *, imported: bool) -> tuple[Any, ...]:
    """The columns from Experiment to FailedOpen."""
    start = span.start_time_unix_nano
    plausible = is_plausible(start, received_ns, imported=imported)
    is_outcome = span.name == SpanName.OUTCOME and start <= received_ns + LATEST
    return (
        *map(texts.get, _CODED),
        texts.get(Attribute.OUTCOME_NAME) if is_outcome else None,
        texts.get(Attribute.OUTCOME_ID) if is_outcome else None,
        _unit(texts.get(Attribute.CONTEXT_ID)),
        _unit(texts.get(Attribute.GROUP_ID)),
        _window(texts.get(Attribute.WINDOW)),
        _whole(texts.get(Attribute.BUCKET), _LARGEST_UINT32),
        _TRUTH.get(texts.get(Attribute.EXPOSED, "")) if plausible else None,
        _values(texts) if is_outcome else None,
        _strata(texts) if span.name == SpanName.EXPOSURE else None,
        _units(texts.get(Attribute.NEIGHBOURS)),
        _whole(texts.get(Attribute.STATUS), _LARGEST_UINT16),
        _whole(texts.get(Attribute.GRPC_STATUS), _LARGEST_UINT16),
        texts.get(Attribute.ROUTE),
        _TRUTH.get(texts.get(Attribute.FAILED_OPEN, "")),
    )


def _texts(attributes: Sequence[KeyValue]) -> dict[str, str]:
    """By key; of a key that comes twice, against the specification, the last."""
    return {a.key: a.value.string_value or as_string(a.value) for a in attributes}


def _id(raw: bytes, size: int) -> str:
    return raw.hex() if len(raw) == size else ""


def _time(ns: int) -> int | None:
    return ns if ns <= _LARGEST_TIME else None


def _word(words: tuple[str, ...], number: int) -> str:
    """Enumerations of protobuf are open: a number of a later version is written as it is."""
    return words[number] if 0 <= number < len(words) else str(number)


def _unit(pseudonym: str | None) -> int | None:
    return int(pseudonym[:16], 16) if pseudonym and _PSEUDONYM.fullmatch(pseudonym) else None


def _window(text: str | None) -> int | None:
    return int(text) if text is not None and _NUMBER.fullmatch(text) else None


def _whole(text: str | None, largest: int) -> int | None:
    if text is None or not _WHOLE.fullmatch(text):
        return None
    return number if (number := int(text)) <= largest else None


def _units(pseudonyms: str | None) -> list[int] | None:
    if pseudonyms is None:
        return None
    units = map(_unit, pseudonyms.split(",", MAX_NEIGHBOURS)[:MAX_NEIGHBOURS])
    return [unit for unit in units if unit is not None]


def _strata(texts: dict[str, str]) -> list[tuple[str, str]] | None:
    found = [
        (k.removeprefix(STRATUM_PREFIX), text) for k, text in texts.items() if k.startswith(STRATUM_PREFIX)
    ]
    return found or None


def _values(texts: dict[str, str]) -> list[tuple[str, float]]:
    values = (
        (key.removeprefix(OUTCOME_VALUE_PREFIX), _value(text))
        for key, text in texts.items()
        if key.startswith(OUTCOME_VALUE_PREFIX)
    )
    return [(field, value) for field, value in values if value is not None]


def _value(text: str) -> float | None:
    """By the syntax of `_DECIMAL`: Python's own also takes `1_000` and digits of other scripts."""
    value = float(text) if _DECIMAL.fullmatch(text.strip()) else math.inf
    return value if abs(value) <= LARGEST_VALUE else None
