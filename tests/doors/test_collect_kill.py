"""kill -9 at any moment loses nothing that was acknowledged."""

import http.client
import json
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collecting import BEARER, EXPORT, PROTOBUF, RunningCollector, collector, ids, trace_request
from meshtrial.store.layout import Layout
from meshtrial.store.read import connect
from proof import often

KILLS = often(10, 100)
SPANS_A_REQUEST = 5


class Writers:
    """Threads that send until the collector is gone, and remember what was acknowledged to them.

    What was sent and not acknowledged is sent again to the next collector, as an exporter would.
    """

    def __init__(self) -> None:
        self.spans: set[tuple[str, str]] = set()
        self.outcomes: set[str] = set()
        self.sent_again = 0
        self._pending: dict[str, bytes] = {}
        self._numbers = count()

    def against(self, running: RunningCollector) -> list[threading.Thread]:
        sends = [self.by_grpc, self.by_grpc, self.by_http, self.outcomes_by_http]
        threads = [
            threading.Thread(target=send, args=(running, f"{send.__name__}-{n}"))
            for n, send in enumerate(sends)
        ]
        for thread in threads:
            thread.start()
        return threads

    def by_grpc(self, running: RunningCollector, name: str) -> None:
        with grpc.insecure_channel(running.grpc) as channel:
            export = channel.unary_unary(EXPORT)

            def send(body: bytes) -> bool:
                export(body, timeout=10)
                return True

            self._send_spans(name, send, grpc.RpcError)

    def by_http(self, running: RunningCollector, name: str) -> None:
        connection = running.connection()

        def send(body: bytes) -> bool:
            connection.request("POST", "/v1/traces", body, PROTOBUF)
            answer = connection.getresponse()
            answer.read()
            return answer.status == 200

        self._send_spans(name, send, OSError, http.client.HTTPException)
        connection.close()

    def _send_spans(self, name: str, send: Callable[[bytes], bool], *gone: type[Exception]) -> None:
        try:
            while True:
                again = name in self._pending
                body = self._pending.get(name) or trace_request(*[{}] * SPANS_A_REQUEST).SerializeToString()
                self._pending[name] = body
                self.sent_again += again
                assert send(body)
                self.spans |= ids(ExportTraceServiceRequest.FromString(body))
                del self._pending[name]
        except gone:
            pass

    def outcomes_by_http(self, running: RunningCollector, name: str) -> None:
        connection = running.connection()
        try:
            while True:
                body = (
                    self._pending.get(name)
                    or json.dumps(
                        [
                            {
                                "id": f"o-{next(self._numbers)}",
                                "unit": {"kind": "request", "value": "x"},
                                "name": "n",
                                "time": 1,
                            }
                            for _ in range(SPANS_A_REQUEST)
                        ]
                    ).encode()
                )
                self._pending[name] = body
                connection.request("POST", "/v1/outcomes", body, BEARER)
                answer = connection.getresponse()
                if json.loads(answer.read())["accepted"] == SPANS_A_REQUEST:
                    self.outcomes |= {item["id"] for item in json.loads(body)}
                    del self._pending[name]
        except (OSError, http.client.HTTPException):
            connection.close()


def test_kills_under_load_lose_nothing_acknowledged_and_count_nothing_twice(tmp_path: Path) -> None:
    writers = Writers()
    for kill in range(KILLS):
        with collector(tmp_path, storage={"roll_bytes": 30_000}) as running:
            before = len(Layout(tmp_path).segments())
            threads = writers.against(running)
            deadline = time.monotonic() + 10
            while len(Layout(tmp_path).segments()) < before + 2 and time.monotonic() < deadline:
                time.sleep(0.003 + 0.001 * (kill % 10))
            running.process.kill()
            for thread in threads:
                thread.join()

    with connect(tmp_path) as database:
        rows = database.execute("SELECT TraceId, SpanId, OutcomeId FROM otel_traces").fetchall()
    spans = [(trace, span) for trace, span, outcome in rows if outcome is None]
    outcomes = [outcome for _, _, outcome in rows if outcome is not None]
    assert len(spans) == len(set(spans))
    assert len(outcomes) == len(set(outcomes))
    assert writers.spans <= set(spans)
    assert writers.outcomes <= set(outcomes)
    # the test was one: there was load, there were repetitions, and journals were rolled meanwhile
    assert len(writers.spans) > 1_000
    assert len(writers.outcomes) > 100
    assert writers.sent_again > 0
    assert len(Layout(tmp_path).segments()) >= 2 * KILLS
