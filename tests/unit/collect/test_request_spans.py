"""What the proxy's record of a request becomes, as a stored row has it."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collecting import logs_request
from meshtrial.collect import log_records
from meshtrial.collect.log_records import Dropped, to_spans
from meshtrial.collect.spans import accept
from meshtrial.errors import Refused
from meshtrial.pseudonym import PseudonymKey
from meshtrial.store.rows import to_table

KEY = PseudonymKey.of(b"sixteen bytes ok")
NOW = 1_800_000_000 * 10**9
TRACE, SPAN = bytes(range(16)), bytes(range(1, 9))
ANN, LAPTOP = KEY.pseudonym("header:x-user-id", b"ann"), KEY.pseudonym("header:x-device", b"laptop")
RANK = {
    "arm": "v2",
    "bucket": 17,
    "exposed": True,
    "phase": "0011223344556677",
    "reason": "split",
    "unit": ANN,
    "unit_kind": "header:x-user-id",
}
COLOUR = {
    **RANK,
    "arm": "red",
    "exposed": False,
    "reason": "washout",
    "unit": LAPTOP,
    "unit_kind": "header:x-device",
}
DECISION = {"arms": "rank=v2", "key": KEY.id, "plan": "d" * 64, "unit": ANN, "experiments": {"rank": RANK}}
SAID = {
    "event.name": "meshtrial.request",
    "meshtrial.metadata": json.dumps(DECISION),
    "http.response.status_code": "200",
    "rpc.grpc.status_code": "-",
    "meshtrial.duration_ns": "3253002",
    "meshtrial.duration_ms": "3",
    "meshtrial.response_flags": "-",
    "meshtrial.route": "rank-v2",
    "meshtrial.cluster": "model-v2",
    "meshtrial.failed_open": "0",
    "log.record.uid": "662f9a68-273b-431b-970c-2866fd8695d1",
}


def request(*records: Mapping[str, str]) -> ExportLogsServiceRequest:
    return logs_request(*({"attributes": said, "trace_id": TRACE, "span_id": SPAN} for said in records))


def converted(*records: Mapping[str, str]) -> log_records.Converted:
    return to_spans(request(*records).SerializeToString(), KEY)


def rows(*records: Mapping[str, str]) -> list[dict[str, Any]]:
    """As the store has them, after all that the collector does; no token was shown."""
    accepted = accept(converted(*records).payload, KEY, NOW, authenticated=False)
    table = to_table([(NOW, ExportTraceServiceRequest.FromString(accepted.payload))])
    found: list[dict[str, Any]] = table.to_pylist(maps_as_pydicts="strict")
    return found


def without(**changes: object) -> dict[str, str]:
    """The record with a changed decision."""
    return {**SAID, "meshtrial.metadata": json.dumps({**DECISION, **changes})}


def test_a_request_is_a_row_of_its_experiment() -> None:
    (row,) = rows(SAID)

    expected = {
        "SpanName": "meshtrial.request",
        "TraceId": TRACE.hex(),
        "ParentSpanId": SPAN.hex(),
        "Duration": 3_253_002,
        "Experiment": "rank",
        "Arm": "v2",
        "Reason": "split",
        "Phase": "0011223344556677",
        "Plan": "d" * 64,
        "UnitKind": "header:x-user-id",
        "KeyId": KEY.id,
        "Unit": int(ANN[:16], 16),
        "Bucket": 17,
        "Exposed": True,
        "Status": 200,
        "GrpcStatus": None,
        "Route": "rank-v2",
        "FailedOpen": False,
    }
    assert expected == {name: row[name] for name in expected}
    assert row["SpanAttributes"]["feature_flag.context.id"] == ANN
    assert row["SpanAttributes"]["meshtrial.cluster"] == "model-v2"
    assert "meshtrial.response_flags" not in row["SpanAttributes"]


def test_each_experiment_of_a_request_has_a_row_with_its_own_unit() -> None:
    both = rows(without(experiments={"rank": RANK, "colour": COLOUR}))

    assert [(r["Experiment"], r["UnitKind"], r["Unit"], r["Exposed"], r["Reason"]) for r in both] == [
        ("rank", "header:x-user-id", int(ANN[:16], 16), True, "split"),
        ("colour", "header:x-device", int(LAPTOP[:16], 16), False, "washout"),
    ]
    assert len({row["SpanId"] for row in both}) == 2
    assert {row["Duration"] for row in both} == {3_253_002}


def test_a_record_sent_again_is_the_same_rows_and_an_equal_one_is_not() -> None:
    again = rows(SAID, SAID, {**SAID, "log.record.uid": "another"})

    assert again[0]["SpanId"] == again[1]["SpanId"] != again[2]["SpanId"]


def test_who_lacks_the_key_cannot_send_a_requests_rows_first() -> None:
    other = PseudonymKey.of(b"another key of sixteen")
    payload = request(SAID).SerializeToString()

    assert to_spans(payload, other).payload != to_spans(payload, KEY).payload


def test_an_experiment_without_a_unit_has_a_row_without_one() -> None:
    nobody = {
        "arm": "v1",
        "exposed": False,
        "phase": "p",
        "reason": "default",
        "unit_kind": "header:x-user-id",
    }
    (row,) = rows(without(experiments={"rank": nobody}))

    assert [row[name] for name in ("Unit", "KeyId", "Bucket", "Exposed")] == [None, None, None, False]


def test_a_request_that_failed_open_is_a_row_without_experiment() -> None:
    (row,) = rows(
        {**SAID, "meshtrial.metadata": "-", "meshtrial.failed_open": "1", "meshtrial.route": "control"}
    )

    nothing = ("Experiment", "Arm", "Unit", "Exposed", "Reason", "Phase", "Plan")
    assert [row[name] for name in nothing] == [None] * len(nothing)
    assert (row["FailedOpen"], row["Status"], row["Route"], row["Duration"]) == (
        True,
        200,
        "control",
        3_253_002,
    )


def test_a_sidecar_that_failed_after_its_decision_left_a_decided_request() -> None:
    (row,) = rows({**SAID, "meshtrial.failed_open": "1"})

    assert (row["Arm"], row["FailedOpen"]) == ("v2", False)


@pytest.mark.parametrize("metadata", ["-", json.dumps({"plan": "d" * 64, "unit": ANN})])
def test_a_request_that_no_experiment_took_leaves_nothing_and_is_no_fault(metadata: str) -> None:
    found = converted({**SAID, "meshtrial.metadata": metadata})
    accepted = accept(found.payload, KEY, NOW, authenticated=False)

    assert (accepted.spans, found.dropped) == (0, {Dropped.UNDECIDED: 1})
    assert not found.answer(accepted).HasField("partial_success")


@pytest.mark.parametrize(
    "metadata", ["", "{", "[]", '{"experiments": 7}', '{"experiments": {"a": {"arm": 1}}}']
)
def test_metadata_that_are_not_ours_are_refused_alone(metadata: str) -> None:
    found = converted({**SAID, "meshtrial.metadata": metadata}, SAID)
    accepted = accept(found.payload, KEY, NOW, authenticated=False)

    assert (accepted.spans, found.dropped) == (1, {Dropped.UNREADABLE: 1})
    answer = found.answer(accepted).partial_success
    assert answer.rejected_log_records == 1
    assert "1 requests whose metadata cannot be read" in answer.error_message


def test_what_later_versions_add_to_the_metadata_is_let_pass() -> None:
    (row,) = rows(without(later=[1], experiments={"rank": {**RANK, "reason": "later", "later": {}}}))

    assert (row["Reason"], row["Arm"]) == ("later", "v2")


@pytest.mark.parametrize(
    ("ns", "ms", "expected"),
    [
        ("1500000", "1", 1_500_000),
        ("-", "37", 37_000_000),
        ("-", "-", 0),
        ("x", "1e3", 0),
        ("9" * 30, "2", 2_000_000),
    ],
)
def test_where_the_response_never_ended_milliseconds_are_what_is_known(
    ns: str, ms: str, expected: int
) -> None:
    (row,) = rows({**SAID, "meshtrial.duration_ns": ns, "meshtrial.duration_ms": ms})

    assert row["Duration"] == expected


@pytest.mark.parametrize(("status", "expected"), [("503", 503), ("0", 0), ("-", None), ("99999", None)])
def test_a_status_is_a_number_or_unknown(status: str, expected: int | None) -> None:
    (row,) = rows({**SAID, "http.response.status_code": status, "rpc.grpc.status_code": status})

    assert (row["Status"], row["GrpcStatus"]) == (expected, expected)


def test_what_an_operator_adds_to_the_record_is_not_stored() -> None:
    (row,) = rows({**SAID, "path": "/recommend?user=ann", "request_id": "clear"})

    assert "ann" not in str(row["SpanAttributes"])
    assert "clear" not in str(row["SpanAttributes"])
    assert not {"log.record.uid", "meshtrial.metadata", "event.name"} & row["SpanAttributes"].keys()


def test_a_unit_in_clear_is_replaced_by_its_pseudonym() -> None:
    (row,) = rows(without(key="", experiments={"rank": {**RANK, "unit": "ann"}}))

    assert row["SpanAttributes"]["feature_flag.context.id"] == ANN
    assert row["KeyId"] == KEY.id


def test_a_few_bytes_cannot_become_more_spans_than_a_request_may_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_records, "LARGEST_COUNT", 1_000)
    many = without(experiments={f"e{number}": {} for number in range(501)})

    assert converted(many).payload
    with pytest.raises(Refused, match=r"^requests in more than 1000 experiments together$"):
        converted(many, many)


@given(
    st.dictionaries(st.sampled_from(sorted(SAID)), st.text() | st.sampled_from(["-", "0", "1", "{}", "null"]))
)
def test_whatever_a_record_says_its_rows_can_be_stored(changes: dict[str, str]) -> None:
    said = {**SAID, **changes, "event.name": "meshtrial.request"}

    assert len(rows(said)) <= 1
