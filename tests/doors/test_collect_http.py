"""OTLP/HTTP, outcomes, health and metrics against a real collector process."""

import contextlib
import gzip
import hashlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # it ships no marker
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from collecting import BEARER, PROTOBUF, RunningCollector, collector, ids, trace_request
from meshtrial.store.read import connect

GZIP = {**PROTOBUF, "content-encoding": "gzip"}
LIMIT = 16 * 2**20


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCollector]:
    with collector(tmp_path_factory.mktemp("store")) as one:
        yield one


def stored(store: Path, sql: str = "SELECT TraceId, SpanId FROM otel_traces") -> list[tuple[Any, ...]]:
    with connect(store) as database:
        return database.execute(sql).fetchall()


def outcome(outcome_id: str, **fields: Any) -> dict[str, Any]:
    unit = {"kind": "header:x-user-id", "value": "ann"}
    return {"id": outcome_id, "unit": unit, "name": "purchase", "time": 1_772_357_400, **fields}


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
def test_spans_are_stored_before_they_are_acknowledged(running: RunningCollector, compressed: bool) -> None:
    request = trace_request({}, {}, {})
    body = request.SerializeToString()

    status, answer, headers = running.request(
        "POST", "/v1/traces", gzip.compress(body) if compressed else body, GZIP if compressed else PROTOBUF
    )

    assert (status, headers["content-type"]) == (200, "application/x-protobuf")
    assert not ExportTraceServiceResponse.FromString(answer).HasField("partial_success")
    assert ids(request) <= set(stored(running.store))


def test_a_chunked_body_as_proxies_send_it_is_taken(running: RunningCollector) -> None:
    request = trace_request({}, {})
    body = request.SerializeToString()

    with contextlib.closing(running.connection()) as connection:
        connection.request("POST", "/v1/traces", iter([body[:10], body[10:]]), PROTOBUF, encode_chunked=True)
        assert connection.getresponse().status == 200

    assert ids(request) <= set(stored(running.store))


@pytest.mark.parametrize(
    ("headers", "body", "status", "reason"),
    [
        (PROTOBUF, trace_request({}).SerializeToString()[:-1], 400, "no ExportTraceServiceRequest"),
        (GZIP, b"not gzip", 400, "the body is not gzip"),
        (GZIP, gzip.compress(trace_request({}).SerializeToString())[:-9], 400, "the gzip body is cut short"),
        (
            {"content-type": "text/plain"},
            b"{}",
            415,
            "must be application/x-protobuf or application/json, not `text/plain`",
        ),
        ({}, b"", 415, "must be application/x-protobuf or application/json, not ``"),
        ({**PROTOBUF, "content-encoding": "zstd"}, b"", 415, "content-encoding `zstd` is not taken"),
        (PROTOBUF, b"\0" * (LIMIT + 1), 413, f"the body is larger than {LIMIT} bytes"),
        (GZIP, gzip.compress(b"\0" * (LIMIT + 1)), 413, f"larger than {LIMIT} bytes when decompressed"),
    ],
)
def test_what_is_no_otlp_is_refused_as_otlp_says_and_the_door_goes_on(
    running: RunningCollector, headers: dict[str, str], body: bytes, status: int, reason: str
) -> None:
    answered, answer, _ = running.request("POST", "/v1/traces", body, headers)

    assert status == answered
    assert reason in Status.FromString(answer).message
    assert running.send_spans(trace_request({})) == 200


def test_a_client_without_a_token_cannot_forge_an_outcome(running: RunningCollector) -> None:
    forged = trace_request({"name": "meshtrial.outcome", "attributes": {"meshtrial.outcome.name": "forged"}})

    status, answer, _ = running.request("POST", "/v1/traces", forged.SerializeToString(), PROTOBUF)

    assert status == 200
    assert ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans == 1
    assert 'spans_dropped_total{door="http",reason="outcome_without_token"} 1.0' in running.metrics()
    assert running.send_spans(trace_request({})) == 200
    assert stored(running.store, "SELECT * FROM otel_traces WHERE Outcome = 'forged'") == []


def test_outcomes_are_stored_and_a_repeated_id_counts_once(running: RunningCollector) -> None:
    first = running.send_outcomes(outcome("once", values={"amount": 1.5}))
    again = running.send_outcomes([outcome("once", values={"amount": 9.0}), outcome("twice")])

    assert first == (200, {"accepted": 1, "refused": []})
    assert again == (200, {"accepted": 2, "refused": []})
    found = stored(
        running.store,
        "SELECT OutcomeId, OutcomeValues['amount'] FROM otel_traces "
        "WHERE OutcomeId IN ('once', 'twice') ORDER BY OutcomeId",
    )
    assert found == [("once", 1.5), ("twice", None)]


def test_malformed_outcomes_are_refused_one_by_one_with_their_index(running: RunningCollector) -> None:
    answer = running.send_outcomes(
        [outcome("good-1"), 7, outcome("bad", unit={"kind": "request"}), outcome("good-2")]
    )

    assert answer == (
        200,
        {
            "accepted": 2,
            "refused": [
                {"index": 1, "path": "$[1]", "error": "Expected `object`, got `int`"},
                {"index": 2, "path": "$[2].unit", "error": "Object missing required field `value`"},
            ],
        },
    )
    found = stored(
        running.store,
        "SELECT OutcomeId FROM otel_traces WHERE OutcomeId IN ('good-1', 'bad', 'good-2') ORDER BY 1",
    )
    assert found == [("good-1",), ("good-2",)]


