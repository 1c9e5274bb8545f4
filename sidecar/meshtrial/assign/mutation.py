"""Decision -> what the proxy is to change in the request's headers."""

from dataclasses import dataclass

from meshtrial.assign.decide import Decision
from meshtrial.names import Header
from meshtrial.plan.model import Plan


@dataclass(frozen=True, slots=True)
class Mutation:
    """Header changes; a header that is set replaces every copy that the request had."""

    set: tuple[tuple[str, str], ...]
    remove: tuple[str, ...]
    """Headers of other arms: a client's own copy must not reach the model."""


def mutation_of(decision: Decision, plan: Plan) -> Mutation:
    """The header changes of a decision.

    None for an empty one: of a request in no experiment the proxy alone drops what a client may not bring.
    """
    if not decision:
        return Mutation((), ())
    headers: dict[str, str] = {}
    for assignment in decision:
        headers[Header.CLUSTER] = assignment.arm.cluster
        headers.update(assignment.arm.headers)
    headers[Header.ARMS] = arms_text(decision)
    return Mutation(tuple(headers.items()), tuple(n for n in plan.owned_headers() if n not in headers))


def arms_text(decision: Decision) -> str:
    """All arms as an RFC 8941 dictionary of tokens: `rank-v2=v2, search=v1`."""
    return ", ".join(f"{a.experiment.id}={a.arm.id}" for a in decision)
