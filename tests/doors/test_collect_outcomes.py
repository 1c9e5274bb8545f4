"""Every way to report an outcome ends as the same row, and evaluations of flags are stored beside them."""

import gzip
import hashlib
import hmac
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub

from collecting import (
    BEARER,
    PROTOBUF,
    SECRET,
    TOKEN,
    RunningCollector,
    collector,
    logs_request,
    trace_request,
)
from meshtrial.pseudonym import PseudonymKey
from meshtrial.record.outcome import Outcome, outcome_record
from meshtrial.record.outcome_header import read_outcomes
from meshtrial.store.read import connect

JSON = {"content-type": "application/json"}
KIND = "cookie:sid"
WHEN = 1_772_366_400
NS = WHEN * 10**9
ATTRIBUTES = {
    "meshtrial.outcome.name": "purchase",
    "meshtrial.outcome.id": "order-17",
    "meshtrial.outcome.values.amount": 12.5,
    "meshtrial.outcome.values.items": 3,
    "meshtrial.unit.kind": KIND,
    "feature_flag.context.id": "ann@example.com",
}
IMPORT = [
    *("--unit-column", "user", "--unit-kind", KIND, "--name", "purchase", "--time-column", "at"),
    *("--id-column", "order", "--value", "amount=total", "--value", "items=items"),
]


def hmac_of(*parts: bytes) -> str:
    return hmac.new(SECRET, b"\0".join(parts), hashlib.sha256).hexdigest()


def attributes_as_json() -> list[dict[str, Any]]:
    kinds: dict[type, Callable[[Any], dict[str, Any]]] = {
        str: lambda value: {"stringValue": value},
        float: lambda value: {"doubleValue": value},
        int: lambda value: {"intValue": str(value)},
    }
    return [{"key": key, "value": kinds[type(value)](value)} for key, value in ATTRIBUTES.items()]


KNOWN = "those that were known count once"