def test_a_request_of_which_no_outcome_can_be_taken_is_422(running: RunningCollector) -> None:
    status, answer = running.send_outcomes([7])

    assert status == 422
    assert [refused["index"] for refused in answer["refused"]] == [0]
    assert running.send_outcomes([]) == (200, {"accepted": 0, "refused": []})


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "a token is needed: `authorization: Bearer TOKEN`"),
        ({"authorization": "Bearer wrong"}, "the token is wrong"),
    ],
)
def test_without_the_token_no_outcome_is_taken_and_it_is_counted(
    running: RunningCollector, headers: dict[str, str], reason: str
) -> None:
    def refused() -> float:
        lines = [line for line in running.metrics().splitlines() if 'door="outcomes",status="401"' in line]
        return sum(float(line.split()[-1]) for line in lines if "_total" in line)

    before = refused()
    status, body, answered = running.request(
        "POST", "/v1/outcomes", json.dumps(outcome("x")).encode(), headers
    )

    assert (401, {"error": reason}) == (status, json.loads(body))
    assert answered["www-authenticate"] == "Bearer"
    assert before + 1 == refused()


def test_ten_thousand_outcomes_fit_into_one_request(running: RunningCollector) -> None:
    outcomes = [
        outcome(f"order-{n:05}", time="2026-03-01T12:00:00Z", values={"amount": 12.5}) for n in range(10_000)
    ]
    assert len(json.dumps(outcomes)) > 2**20

    assert running.send_outcomes(outcomes) == (200, {"accepted": 10_000, "refused": []})


def test_half_of_a_surrogate_pair_is_one_items_fault(running: RunningCollector) -> None:
    status, answer = running.send_outcomes([outcome("before-half"), outcome("half", **{"\ud800": 1})])

    assert (status, answer["accepted"]) == (200, 1)
    assert [refused["index"] for refused in answer["refused"]] == [1]


def test_a_client_without_a_token_cannot_take_an_outcomes_place(running: RunningCollector) -> None:
    digest = hashlib.sha256(b"order-17").digest()
    assert running.send_spans(trace_request({"trace_id": digest[:16], "span_id": digest[16:24]})) == 200

    assert running.send_outcomes(outcome("order-17"))[0] == 200

    found = stored(running.store, "SELECT Outcome FROM otel_traces WHERE OutcomeId = 'order-17'")
    assert found == [("purchase",)]


def test_exposures_of_impossible_times_are_stored_and_counted(running: RunningCollector) -> None:
    request = trace_request(
        {"name": "meshtrial.exposure", "start_time_unix_nano": 1, "attributes": {"meshtrial.exposed": True}}
    )

    assert running.send_spans(request) == 200

    assert "meshtrial_collect_exposures_implausible_total 1.0" in running.metrics()
    found = stored(running.store, "SELECT Exposed FROM otel_traces WHERE SpanName = 'meshtrial.exposure'")
    assert found == [(None,)]


def test_a_body_of_10_mb_is_413_and_the_door_goes_on(running: RunningCollector) -> None:
    status, body, _ = running.request("POST", "/v1/outcomes", b"[" + b" " * 10_000_000 + b"]", BEARER)

    assert (status, json.loads(body)) == (413, {"error": "the body is larger than 4194304 bytes"})
    assert running.send_outcomes([])[0] == 200


def test_a_client_that_goes_away_within_its_body_harms_nobody(running: RunningCollector) -> None:
    host, _, port = running.http.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n")
        client.sendall(b"content-length: 1000\r\n\r\nhalf")

    assert running.send_spans(trace_request({})) == 200


def test_healthz_and_metrics_say_how_the_store_is(running: RunningCollector) -> None:
    running.send_spans(trace_request({}))

    assert running.health() == (
        200,
        {"status": "ok", "components": {"store": {"status": "ok", "reason": None}}},
    )
    metrics = running.metrics()
    assert 'meshtrial_collect_spans_total{door="http"}' in metrics
    assert "meshtrial_store_journal_bytes" in metrics
    assert "meshtrial_collect_append_seconds_count" in metrics


def test_with_an_otlp_token_spans_need_it_and_outcomes_may_come_as_spans(tmp_path: Path) -> None:
    request = trace_request(
        {"name": "meshtrial.outcome", "attributes": {"meshtrial.outcome.name": "purchase"}}
    )
    body = request.SerializeToString()

    with collector(tmp_path, otlp_token="otlp-token-for-tests") as running:
        assert running.request("POST", "/v1/traces", body, PROTOBUF)[0] == 401
        assert running.request("POST", "/v1/traces", body, {**PROTOBUF, **BEARER})[0] == 401
        token = {"authorization": "Bearer otlp-token-for-tests"}
        assert running.request("POST", "/v1/traces", body, {**PROTOBUF, **token})[0] == 200

        assert stored(tmp_path, "SELECT Outcome FROM otel_traces") == [("purchase",)]
