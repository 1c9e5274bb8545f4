"""The thread that empties a spool: order, retries, refusals, and what a stop does."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from meshtrial.errors import Refused
from meshtrial.record.delivery import Backoff, Delivery
from meshtrial.record.otlp_http import Sent
from meshtrial.record.span import Timing, span_record
from meshtrial.record.spool import Spool

QUICK = Backoff(first=0.01, most=0.02)


def record(name: str) -> bytes:
    return span_record(name, {}, "", name.encode().ljust(24, b"-"), Timing(1, 2))


class Receiver:
    """Takes what it is sent, as a test says."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.attempts = 0
        self.answer: Callable[[list[str]], bool] = lambda _: True
        self.rejected = 0

    def send(self, data: bytes) -> Sent:
        self.attempts += 1
        request = ExportTraceServiceRequest.FromString(data)
        names = [
            s.name for group in request.resource_spans for scope in group.scope_spans for s in scope.spans
        ]
        taken = self.answer(names)
        if taken:
            self.taken += names
        return Sent(again="" if taken else "not now", rejected=self.rejected)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not reached():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


def delivery(directory: Path, receiver: Receiver, limit: int = 10**6) -> Delivery:
    return Delivery(Spool(directory, limit), receiver.send, linger=0.02, backoff=QUICK)


def test_records_arrive_in_order_and_are_counted(tmp_path: Path, receiver: Receiver) -> None:
    sending = delivery(tmp_path, receiver)
    assert all(sending.offer(record(str(n))) for n in range(100))

    assert sending.close(5)
    assert receiver.taken == [str(n) for n in range(100)]
    counts = sending.counts()
    assert (counts.accepted, counts.delivered, counts.failed, counts.overflowed) == (100, 100, 0, 0)
    assert (counts.waiting_bytes, counts.failing, counts.lost) == (0, "", 0)


def test_records_that_come_together_go_together(tmp_path: Path, receiver: Receiver) -> None:
    sending = delivery(tmp_path, receiver)
    for n in range(50):
        sending.offer(record(str(n)))

    assert sending.close(5)
    assert receiver.attempts < 5


def test_an_absent_receiver_is_tried_until_it_is_there(tmp_path: Path, receiver: Receiver) -> None:
    receiver.answer = lambda _: receiver.attempts > 5
    sending = delivery(tmp_path, receiver)
    sending.offer(record("a"))

    until(lambda: sending.counts().failing == "not now")
    until(lambda: sending.counts().delivered == 1)
    assert not sending.counts().failing
    assert sending.close(5)
    assert receiver.taken == ["a"]


def test_what_is_refused_for_good_is_given_up_and_counted(tmp_path: Path, receiver: Receiver) -> None:
    def refuse_bad(names: list[str]) -> bool:
        if "bad" in names:
            raise Refused(400, "malformed")
        return True

    receiver.answer = refuse_bad
    sending = delivery(tmp_path, receiver)
    sending.offer(record("bad"))
    until(lambda: sending.counts().failed == 1)
    sending.offer(record("good"))

    assert sending.close(5)
    assert (receiver.taken, sending.counts().failed, sending.counts().delivered) == (["good"], 1, 1)


def test_spans_that_the_receiver_drops_are_counted(tmp_path: Path, receiver: Receiver) -> None:
    receiver.rejected = 2
    sending = delivery(tmp_path, receiver)
    sending.offer(record("a"))

    assert sending.close(5)
    assert (sending.counts().rejected, sending.counts().lost) == (2, 2)


def test_whatever_fails_the_thread_goes_on_and_tells_no_secret(
    tmp_path: Path, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: list[str]) -> bool:
        if receiver.attempts < 3:
            raise UnicodeEncodeError("latin-1", "Bearer SECRET", 0, 1, "no")
        return True

    receiver.answer = fail
    sending = delivery(tmp_path, receiver)
    sending.offer(record("a"))

    until(lambda: sending.counts().failing == "UnicodeEncodeError in the delivery")
    until(lambda: sending.counts().delivered == 1)
    assert sending.close(5)
    assert receiver.taken == ["a"]
    assert "SECRET" not in caplog.text


def test_a_damaged_place_of_the_spool_is_counted(tmp_path: Path, receiver: Receiver) -> None:
    (tmp_path / "00000001.otlp").write_bytes(b"\0" * (2 * 2**20))
    sending = delivery(tmp_path, receiver, limit=10**7)
    sending.offer(record("after"))

    assert sending.close(5)
    assert receiver.taken == ["after"]
    assert (sending.counts().failed, sending.counts().health()["status"]) == (1, "degraded")


def test_a_full_spool_refuses_at_once_and_counts(tmp_path: Path, receiver: Receiver) -> None:
    receiver.answer = lambda _: False
    sending = delivery(tmp_path, receiver, limit=2 * len(record("a")))

    assert [sending.offer(record("a")) for _ in range(5)] == [True, True, False, False, False]
    assert sending.counts().overflowed == 3
    sending.close(0)


def test_a_stop_waits_no_longer_than_it_is_told_and_leaves_the_rest_to_the_next_process(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.answer = lambda _: False
    sending = delivery(tmp_path, receiver)
    sending.offer(record("kept"))
    began = time.monotonic()

    assert not sending.close(0.3)
    assert time.monotonic() - began < 2
    receiver.answer = lambda _: True
    again = delivery(tmp_path, receiver)
    until(lambda: receiver.taken == ["kept"])
    assert again.close(5)


def test_a_slow_receiver_slows_nobody_down(tmp_path: Path, receiver: Receiver) -> None:
    gate = threading.Event()
    receiver.answer = lambda _: gate.wait(10)
    sending = delivery(tmp_path, receiver)
    sending.offer(record("first"))
    until(lambda: receiver.attempts == 1)
    began = time.monotonic()
    for n in range(200):
        sending.offer(record(str(n)))

    assert time.monotonic() - began < 1
    gate.set()
    assert sending.close(5)
    assert len(receiver.taken) == 201
