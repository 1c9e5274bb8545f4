"""Request -> what a decision on it knows besides: signed arms, kept arms, time and chance."""

from meshtrial.assign.baggage import carried_arms
from meshtrial.assign.context import Context, Kept
from meshtrial.assign.decide import Assignment
from meshtrial.assign.force import forced_arms
from meshtrial.assign.request import Request
from meshtrial.assign.unit import NoUnit
from meshtrial.doors.desk import Desk
from meshtrial.doors.in_force import InForce
from meshtrial.names import BAGGAGE, FORCE, Reason
from meshtrial.plan.model import Experiment
from meshtrial.plan.traffic import Unit
from meshtrial.pseudonym import PseudonymKey
from meshtrial.state.sticky import Sticky

_CHANCE = 16
"""Random bytes that a minted cookie is made of."""


def context_of(request: Request, in_force: InForce, desk: Desk, now: int) -> Context:
    """What the decision on a request knows; `now` is in nanoseconds since 1970."""
    needs, headers, key = in_force.needs, request.headers, desk.key

    def kept(experiment: Experiment, hashed: bytes) -> Kept | None:
        return desk.sticky.kept(experiment.id, key.pseudonym(_hashed_kind(experiment.unit), hashed))

    return Context(
        now=now,
        chance=desk.chance(_CHANCE) if needs.set_cookie else b"",
        forced=forced_arms(headers.get(FORCE, ()), key, now),
        carried=carried_arms(headers.get(BAGGAGE, ()), key, now) if needs.carries else {},
        pseudonym=key.pseudonym,
        kept=kept,
    )


def keep_first(assignment: Assignment, sticky: Sticky, key: PseudonymKey) -> None:
    """Keep the arm of a sticky experiment's unit that was assigned by its bucket.

    Not of a minted cookie before it comes back: who never returns one would fill the store.
    """
    subject, hashed = assignment.subject, assignment.subject.hashed
    sticks = assignment.experiment.sticky and assignment.reason is Reason.SPLIT and not subject.minted
    if sticks and not isinstance(hashed, NoUnit):
        unit = key.pseudonym(_hashed_kind(assignment.experiment.unit), hashed)
        sticky.keep(assignment.experiment.id, unit, Kept(assignment.arm.id, assignment.phase))


def _hashed_kind(unit: Unit) -> str:
    return unit.group_kind or unit.kind
