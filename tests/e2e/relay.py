"""A relay between sidecar and collector that loses what a test says: OTLP/HTTP in, OTLP/HTTP out."""

import gzip
import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

Losing = Callable[[Span], bool]


class _Relay(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "_Server"

    def do_POST(self) -> None:
        body = gzip.decompress(self.rfile.read(int(self.headers["content-length"])))
        connection = http.client.HTTPConnection(self.server.onward, timeout=20)
        try:
            connection.request(
                "POST", self.path, self._left(body), {"content-type": "application/x-protobuf"}
            )
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        self.send_response(response.status)
        self.send_header("content-type", response.headers["content-type"])
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _left(self, body: bytes) -> bytes:
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                kept = [span for span in scope.spans if not self.server.loses(span)]
                del scope.spans[:]
                scope.spans.extend(kept)
        return request.SerializeToString()

    def log_message(self, *_: object) -> None:
        """Say nothing: a test's output is the test's."""


class _Server(ThreadingHTTPServer):
    def __init__(self, onward: str, loses: Losing) -> None:
        super().__init__(("127.0.0.1", 0), _Relay)
        self.onward, self.loses = onward, loses


@contextmanager
def relay(onward: str, loses: Losing) -> Iterator[str]:
    """Pass on what comes, but for the spans that `loses` says; both ends are `http://HOST:PORT`."""
    server = _Server(onward.removeprefix("http://"), loses)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
