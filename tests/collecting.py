"""A real collector in a process of its own, and OTLP requests for it; shared by tests."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SECRET = b"a pseudonym key for tests only"
TOKEN = "outcomes-token-for-tests"
PROTOBUF = {"content-type": "application/x-protobuf"}
BEARER = {"authorization": f"Bearer {TOKEN}"}
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

# What the command does, with the settings that it has no flags for.
_PROGRAM = """
import json, sys
from pathlib import Path
import uvloop
from meshtrial import logs
from meshtrial.collect.service import CollectSettings, run
from meshtrial.errors import MeshtrialError
from meshtrial.listening import Address
from meshtrial.pseudonym import PseudonymKey
from meshtrial.store.writer import StoreSettings

given = json.loads(sys.argv[1])
otlp_token = given.get("otlp_token")
logs.configure()
try:
    uvloop.run(run(CollectSettings(
        store=Path(given["store"]),
        key=PseudonymKey.of(given["secret"].encode()),
        token=given["token"].encode(),
        otlp_token=otlp_token.encode() if otlp_token else None,
        otlp_grpc=Address.of(given["otlp_grpc"]),
        otlp_http=Address.of(given["otlp_http"]),
        forward=given.get("forward"),
        forward_token=given.get("forward_token"),
        storage=StoreSettings(**given["storage"]),
    )))
except MeshtrialError as error:
    sys.exit(str(error))
"""


class RunningCollector:
    """A collector that said it is ready."""

    def __init__(self, process: "subprocess.Popen[str]", ready: Mapping[str, str], store: Path) -> None:
        self.process, self.store = process, store
        self.grpc = ready["otlp_grpc"]
        self.http = ready["otlp_http"]

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(urlsplit(self.http).netloc, timeout=20)

    def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        """One request on a connection of its own: status, body, headers."""
        with contextlib.closing(self.connection()) as connection:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()}

    def send_spans(self, request: ExportTraceServiceRequest) -> int:
        return self.request("POST", "/v1/traces", request.SerializeToString(), PROTOBUF)[0]

    def send_outcomes(self, outcomes: object) -> tuple[int, Any]:
        status, body, _ = self.request("POST", "/v1/outcomes", json.dumps(outcomes).encode(), BEARER)
        return status, json.loads(body)

    def metrics(self) -> str:
        return self.request("GET", "/metrics")[1].decode()

    def health(self) -> tuple[int, Any]:
        status, body, _ = self.request("GET", "/healthz")
        return status, json.loads(body)


def spawn(store: Path, **settings: Any) -> "subprocess.Popen[str]":
    """Start a collector on free loopback ports; `settings` override what it is told."""
    given = {
        "store": str(store),
        "secret": SECRET.decode(),
        "token": TOKEN,
        "otlp_grpc": "127.0.0.1:0",
        "otlp_http": "127.0.0.1:0",
        "storage": {},
        **settings,
    }
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, json.dumps(given)], stderr=subprocess.PIPE, text=True
    )


@contextlib.contextmanager
def collector(store: Path, **settings: Any) -> Iterator[RunningCollector]:
    """A collector that is ready; killed at the end if it still runs."""
    with spawn(store, **settings) as process:
        try:
            assert process.stderr is not None
            lines = []
            for line in process.stderr:
                lines.append(line)
                if line.startswith("{") and json.loads(line)["event"] == "ready":
                    break
            else:
                raise AssertionError("".join(lines))
            yield RunningCollector(process, json.loads(line), store)
        finally:
            process.kill()


def trace_request(
    *spans: Mapping[str, Any], resource: Mapping[str, Any] | None = None
) -> ExportTraceServiceRequest:
    """A request with one resource and one scope; each span a dict of its fields, ids random if not given."""
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    fill(of_resource.resource.attributes, resource or {"service.name": "test"})
    of_scope = of_resource.scope_spans.add()
    for fields in spans:
        span = of_scope.spans.add()
        span.trace_id, span.span_id = os.urandom(16), os.urandom(8)
        span.name = "test"
        for name, value in fields.items():
            if name == "attributes":
                fill(span.attributes, value)
            else:
                setattr(span, name, value)
    return request


def logs_request(
    *records: Mapping[str, Any], resource: Mapping[str, Any] | None = None
) -> ExportLogsServiceRequest:
    """A request with one resource and one scope; each record a dict of its fields, its time 2027."""
    request = ExportLogsServiceRequest()
    of_resource = request.resource_logs.add()
    fill(of_resource.resource.attributes, resource or {"service.name": "test"})
    of_scope = of_resource.scope_logs.add()
    for fields in records:
        record = of_scope.log_records.add(time_unix_nano=1_800_000_000 * 10**9)
        for name, value in fields.items():
            if name == "attributes":
                fill(record.attributes, value)
            else:
                setattr(record, name, value)
    return request


def fill(attributes: Any, values: Mapping[str, Any]) -> None:
    """Add attributes; bool, int, float, bytes and str become OTLP's own types."""
    kinds = {
        bool: "bool_value",
        int: "int_value",
        float: "double_value",
        bytes: "bytes_value",
        str: "string_value",
    }
    for key, value in values.items():
        setattr(attributes.add(key=key).value, kinds[type(value)], value)


def ids(request: ExportTraceServiceRequest) -> set[tuple[str, str]]:
    """(TraceId, SpanId) of every span, as they are stored."""
    return {
        (span.trace_id.hex(), span.span_id.hex())
        for of_resource in request.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    }
