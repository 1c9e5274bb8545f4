"""Plan -> what a proxy must let the sidecar see and set: the emitters write it, the doctor checks it."""

from dataclasses import dataclass
from typing import Final

from meshtrial.plan.model import Plan

ARRIVAL: Final = "request.time"
"""Request attribute: when the request began, by which the sidecar knows that its answer comes too late."""
ROUTE: Final = "xds.route_name"
"""Request attribute: the route that was found before the decision.

Source: https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/attributes
"""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a proxy's configuration owes to one plan."""

    headers: tuple[str, ...]
    """Request headers that the sidecar must see, lower case, pseudo-headers included, sorted."""
    attributes: tuple[str, ...]
    """Request attributes that the sidecar must be told, sorted."""
    metadata: tuple[str, ...]
    """Namespaces of dynamic metadata that the sidecar must be told, sorted."""
    set_headers: tuple[str, ...]
    """Request headers that an answer may set or remove, besides those with our prefix; sorted."""
    response: bool
    """Whether some answer asks for the response's headers (mode override)."""
    set_cookie: bool
    """Whether an answer may set `set-cookie` on the response."""
    outcome_header: bool
    """Whether `x-meshtrial-outcome` must be taken out of responses."""
    clusters: tuple[str, ...]
    """Clusters that an arm may lead to, sorted."""
    request_id: bool
    """Whether the unit of some experiment is the request's id."""


def needs_of(plan: Plan) -> Needs:
    """What the plan needs of a proxy."""
    experiments = plan.experiments
    headers = {experiment.unit.header for experiment in experiments}
    if any(experiment.match.path_prefix is not None for experiment in experiments):
        headers.add(":path")
    attributes = {ARRIVAL}
    if any(experiment.match.route is not None for experiment in experiments):
        attributes.add(ROUTE)
    return Needs(
        headers=tuple(sorted(headers)),
        attributes=tuple(sorted(attributes)),
        metadata=(),
        set_headers=plan.owned_headers(),
        response=False,
        set_cookie=False,
        outcome_header=False,
        clusters=tuple(sorted({arm.cluster for experiment in experiments for arm in experiment.arms})),
        request_id=any(experiment.unit.kind == "request" for experiment in experiments),
    )
