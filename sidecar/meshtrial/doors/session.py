"""What one ext_proc stream means: a message in, an answer out; knows no transport.

| message | answer | counted as |
|---|---|---|
| request headers, matched | the decision | assigned |
| request headers, no experiment matches | unchanged | unmatched |
| request headers, too old to answer in time | unchanged | late |
| any other phase | that phase, unchanged | other_phase |
| anything that cannot be read | request headers, unchanged | malformed |

"Unchanged" leaves the request on the proxy's default route, control.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from google.protobuf.message import DecodeError

from meshtrial.assign.decide import Decision, decide
from meshtrial.assign.request import Request
from meshtrial.assign.unit import NoUnit
from meshtrial.doors.answers import UNCHANGED
from meshtrial.doors.counters import Counters, Result
from meshtrial.doors.ext_proc_pb2 import ProcessingRequest, ProcessingResponse
from meshtrial.doors.in_force import InForce
from meshtrial.doors.reading import read_request
from meshtrial.logs import EventLog
from meshtrial.names import Plane
from meshtrial.pseudonym import PseudonymKey
from meshtrial.record.exposure import Attributes, exposure_attributes
from meshtrial.record.span import Timing

_LOG = EventLog("ext_proc")


def _unchanged(phase: str) -> bytes:
    answer = ProcessingResponse()
    getattr(answer, phase).SetInParent()
    return answer.SerializeToString()


_OTHER_PHASES = {
    phase: _unchanged(phase)
    for phase in (
        "response_headers",
        "request_body",
        "response_body",
        "request_trailers",
        "response_trailers",
    )
}


class Recorder(Protocol):
    """Where exposures go."""

    def record(self, attributes: Attributes, traceparent: str, timing: Timing) -> None:
        """Keep one exposure; it is answered on only after that."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What every session of one process works with."""

    in_force: Callable[[], InForce]
    """What a session that begins now decides with."""
    key: PseudonymKey
    recorder: Recorder
    counters: Counters
    late_after: int
    """Nanoseconds after which a request is not decided any more, 0 for never.

    A sidecar that wakes after a hang finds requests that the proxy has long sent to control. An
    answer that might come too late decides nothing, so nothing false is recorded.
    """
    now: Callable[[], int]
    """Nanoseconds since 1970."""


class Session:
    """One stream, which is one HTTP request."""

    def __init__(self, desk: Desk, traceparent: str) -> None:
        self._desk = desk
        self._in_force = desk.in_force()  # once: a stream ends with the plan that it began with
        self._traceparent = traceparent

    def receive(self, message: bytes) -> bytes:
        """The answer to one message, both serialised: ProcessingRequest, ProcessingResponse; never raises."""
        start = self._desk.now()
        try:
            request = ProcessingRequest.FromString(message)
        except DecodeError:
            return self._counted(Result.MALFORMED, UNCHANGED)
        phase = request.WhichOneof("request")
        if phase in _OTHER_PHASES:
            return self._counted(Result.OTHER_PHASE, _OTHER_PHASES[phase])
        if phase is None:
            return self._counted(Result.MALFORMED, UNCHANGED)
        try:
            return self._decided(*read_request(request), start)
        except Exception as error:  # noqa: BLE001 - the contract: no request fails because of us
            _LOG.error("undecided", reason=type(error).__name__)  # its text may hold a unit
            return self._counted(Result.MALFORMED, UNCHANGED)

    def _decided(self, request: Request, received: int | None, start: int) -> bytes:
        desk, plan = self._desk, self._in_force.plan
        if desk.late_after and received is not None and start - received > desk.late_after:
            return self._counted(Result.LATE, UNCHANGED)
        decision = decide(request, plan)
        if not decision:
            return self._counted(Result.UNMATCHED, UNCHANGED)
        pseudonyms = self._pseudonyms(decision)
        first = next((p for p in pseudonyms if p is not None), None)
        answer = self._in_force.answers.answer(decision, first)
        timing = Timing(start, desk.now())
        for assignment, pseudonym in zip(decision, pseudonyms, strict=True):
            attributes = exposure_attributes(assignment, plan, Plane.EXT_PROC, pseudonym, desk.key.id)
            desk.recorder.record(attributes, self._traceparent, timing)
        desk.counters.decided(decision, timing.end - timing.start)
        return answer

    def _pseudonyms(self, decision: Decision) -> list[str | None]:
        key = self._desk.key
        return [
            None if isinstance(a.unit, NoUnit) else key.pseudonym(a.experiment.unit.kind, a.unit)
            for a in decision
        ]

    def _counted(self, result: Result, answer: bytes) -> bytes:
        self._desk.counters.answered(result)
        return answer
