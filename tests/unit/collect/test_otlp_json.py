import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from meshtrial.collect.otlp_json import to_json, to_protobuf
from meshtrial.errors import Refused

# The fields of the specification's example, written anew, with each kind of value once.
SPAN: dict[str, Any] = {
    "traceId": "5B8EFFF798038103D269B633813FC60C",
    "spanId": "eee19b7ec3c1b174",
    "parentSpanId": "",
    "name": "checkout",
    "kind": 2,
    "startTimeUnixNano": "1544712660000000000",
    "endTimeUnixNano": 1544712661000000000,
    "attributes": [
        {"key": "text", "value": {"stringValue": "ä"}},
        {"key": "whole", "value": {"intValue": "9007199254740993"}},
        {"key": "number", "value": {"doubleValue": 12.5}},
        {"key": "truth", "value": {"boolValue": False}},
        {"key": "bytes", "value": {"bytesValue": "aGk="}},
        {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "a"}]}}},
        {"key": "map", "value": {"kvlistValue": {"values": [{"key": "traceId", "value": {"intValue": 1}}]}}},
    ],
    "links": [{"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174"}],
    "status": {"code": 2, "message": "no"},
    "newField": {"in": ["a later version"]},
}


def read(document: object) -> Any:
    body = json.dumps(document).encode()
    return ExportTraceServiceRequest.FromString(to_protobuf(body, ExportTraceServiceRequest))


def request_of(span: dict[str, Any]) -> dict[str, Any]:
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}], "unknown": 1}


def test_a_span_in_json_is_the_span_that_it_says() -> None:
    [span] = read(request_of(SPAN)).resource_spans[0].scope_spans[0].spans

    ids = (bytes.fromhex("5b8efff798038103d269b633813fc60c"), bytes.fromhex("eee19b7ec3c1b174"))
    assert ids == (span.trace_id, span.span_id) == (span.links[0].trace_id, span.links[0].span_id)
    assert (span.parent_span_id, span.name, span.kind) == (b"", "checkout", 2)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (1544712660 * 10**9, 1544712661 * 10**9)
    assert (span.status.code, span.status.message) == (2, "no")
    values = {a.key: a.value for a in span.attributes}
    assert values["text"].string_value == "ä"
    assert values["whole"].int_value == 9007199254740993
    assert values["number"].double_value == 12.5
    assert values["truth"].WhichOneof("value") == "bool_value"
    assert values["bytes"].bytes_value == b"hi"
    assert values["list"].array_value.values[0].string_value == "a"
    assert values["map"].kvlist_value.values[0].key == "traceId"


def test_a_log_record_in_json_is_the_record_that_it_says() -> None:
    document = {
        "resourceLogs": [
            {
                "scopeLogs": [
                    {
                        "logRecords": [
                            {
                                "timeUnixNano": "1544712660000000000",
                                "severityNumber": 9,
                                "eventName": "meshtrial.outcome",
                                "traceId": "5b8efff798038103d269b633813fc60c",
                                "body": {"stringValue": "x"},
                            }
                        ]
                    }
                ]
            }
        ]
    }

    payload = to_protobuf(json.dumps(document).encode(), ExportLogsServiceRequest)

    [record] = ExportLogsServiceRequest.FromString(payload).resource_logs[0].scope_logs[0].log_records
    assert (record.event_name, record.time_unix_nano) == ("meshtrial.outcome", 1544712660 * 10**9)
    assert record.trace_id == bytes.fromhex("5b8efff798038103d269b633813fc60c")


def test_an_answer_has_numbers_of_64_bits_as_text() -> None:
    answer = ExportTraceServiceResponse()
    assert json.loads(to_json(answer)) == {}

    answer.partial_success.rejected_spans = 2
    assert json.loads(to_json(answer)) == {"partialSuccess": {"rejectedSpans": "2"}}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the body is not OTLP in JSON: Expecting value"),
        (b"[" * 100_000, "the body is not OTLP in JSON: nested too deeply"),
        (b'{"a": "\xff"}', "the body is not OTLP in JSON: 'utf-8' codec can't decode"),
        (b"[]", "the body is not OTLP in JSON: it must be an object"),
        (
            json.dumps(request_of({"traceId": "xyz"})).encode(),
            "the body is not OTLP in JSON: a traceId is not hex: xyz",
        ),
        (json.dumps(request_of({"name": 5})).encode(), "the body is no ExportTraceServiceRequest in JSON: "),
        (
            json.dumps(request_of({"name": "\ud800"})).encode(),
            "the body is no ExportTraceServiceRequest in JSON: ",
        ),
        (b'{"resourceSpans": 5}', "the body is no ExportTraceServiceRequest in JSON: "),
    ],
)
def test_what_is_no_request_is_refused_with_its_reason(body: bytes, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        to_protobuf(body, ExportTraceServiceRequest)

    assert refused.value.status == 400
    assert str(refused.value).startswith(reason)
    assert str(refused.value).isprintable()


def test_more_than_a_million_objects_are_too_many() -> None:
    with pytest.raises(Refused, match="more than 1000000 objects in one request") as refused:
        to_protobuf(b"{" * 1_000_001, ExportTraceServiceRequest)

    assert refused.value.status == 413


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters(codec=None), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*SPAN, "value"]), inner),
    max_leaves=6,
)


@given(st.sampled_from(list(SPAN)), values)
def test_whatever_a_field_holds_the_request_is_read_or_refused_with_400(field: str, value: object) -> None:
    body = json.dumps(request_of({**SPAN, field: value})).encode()
    status = 200
    try:
        to_protobuf(body, ExportTraceServiceRequest)
    except Refused as refusal:
        status = refusal.status
        str(refusal).encode()

    assert status in {200, 400}
