"""Decision -> the baggage that takes its arms on to further hops."""

from collections.abc import Sequence

from meshtrial.assign.baggage import Carried, merged_baggage
from meshtrial.assign.context import Context
from meshtrial.assign.decide import Assignment, Decision
from meshtrial.assign.request import Request
from meshtrial.doors.answers import with_request_header
from meshtrial.names import BAGGAGE, Reason
from meshtrial.pseudonym import PseudonymKey

CARRY_SECONDS = 300
"""How long a carried arm is honoured: far above any chain of calls, of little use to who copies it."""

_CHOSEN = frozenset([Reason.SPLIT, Reason.CACHED, Reason.TARGETING_MATCH, Reason.WASHOUT])


def carried_on(
    request: Request,
    decision: Decision,
    pseudonyms: Sequence[str | None],
    context: Context,
    key: PseudonymKey,
) -> bytes:
    """To be appended to the answer: the request's baggage, with our members signed; empty for no change.

    Arms that an earlier hop chose go on as they came, also of experiments that this hop does not know.

    Args:
        request: As received.
        decision: Its arms.
        pseudonyms: The unit's of each assignment, None where it has none.
        context: What the decision knew.
        key: Signs.
    """
    expiry = context.now // 1_000_000_000 + CARRY_SECONDS
    members = dict(context.carried)
    for assignment, pseudonym in zip(decision, pseudonyms, strict=True):
        if assignment.reason is Reason.DISABLED:
            members.pop(assignment.experiment.id, None)
        elif pseudonym is not None and _goes_on(assignment):
            kind, arm = assignment.experiment.unit.kind, assignment.arm.id
            members[assignment.experiment.id] = Carried(arm, pseudonym, kind, assignment.phase, expiry)
    before = request.headers.get(BAGGAGE, ())
    if not members and not before:
        return b""
    return with_request_header(BAGGAGE, merged_baggage(before, sorted(members.items()), key))


def _goes_on(assignment: Assignment) -> bool:
    return assignment.experiment.carry and assignment.reason in _CHOSEN
