"""Decision -> what the proxy is to change in the request's headers."""

from collections.abc import Iterable
from dataclasses import dataclass

from meshtrial.assign.decide import Assignment, Decision
from meshtrial.names import FORCE, Header, Reason
from meshtrial.plan.model import Plan

_TO_CONTROL = (Reason.OUTSIDE, Reason.HOLDOUT, Reason.DISABLED, Reason.DEFAULT)


@dataclass(frozen=True, slots=True)
class Mutation:
    """Header changes; a header that is set replaces every copy that the request had."""

    set: tuple[tuple[str, str], ...]
    remove: tuple[str, ...]
    """Headers of other arms, and the tester's: a client's own copy must not reach the model."""


def mutation_of(decision: Decision, plan: Plan) -> Mutation:
    """The header changes of a decision.

    None for an empty one: of a request in no experiment the proxy alone drops what a client may not bring.
    """
    if not decision:
        return Mutation((), ())
    headers: dict[str, str] = {}
    for assignment in sorted(decision, key=_rank):
        if assignment.arm.cluster is not None:
            headers[Header.CLUSTER] = assignment.arm.cluster
        headers.update(assignment.arm.headers)
    if arms := arms_text(decision):
        headers[Header.ARMS] = arms
    dropped = [name for name in plan.owned_headers if name not in headers]
    return Mutation(tuple(headers.items()), (*dropped, FORCE))


def _rank(assignment: Assignment) -> int:
    """Of two experiments of one layer, forced beats chosen, and chosen beats being sent to control."""
    if assignment.reason in _TO_CONTROL:
        return 0
    return 2 if assignment.reason is Reason.TARGETING_MATCH else 1


def arms_text(decision: Iterable[Assignment]) -> str:
    """All arms as an RFC 8941 dictionary of tokens: `rank-v2=v2, search=v1`."""
    return ", ".join(f"{a.experiment.id}={a.arm.id}" for a in decision if a.takes_part)