def imported(running: RunningCollector, file: Path, *flags: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "meshtrial", "outcome", "import", str(file)]
    return subprocess.run(
        [*command, "--collector", running.http, *flags],
        env={**os.environ, "MESHTRIAL_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def posted(running: RunningCollector, path: str, body: bytes, headers: dict[str, str]) -> None:
    status, answer, _ = running.request("POST", path, body, headers)
    assert (status, answer) in {(200, b""), (200, b"{}")}


def by_http(running: RunningCollector, _: Path) -> None:
    unit = {"kind": KIND, "value": "ann@example.com"}
    values = {"amount": 12.5, "items": 3}
    outcome = {"id": "order-17", "unit": unit, "name": "purchase", "time": WHEN, "values": values}
    assert running.send_outcomes(outcome) == (200, {"accepted": 1, "refused": []})


def by_response_header(running: RunningCollector, _: Path) -> None:
    """What a sidecar records of a model's header; it has the key and no token."""
    key = PseudonymKey.of(SECRET)
    outcomes = read_outcomes([b"purchase;amount=12.5;items=3"])
    assert isinstance(outcomes, tuple)
    unit = key.pseudonym(KIND, b"ann@example.com")
    outcome = Outcome("order-17", outcomes[0].name, unit, KIND, NS, outcomes[0].values)
    posted(running, "/v1/traces", outcome_record(outcome, key), PROTOBUF)


def by_span(running: RunningCollector, _: Path) -> None:
    span = {"name": "meshtrial.outcome", "kind": 1, "attributes": ATTRIBUTES}
    request = trace_request({**span, "start_time_unix_nano": NS, "end_time_unix_nano": NS})
    posted(running, "/v1/traces", request.SerializeToString(), {**PROTOBUF, **BEARER})


def by_span_in_json(running: RunningCollector, _: Path) -> None:
    span = {
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "eee19b7ec3c1b174",
        "name": "meshtrial.outcome",
        "kind": 1,
        "startTimeUnixNano": str(NS),
        "endTimeUnixNano": str(NS),
        "attributes": attributes_as_json(),
    }
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
    posted(running, "/v1/traces", gzip.compress(body), {**JSON, **BEARER, "content-encoding": "gzip"})


def by_log(running: RunningCollector, _: Path) -> None:
    event = {"event_name": "meshtrial.outcome", "time_unix_nano": NS, "attributes": ATTRIBUTES}
    posted(running, "/v1/logs", logs_request(event).SerializeToString(), {**PROTOBUF, **BEARER})


def by_log_in_json(running: RunningCollector, _: Path) -> None:
    record = {
        "timeUnixNano": str(NS),
        "attributes": [
            *attributes_as_json(),
            {"key": "event.name", "value": {"stringValue": "meshtrial.outcome"}},
        ],
    }
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()
    posted(running, "/v1/logs", body, {**JSON, **BEARER})


def by_log_over_grpc(running: RunningCollector, _: Path) -> None:
    event = {"event_name": "meshtrial.outcome", "time_unix_nano": NS, "attributes": ATTRIBUTES}
    with grpc.insecure_channel(running.grpc) as channel:
        stub = LogsServiceStub(channel)  # type: ignore[no-untyped-call]  # generated without types
        metadata = [("authorization", f"Bearer {TOKEN}")]
        answer = stub.Export(logs_request(event), timeout=10, metadata=metadata)
    assert answer == ExportLogsServiceResponse()


def by_csv(running: RunningCollector, folder: Path) -> None:
    file = folder / "orders.csv"
    file.write_text("order,user,at,total,items\norder-17,ann@example.com,2026-03-01 13:00:00,12.50,3\n")
    done = imported(running, file, *IMPORT, "--timezone", "Europe/Paris")
    assert (done.returncode, done.stdout) == (0, f"1 rows: 1 acknowledged, 0 refused; {KNOWN}\n")


def by_json_lines(running: RunningCollector, folder: Path) -> None:
    file = folder / "orders.jsonl"
    row = {"order": "order-17", "user": "ann@example.com", "at": WHEN * 1000, "total": "12.5", "items": 3}
    file.write_text(json.dumps(row))
    assert imported(running, file, *IMPORT).returncode == 0


def by_parquet(running: RunningCollector, folder: Path) -> None:
    columns = {
        "order": ["order-17"],
        "user": ["ann@example.com"],
        "at": pa.array([NS], pa.timestamp("ns", "UTC")),
        "total": [12.5],
        "items": [3],
    }
    pq.write_table(pa.table(columns), folder / "orders.parquet")
    assert imported(running, folder / "orders.parquet", *IMPORT).returncode == 0


WAYS = [
    by_http, by_response_header, by_span, by_span_in_json, by_log, by_log_in_json, by_log_over_grpc,
    by_csv, by_json_lines, by_parquet,
]  # fmt: skip


def rows(store: Path, columns: str, where: str = "true") -> list[tuple[Any, ...]]:
    with connect(store) as database:
        return database.execute(f"SELECT {columns} FROM otel_traces WHERE {where}").fetchall()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCollector]:
    with collector(tmp_path_factory.mktemp("store")) as one:
        yield one


@pytest.mark.parametrize("report", WAYS, ids=lambda report: report.__name__)
def test_however_an_outcome_is_reported_its_row_is_the_same(
    tmp_path: Path, report: Callable[[RunningCollector, Path], None]
) -> None:
    with collector(tmp_path / "store") as running:
        report(running, tmp_path)

    ids = hmac_of(b"\xffoutcome", b"order-17")
    pseudonym = hmac_of(KIND.encode(), b"ann@example.com")
    columns = (
        "epoch_ns(Timestamp), TraceId, SpanId, ParentSpanId, SpanName, SpanKind, Duration, Outcome, "
        "OutcomeId, OutcomeValues, Unit, UnitKind, KeyId, Experiment, Arm, Phase, Exposed, "
        "SpanAttributes['feature_flag.context.id']"
    )
    assert rows(tmp_path / "store", columns) == [
        (
            *(NS, ids[:32], ids[32:48], "", "meshtrial.outcome", "Internal", 0, "purchase", "order-17"),
            {"amount": 12.5, "items": 3.0},
            *(int(pseudonym[:16], 16), KIND, PseudonymKey.of(SECRET).id, None, None, None, None),
            pseudonym[:32],
        )
    ]


def test_an_outcome_reported_in_every_way_counts_once(running: RunningCollector, tmp_path: Path) -> None:
    for report in WAYS:
        report(running, tmp_path)

    assert rows(running.store, "count(*)", "OutcomeId = 'order-17'") == [(1,)]


def test_without_a_token_an_outcome_event_is_dropped_as_a_span_is(running: RunningCollector) -> None:
    attributes = {**ATTRIBUTES, "meshtrial.outcome.id": "forged"}
    body = logs_request({"event_name": "meshtrial.outcome", "attributes": attributes}).SerializeToString()

    for headers in ({}, {"authorization": "Bearer wrong"}):
        status, answer, _ = running.request("POST", "/v1/logs", body, {**PROTOBUF, **headers})
        assert status == 200
        assert ExportLogsServiceResponse.FromString(answer).partial_success.rejected_log_records == 1

    assert rows(running.store, "*", "OutcomeId = 'forged'") == []


def test_an_evaluation_of_a_flag_is_stored_and_other_records_are_counted(running: RunningCollector) -> None:
    record = {
        "timeUnixNano": str(NS),
        "eventName": "feature_flag.evaluation",
        "attributes": [
            {"key": "feature_flag.key", "value": {"stringValue": "another-sdk"}},
            {"key": "feature_flag.variant", "value": {"stringValue": "blue"}},
            {"key": "feature_flag.context.id", "value": {"stringValue": "bob@example.com"}},
        ],
    }
    kind = {"key": "meshtrial.unit.kind", "value": {"stringValue": "header:x-user-id"}}
    of_resource = {
        "resource": {"attributes": [kind]},
        "scopeLogs": [{"logRecords": [record, {"body": {"stringValue": "x"}}]}],
    }
    body = json.dumps({"resourceLogs": [of_resource]}).encode()

    for _ in range(2):  # a retry is the same row
        status, answer, headers = running.request("POST", "/v1/logs", body, JSON)
        assert (status, headers["content-type"]) == (200, "application/json")
        assert json.loads(answer)["partialSuccess"]["rejectedLogRecords"] == "1"

    pseudonym = hmac_of(b"header:x-user-id", b"bob@example.com")
    found = rows(running.store, "SpanName, Arm, Unit, Phase, Exposed", "Experiment = 'another-sdk'")
    assert found == [("meshtrial.exposure", "blue", int(pseudonym[:16], 16), None, None)]
    assert 'collect_log_records_dropped_total{door="http",reason="not_ours"} 2.0' in running.metrics()
    assert b"bob@example.com" not in b"".join(path.read_bytes() for path in running.store.rglob("*.j*"))


def test_what_is_no_otlp_in_json_is_refused_in_json(running: RunningCollector) -> None:
    status, answer, headers = running.request("POST", "/v1/traces", b'{"resourceSpans": 5}', JSON)

    assert (status, headers["content-type"]) == (400, "application/json")
    assert json.loads(answer)["message"].startswith("the body is no ExportTraceServiceRequest in JSON: ")
    assert running.request("POST", "/v1/traces", b"{}", JSON)[:2] == (200, b"{}")


def test_with_an_otlp_token_logs_need_it(tmp_path: Path) -> None:
    event = {"event_name": "meshtrial.outcome", "time_unix_nano": NS, "attributes": ATTRIBUTES}
    body = logs_request(event).SerializeToString()

    with collector(tmp_path, otlp_token="otlp-token-for-tests") as running:
        assert running.request("POST", "/v1/logs", body, PROTOBUF)[0] == 401
        assert running.request("POST", "/v1/logs", body, {**PROTOBUF, **BEARER})[0] == 401
        with grpc.insecure_channel(running.grpc) as channel, pytest.raises(grpc.RpcError) as refused:
            LogsServiceStub(channel).Export(logs_request(event), timeout=10)  # type: ignore[no-untyped-call]  # generated without types
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        token = {"authorization": "Bearer otlp-token-for-tests"}
        assert running.request("POST", "/v1/logs", body, {**PROTOBUF, **token})[0] == 200

    assert rows(tmp_path, "Outcome") == [("purchase",)]


def test_a_second_import_adds_nothing_and_equal_rows_both_count(
    running: RunningCollector, tmp_path: Path
) -> None:
    file = tmp_path / "visits.csv"
    file.write_text("user,at\n" + "ann,2026-03-01T12:00:00Z\n" * 2 + "bob,2026-03-01T12:00:00Z\n")
    flags = ["--unit-column", "user", "--unit-kind", "request", "--name", "visit", "--time-column", "at"]

    first, second = (imported(running, file, *flags, "--json") for _ in range(2))

    for done in (first, second):
        assert done.returncode == 0
        assert json.loads(done.stdout) == {"rows": 3, "acknowledged": 3, "refused": 0, "note": KNOWN}
    found = rows(running.store, "Unit, count(*)", "Outcome = 'visit' GROUP BY Unit")
    units = {name: int(hmac_of(b"request", name)[:16], 16) for name in (b"ann", b"bob")}
    assert dict(found) == {units[b"ann"]: 2, units[b"bob"]: 1}


def test_rows_that_are_no_outcomes_are_named_and_the_rest_is_imported(
    running: RunningCollector, tmp_path: Path
) -> None:
    file = tmp_path / "clicks.csv"
    file.write_text("user,at,event\nann,1772366400,click\n,1772366400,click\nbob,1772366400,Click\n")
    flags = [
        "--unit-column",
        "user",
        "--unit-kind",
        "request",
        "--name-column",
        "event",
        "--time-column",
        "at",
    ]

    done = imported(running, file, *flags, "--name-column", "event")

    assert (done.returncode, done.stdout) == (2, f"3 rows: 1 acknowledged, 2 refused; {KNOWN}\n")
    rule = "a name begins with a lower-case letter; letters, digits, `_`, `.`, `-` follow, 64 in all"
    assert done.stderr.splitlines() == [f"{file}:3: `user` is empty", f"{file}:4: name: {rule}"]
    assert rows(running.store, "count(*)", "Outcome = 'click'") == [(1,)]


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (["--value", "amount"], "--value must be FIELD=COLUMN, such as amount=total, not amount"),
        (["--timezone", "Mars"], "--timezone Mars is no time zone; write it such as Europe/Paris or UTC"),
        (["--id-column", "order"], "has no column `order`; its columns: user, at"),
    ],
)
def test_a_mistake_at_the_command_line_is_one_error(
    running: RunningCollector, tmp_path: Path, flags: list[str], error: str
) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("user,at\n")
    given = ["--unit-column", "user", "--unit-kind", "request", "--name", "visit", "--time-column", "at"]

    done = imported(running, file, *given, *flags)

    assert done.returncode == 2
    assert error in done.stderr
    assert len(done.stderr.splitlines()) == 1
