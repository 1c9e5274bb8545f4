"""What one ext_proc stream means: a message in, an answer out; knows no transport.

| message | answer | counted as |
|---|---|---|
| request headers, matched | the decision | assigned |
| request headers, no experiment matches | unchanged | unmatched |
| request headers, too old to answer in time | unchanged | late |
| response headers that the decision asked for | the cookie is set, outcomes are taken out | response |
| any other phase | that phase, unchanged | other_phase |
| anything that cannot be read | request headers, unchanged | malformed |

"Unchanged" leaves the request on the proxy's default route, control.
"""

from collections.abc import Mapping, Sequence

from google.protobuf.message import DecodeError

from meshtrial.assign.decide import Assignment, Decision, decide
from meshtrial.assign.request import Request
from meshtrial.doors.answers import SEE_RESPONSE, UNCHANGED, response_answer
from meshtrial.doors.counters import Result
from meshtrial.doors.desk import Desk
from meshtrial.doors.ext_proc_pb2 import ProcessingRequest, ProcessingResponse
from meshtrial.doors.hops import carried_on
from meshtrial.doors.knowledge import context_of, keep_first
from meshtrial.doors.reading import read_headers, read_request
from meshtrial.doors.response import minted_cookies, reporting_units, wants_response
from meshtrial.names import Header, Plane
from meshtrial.plan.model import Exposures
from meshtrial.record.exposure import exposure_attributes, unit_pseudonym
from meshtrial.record.outcome import Outcome
from meshtrial.record.outcome_header import read_outcomes
from meshtrial.record.recent import meeting
from meshtrial.record.span import Timing

_OUTCOME_ID = 16
"""Random bytes of an outcome's id: a response is one event, so nothing can send it twice."""
_LONGEST_WAIT = 60 * 10**9
"""Nanoseconds that a request may have been under way when its decision is made: far above any timeout."""


def _unchanged(phase: str) -> bytes:
    answer = ProcessingResponse()
    getattr(answer, phase).SetInParent()
    return answer.SerializeToString()


_UNCHANGED = {
    phase: _unchanged(phase)
    for phase in (
        "request_headers",
        "response_headers",
        "request_body",
        "response_body",
        "request_trailers",
        "response_trailers",
    )
}


class Session:
    """One stream, which is one HTTP request."""

    def __init__(self, desk: Desk, traceparent: str) -> None:
        self._desk = desk
        self._in_force = desk.in_force()  # once: a stream ends with the plan that it began with
        self._traceparent = traceparent
        self._decision: Decision = ()

    def receive(self, message: bytes) -> bytes:
        """The answer to one message, both serialised: ProcessingRequest, ProcessingResponse; never raises."""
        start = self._desk.now()
        try:
            request = ProcessingRequest.FromString(message)
        except DecodeError:
            return self._counted(Result.MALFORMED, UNCHANGED)
        phase = request.WhichOneof("request")
        if phase is None:
            return self._counted(Result.MALFORMED, UNCHANGED)
        try:
            if phase == "request_headers":
                return self._decided(*read_request(request, self._in_force.needs), start)
            if phase == "response_headers" and self._decision:
                return self._responded(read_headers(request.response_headers), start)
        except Exception as error:  # noqa: BLE001 - the contract: no request fails because of us
            reason = type(error).__name__  # its text may hold a unit
            if self._desk.events.seldom(reason):
                self._desk.events.error("undecided", reason=reason)
            return self._counted(Result.MALFORMED, _UNCHANGED[phase])
        return self._counted(Result.OTHER_PHASE, _UNCHANGED[phase])

    def _decided(self, request: Request, received: int | None, start: int) -> bytes:
        desk, in_force = self._desk, self._in_force
        if desk.late_after and received is not None and start - received > desk.late_after:
            return self._counted(Result.LATE, UNCHANGED)
        context = context_of(request, in_force, desk, start)
        decision = decide(request, in_force.plan, context)
        if not decision:
            return self._counted(Result.UNMATCHED, UNCHANGED)
        pseudonyms = [unit_pseudonym(assignment, desk.key) for assignment in decision]
        answer = in_force.answers.answer(decision, pseudonyms, desk.key.id)
        if in_force.needs.carries:
            answer += carried_on(request, decision, pseudonyms, context, desk.key)
        if in_force.needs.response and wants_response(decision):
            self._decision = decision
            answer += SEE_RESPONSE
        for assignment in decision:  # within the time that is recorded: it may wait for the file
            keep_first(assignment, desk.sticky, desk.key)
        timing = Timing(_began(received, start), desk.now())
        for assignment, pseudonym in zip(decision, pseudonyms, strict=True):
            self._record(assignment, pseudonym, timing)
        desk.counters.decided(decision, timing.end - start)
        return answer

    def _record(self, assignment: Assignment, pseudonym: str | None, timing: Timing) -> None:
        """Before the answer: what is served by a decision is recorded, whatever happens next."""
        desk = self._desk
        if not assignment.takes_part:
            return
        first_only = assignment.experiment.exposures is Exposures.FIRST
        met = meeting(assignment, pseudonym, timing.start)
        if first_only and met in desk.recent:
            return
        attributes = exposure_attributes(assignment, pseudonym, self._in_force.plan, Plane.EXT_PROC, desk.key)
        if desk.recorder.record(attributes, self._traceparent, timing) and first_only:
            desk.recent.add(met)

    def _responded(self, headers: Mapping[str, Sequence[bytes]], now: int) -> bytes:
        """The response of a request that was decided: sets minted cookies, takes its outcomes out."""
        desk = self._desk
        outcomes = read_outcomes(headers.get(Header.OUTCOME, ()))
        if isinstance(outcomes, str):
            desk.counters.outcomes(refused=1)
            if desk.events.seldom("outcomes"):  # whatever the reason, of which models can cause many
                desk.events.warning("outcomes in a response header cannot be read", reason=outcomes)
            outcomes = ()
        for kind, pseudonym in reporting_units(self._decision, desk.key):
            for outcome in outcomes:
                once = desk.chance(_OUTCOME_ID).hex()
                desk.recorder.outcome(Outcome(once, outcome.name, pseudonym, kind, now, outcome.values))
                desk.counters.outcomes(taken=1)
        hidden = [Header.OUTCOME] if self._in_force.needs.outcome_header else []
        answer = response_answer(minted_cookies(self._decision), hidden)
        return self._counted(Result.RESPONSE, answer)

    def _counted(self, result: Result, answer: bytes) -> bytes:
        self._desk.counters.answered(result)
        return answer


def _began(received: int | None, now: int) -> int:
    """When an exposure begins: with its request, by the proxy's clock, all in nanoseconds since 1970.

    Else a unit's first request, which the access log has from there, would be before the unit's first
    exposure, and count for nothing. A proxy whose clock is far off is not believed.
    """
    return received if received is not None and now - _LONGEST_WAIT <= received <= now else now
