"""OTLP/gRPC against a real collector process."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from collecting import EXPORT, PROTOBUF, RunningCollector, collector, ids, logs_request, trace_request
from meshtrial.errors import NoData
from meshtrial.store.read import connect


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCollector]:
    with collector(tmp_path_factory.mktemp("store")) as one:
        yield one


@pytest.fixture
def channel(running: RunningCollector) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(running.grpc) as channel:
        yield channel


def stored(store: Path) -> set[tuple[str, str]]:
    with connect(store) as database:
        return set(database.execute("SELECT TraceId, SpanId FROM otel_traces").fetchall())


def refusal(channel: grpc.Channel, payload: bytes, token: str | None = None) -> tuple[grpc.StatusCode, str]:
    metadata = [("authorization", f"Bearer {token}")] if token else []
    with pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(EXPORT)(payload, timeout=10, metadata=metadata)
    return refused.value.code(), refused.value.details()


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_the_generated_client_of_otlp_is_served(
    running: RunningCollector, channel: grpc.Channel, compression: grpc.Compression
) -> None:
    request = trace_request({}, {}, {})

    stub = TraceServiceStub(channel)  # type: ignore[no-untyped-call]  # generated without types
    answer = stub.Export(request, timeout=10, compression=compression)

    assert not answer.HasField("partial_success")
    assert ids(request) <= stored(running.store)


def test_a_truncated_request_is_an_invalid_argument_and_the_door_goes_on(
    running: RunningCollector, channel: grpc.Channel
) -> None:
    payload = trace_request({}).SerializeToString()

    assert refusal(channel, payload[:-1]) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "the body is no ExportTraceServiceRequest, or only a part of one",
    )

    channel.unary_unary(EXPORT)(payload, timeout=10)
    assert ids(ExportTraceServiceRequest.FromString(payload)) <= stored(running.store)


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_a_request_over_16_mib_is_refused_also_when_it_was_small_on_the_wire(
    channel: grpc.Channel, compression: grpc.Compression
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(EXPORT)(b"\0" * (16 * 2**20 + 1), timeout=20, compression=compression)

    assert grpc.StatusCode.RESOURCE_EXHAUSTED is refused.value.code()
    channel.unary_unary(EXPORT)(trace_request({}).SerializeToString(), timeout=10)


def test_a_request_of_too_many_spans_is_refused_and_not_to_be_sent_again(channel: grpc.Channel) -> None:
    code, why = refusal(channel, b"\x0a\x00" * 100_001)

    assert grpc.StatusCode.RESOURCE_EXHAUSTED is code
    assert why == "more than 100000 spans and groups of spans in one request"


def test_what_is_dropped_is_said_in_the_answer(channel: grpc.Channel) -> None:
    request = trace_request({"span_id": b"short"}, {})

    answer = ExportTraceServiceResponse.FromString(
        channel.unary_unary(EXPORT)(request.SerializeToString(), timeout=10)
    )

    assert answer.partial_success.rejected_spans == 1


def test_with_an_otlp_token_a_client_must_show_it(tmp_path: Path) -> None:
    request = trace_request({})
    payload = request.SerializeToString()

    with (
        collector(tmp_path, otlp_token="otlp-token-for-tests") as running,
        grpc.insecure_channel(running.grpc) as channel,
    ):
        assert grpc.StatusCode.UNAUTHENTICATED is refusal(channel, payload)[0]
        assert refusal(channel, payload, "wrong") == (grpc.StatusCode.UNAUTHENTICATED, "the token is wrong")
        channel.unary_unary(EXPORT)(
            payload, timeout=10, metadata=[("authorization", "Bearer otlp-token-for-tests")]
        )
        assert 'requests_refused_total{door="grpc",status="401"} 2.0' in running.metrics()
        assert ids(request) == stored(tmp_path)


def requests() -> ExportLogsServiceRequest:
    """What Envoy says of a request in two experiments, and of one that failed open."""
    decided = '{"plan": "d", "experiments": {"a": {"arm": "v1"}, "b": {"arm": "v2"}}}'
    said = {"event.name": "meshtrial.request", "http.response.status_code": "200"}
    return logs_request(
        {"attributes": {**said, "meshtrial.metadata": decided, "meshtrial.failed_open": "0"}},
        {"attributes": {**said, "meshtrial.metadata": "-", "meshtrial.failed_open": "1"}},
    )


def test_the_proxys_requests_are_taken_without_a_token_where_exposures_are_and_once_each(
    tmp_path: Path,
) -> None:
    with collector(tmp_path) as running, grpc.insecure_channel(running.grpc) as channel:
        stub = LogsServiceStub(channel)  # type: ignore[no-untyped-call]  # generated without types
        for _ in range(2):
            assert not stub.Export(requests(), timeout=10).HasField("partial_success")

    with connect(tmp_path) as database:
        query = "SELECT Experiment, Arm, Status, FailedOpen FROM otel_traces ORDER BY Experiment NULLS LAST"
        assert database.execute(query).fetchall() == [
            ("a", "v1", 200, False),
            ("b", "v2", 200, False),
            (None, None, 200, True),
        ]


def test_who_lacks_the_otlp_token_can_forge_no_request(tmp_path: Path) -> None:
    with (
        collector(tmp_path, otlp_token="otlp-token-for-tests") as running,
        grpc.insecure_channel(running.grpc) as channel,
    ):
        stub = LogsServiceStub(channel)  # type: ignore[no-untyped-call]  # generated without types
        with pytest.raises(grpc.RpcError) as refused:
            stub.Export(requests(), timeout=10)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        status, _, _ = running.request("POST", "/v1/logs", requests().SerializeToString(), PROTOBUF)
        assert status == 401
        with pytest.raises(NoData):
            connect(tmp_path)
