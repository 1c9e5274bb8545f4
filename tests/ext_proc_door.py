"""A session of the ext_proc door, with what it counts and records, and no transport."""

from typing import Any

from google.protobuf.json_format import MessageToDict
from prometheus_client import CollectorRegistry

from meshtrial.doors.counters import Counters
from meshtrial.doors.desk import Desk
from meshtrial.doors.ext_proc_pb2 import (
    HeaderMap,
    HeaderValue,
    HttpHeaders,
    ProcessingRequest,
    ProcessingResponse,
)
from meshtrial.doors.in_force import InForce
from meshtrial.doors.session import Session
from meshtrial.plan.load import load
from meshtrial.pseudonym import PseudonymKey
from meshtrial.record.outcome import Outcome
from meshtrial.record.recent import Recent
from meshtrial.record.span import Timing
from meshtrial.state.sticky import StickyMemory
from plan_texts import RANK

SECRET = b"sixteen bytes ok"
NOW = 1_790_000_000_000_000_000
FILTER = "envoy.filters.http.ext_proc"


class Recorded(list[dict[str, Any]]):
    """Keeps exposures and outcomes instead of sending them."""

    def __init__(self) -> None:
        super().__init__()
        self.outcomes: list[Outcome] = []
        self.full = False

    def record(self, attributes: dict[str, Any], traceparent: str, timing: Timing) -> bool:
        if not self.full:
            self.append({**attributes, "traceparent": traceparent, "start": timing.start, "end": timing.end})
        return not self.full

    def outcome(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


class Door:
    """Sessions of one process."""

    def __init__(self, plan: str = RANK, late_after_ms: int = 25) -> None:
        self.registry = CollectorRegistry()
        self.recorded = Recorded()
        self.now = NOW
        self.in_force = InForce.of(load(plan, "plan.yaml"))
        self.desk = Desk(
            in_force=lambda: self.in_force,
            key=PseudonymKey.of(SECRET),
            recorder=self.recorded,
            counters=Counters(self.registry),
            late_after=late_after_ms * 10**6,
            now=lambda: self.now,
            chance=lambda size: b"\x07" * size,
            sticky=StickyMemory(),
            recent=Recent(),
        )

    def session(self) -> Session:
        return Session(self.desk, "00-tp")

    def receive(self, message: bytes) -> ProcessingResponse:
        return ProcessingResponse.FromString(self.session().receive(message))

    def messages(self, result: str) -> float:
        return self.registry.get_sample_value("meshtrial_messages_total", {"result": result}) or 0.0


def message(path: str, *headers: tuple[str, bytes], time: str = "", route: str = "") -> bytes:
    """Request headers."""
    request = ProcessingRequest(request_headers=_headers((":path", path.encode()), *headers))
    if time:
        request.attributes[FILTER].update({"request.time": time})
    if route:
        request.attributes[FILTER].update({"xds.route_name": route})
    return request.SerializeToString()


def response(*headers: tuple[str, bytes]) -> bytes:
    """Response headers."""
    return ProcessingRequest(response_headers=_headers(*headers)).SerializeToString()


def _headers(*pairs: tuple[str, bytes]) -> HttpHeaders:
    values = [HeaderValue(key=key, raw_value=value) for key, value in pairs]
    return HttpHeaders(headers=HeaderMap(headers=values))


def metadata(answer: ProcessingResponse) -> dict[str, Any]:
    """What the answer writes into the namespace `meshtrial`."""
    written: dict[str, dict[str, Any]] = MessageToDict(answer.dynamic_metadata)
    return written["meshtrial"]


def headers_set(answer: ProcessingResponse) -> dict[str, str]:
    """What the answer sets on the request."""
    options = answer.request_headers.response.header_mutation.set_headers
    return {option.header.key: option.header.raw_value.decode() for option in options}
