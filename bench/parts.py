"""Where one request's time goes in the sidecar's own code: each part alone, in this process."""

import gc
import os
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from baseline import Baseline
from prometheus_client import CollectorRegistry

from meshtrial.assign.decide import decide
from meshtrial.doors.counters import Counters
from meshtrial.doors.desk import Desk
from meshtrial.doors.ext_proc_pb2 import HeaderMap, HeaderValue, HttpHeaders, ProcessingRequest
from meshtrial.doors.in_force import InForce
from meshtrial.doors.reading import read_request
from meshtrial.doors.session import Session
from meshtrial.names import EXT_PROC_FILTER, REQUEST_TIME, Plane, SpanName
from meshtrial.plan.model import Plan
from meshtrial.pseudonym import PseudonymKey
from meshtrial.record.delivery import Delivery
from meshtrial.record.exposure import exposure_attributes
from meshtrial.record.otlp_http import Sent
from meshtrial.record.recent import Recent
from meshtrial.record.recorder import SpoolRecorder
from meshtrial.record.span import Timing, span_record
from meshtrial.record.spool import Spool
from meshtrial.state.sticky import StickyMemory

_CALLS = 4000
_REPEATS = 5
_PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def parts_us(plan: Plan, directory: Path) -> dict[str, float]:
    """Microseconds of each part, the best of five times 4,000 calls; the spool is written in `directory`."""
    secret = secrets.token_bytes(32)
    key = PseudonymKey.of(secret)
    in_force = InForce.of(plan)
    answers = in_force.answers
    counters = Counters(CollectorRegistry())
    messages = [_message(number) for number in range(_CALLS)]
    parsed = [ProcessingRequest.FromString(message) for message in messages]
    requests = [read_request(message, in_force.needs)[0] for message in parsed]
    decisions = [decide(request, plan) for request in requests]
    pseudonyms = [key.pseudonym("header:x-user-id", str(number).encode()) for number in range(_CALLS)]
    exposures = [
        exposure_attributes(decision[0], pseudonym, plan, Plane.EXT_PROC, key)
        for decision, pseudonym in zip(decisions, pseudonyms, strict=True)
    ]
    timing = Timing(time.time_ns(), time.time_ns())
    plain = Baseline(plan, secret)
    delivery = Delivery(Spool(directory / "spool"), lambda _: Sent())
    try:
        desk = Desk(
            in_force=lambda: in_force,
            key=key,
            recorder=SpoolRecorder(delivery, key),
            counters=counters,
            late_after=0,
            now=time.time_ns,
            chance=os.urandom,
            sticky=StickyMemory(),
            recent=Recent(),
        )
        return {
            "message to protobuf": _best(lambda i: ProcessingRequest.FromString(messages[i])),
            "protobuf to request": _best(lambda i: read_request(parsed[i], in_force.needs)),
            "request to decision": _best(lambda i: decide(requests[i], plan)),
            "pseudonym of the unit": _best(lambda i: key.pseudonym("header:x-user-id", messages[i][:8])),
            "decision to answer's bytes": _best(
                lambda i: answers.answer(decisions[i], [pseudonyms[i]], key.id)
            ),
            "counters": _best(lambda i: counters.decided(decisions[i], 1000)),
            "exposure's attributes": _best(
                lambda i: exposure_attributes(decisions[i][0], pseudonyms[i], plan, Plane.EXT_PROC, key)
            ),
            "exposure's span to bytes": _best(
                lambda i: span_record(SpanName.EXPOSURE, exposures[i], _PARENT, os.urandom(24), timing)
            ),
            "all of it, with the spool": _best(lambda i: Session(desk, _PARENT).receive(messages[i])),
            "the baseline's, message to bytes": _best(
                lambda i: plain.answer(ProcessingRequest.FromString(messages[i])).SerializeToString()
            ),
        }
    finally:
        delivery.close(5)


def _message(number: int) -> bytes:
    """What Envoy sends for one request."""
    pairs = {":path": b"/recommend?item=7", "x-user-id": f"user-{number}".encode()}
    headers = [HeaderValue(key=name, raw_value=value) for name, value in pairs.items()]
    request = ProcessingRequest(request_headers=HttpHeaders(headers=HeaderMap(headers=headers)))
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    request.attributes[EXT_PROC_FILTER].update({REQUEST_TIME: now.replace("+00:00", "Z")})
    return request.SerializeToString()


def _best(call: Callable[[int], object]) -> float:
    found = []
    for _ in range(_REPEATS):
        gc.collect()
        start = time.perf_counter()
        for number in range(_CALLS):
            call(number)
        found.append((time.perf_counter() - start) / _CALLS * 1e6)
    return min(found)
