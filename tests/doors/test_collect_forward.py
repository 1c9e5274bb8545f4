"""What is stored is passed on to a second OTLP receiver: a second collector process."""

import gzip
import hashlib
import hmac
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pyarrow.parquet as pq
import pytest

from collecting import EXPORT, SECRET, RunningCollector, collector, ids, trace_request
from meshtrial.store.read import connect, open_snapshot


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen within {seconds} s"
        time.sleep(0.02)


def stored(running: RunningCollector) -> set[tuple[str, str]]:
    with connect(running.store) as database:
        return set(database.execute("SELECT TraceId, SpanId FROM otel_traces").fetchall())


def delivered(running: RunningCollector) -> bool:
    forward: dict[str, object] = running.health()[1]["components"]["forward"]
    return forward == {"status": "ok", "reason": None, "waiting_bytes": 0, "lost": 0}


@contextmanager
def receiver(status: int = 200, body: bytes = b"") -> Iterator[tuple[str, list[bytes]]]:
    """A receiver that keeps what it got (still compressed) and always answers with this."""
    got: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_spans_of_both_doors_reach_the_second_receiver(tmp_path: Path) -> None:
    by_http, by_grpc = trace_request({}, {}), trace_request({}, {})
    with (
        collector(tmp_path / "second") as second,
        collector(tmp_path / "first", forward=second.http) as first,
        grpc.insecure_channel(first.grpc) as channel,
    ):
        assert first.send_spans(by_http) == 200
        channel.unary_unary(EXPORT)(by_grpc.SerializeToString(), timeout=10)

        until(lambda: delivered(first))

        assert ids(by_http) | ids(by_grpc) == stored(first) == stored(second)


def test_a_receiver_that_is_down_gets_everything_when_it_is_up(tmp_path: Path) -> None:
    requests = [trace_request({}) for _ in range(50)]
    with collector(tmp_path / "second") as probe:
        address = probe.http.removeprefix("http://")
    with collector(tmp_path / "first", forward=f"http://{address}") as first:
        began = time.monotonic()
        for request in requests:
            assert first.send_spans(request) == 200
        assert time.monotonic() - began < 5, "the door waited for the receiver"
        until(lambda: first.health()[1]["components"]["forward"]["status"] == "degraded")
        assert first.health()[0] == 200

        with collector(tmp_path / "second", otlp_http=address) as second:
            until(lambda: delivered(first))

            assert set().union(*map(ids, requests)) == stored(second)


def test_what_waits_is_sent_before_it_stops(tmp_path: Path) -> None:
    request = trace_request({})
    with receiver() as (url, got), collector(tmp_path, forward=url) as first:
        first.send_spans(request)
        first.process.terminate()
        first.process.wait(20)

        assert len(got) == 1


def test_what_the_receiver_refuses_for_good_is_counted_and_logged(tmp_path: Path) -> None:
    with receiver(status=400) as (url, got), collector(tmp_path, forward=url) as first:
        first.send_spans(trace_request({}))

        until(lambda: first.health()[1]["components"]["forward"]["lost"] == 1)

        assert 'meshtrial_forward_requests_total{state="failed"} 1.0' in first.metrics()
        first.process.terminate()
        _, error = first.process.communicate(timeout=20)
        assert f"{url} answered 400" in error
        assert len(got) == 1


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [(401, b"", "answered 401"), (404, b"", "answered 404"), (200, b"<html>", "is no OTLP receiver")],
)
def test_what_a_person_can_mend_loses_nothing(tmp_path: Path, status: int, body: bytes, reason: str) -> None:
    with receiver(status, body) as (url, got):
        with collector(tmp_path, forward=url) as first:
            first.send_spans(trace_request({}))
            until(lambda: len(got) > 1)
            forward = first.health()[1]["components"]["forward"]
            assert (forward["status"], forward["lost"]) == ("degraded", 0)
            assert reason in forward["reason"]
            assert forward["waiting_bytes"] > 0
        with receiver() as (mended, arrived), collector(tmp_path, forward=mended) as again:
            until(lambda: len(arrived) == 1)
            until(lambda: delivered(again))


@pytest.mark.parametrize(
    ("token", "secret", "lost"),
    [
        (None, "another key of the second one", 1),
        (None, SECRET.decode(), 0),
        ("the second one's token", "another key of the second one", 0),
    ],
    ids=["neither", "key", "token"],
)
def test_outcomes_are_taken_by_a_second_collector_that_is_shown_its_token_or_its_key(
    tmp_path: Path, token: str | None, secret: str, lost: int
) -> None:
    outcome = {"id": "o", "unit": {"kind": "request", "value": "x"}, "name": "n", "time": 1}
    with (
        collector(tmp_path / "second", otlp_token=token, secret=secret) as second,
        collector(tmp_path / "first", forward=second.http, forward_token=token) as first,
    ):
        assert first.send_outcomes(outcome)[0] == 200
        until(lambda: first.health()[1]["components"]["forward"]["waiting_bytes"] == 0)
        forward = first.health()[1]["components"]["forward"]
        assert forward["lost"] == lost  # what the receiver drops is told


def test_a_collector_does_not_forward_to_itself(tmp_path: Path) -> None:
    with collector(tmp_path / "probe") as probe:
        address = probe.http.removeprefix("http://")
    refused = pytest.raises(AssertionError, match=f"--forward http://{address} is this collector itself")
    with refused, collector(tmp_path, otlp_http=address, forward=f"http://{address}"):
        pass


def test_a_clear_unit_is_in_no_file_of_the_store_and_in_nothing_that_is_forwarded(tmp_path: Path) -> None:
    clear = "ann.clear@example.com"
    span = {"feature_flag.context.id": clear, "meshtrial.unit.kind": "header:x-user-id"}
    without_kind = {"feature_flag.context.id": clear}
    outcome = {
        "id": "o-1",
        "unit": {"kind": "header:x-user-id", "value": clear},
        "name": "purchase",
        "time": 1,
    }
    pseudonym = hmac.new(SECRET, f"header:x-user-id\0{clear}".encode(), hashlib.sha256).hexdigest()[:32]
    with receiver() as (url, got), collector(tmp_path, forward=url) as first:
        assert first.send_spans(trace_request({"attributes": span}, {"attributes": without_kind})) == 200
        assert first.send_outcomes(outcome) == (200, {"accepted": 1, "refused": []})
        in_journal = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
        first.process.terminate()
        _, logged = first.process.communicate(timeout=20)

    rolled = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    forwarded = [gzip.decompress(body) for body in got]
    everything = [*in_journal, *rolled, *forwarded, logged.encode()]
    assert not any(clear.encode() in data for data in everything)
    assert pseudonym.encode() in b"".join(in_journal)
    assert b"".join(forwarded).count(pseudonym.encode()) == 2
    [table] = open_snapshot(tmp_path).segments
    rows = json.dumps(_rows(table))
    assert clear not in rows
    assert rows.count(pseudonym) == 2


def _rows(path: Path) -> list[dict[str, object]]:
    return [dict(row) for row in pq.read_table(path, columns=["SpanAttributes", "OutcomeId"]).to_pylist()]
