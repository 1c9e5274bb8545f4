"""Assignment -> the attributes of its exposure span: pure."""

from meshtrial.assign.decide import Assignment
from meshtrial.assign.unit import NoUnit
from meshtrial.names import PROVIDER, STRATUM_PREFIX, Attribute, Plane
from meshtrial.plan.model import Plan
from meshtrial.pseudonym import PseudonymKey

Attributes = dict[str, str | int | float | bool]


def unit_pseudonym(assignment: Assignment, key: PseudonymKey) -> str | None:
    """Who is recorded: the unit, a group's member or a switchback's key; None where the request has none.

    A carried arm names its unit, which an inner hop's request may not do any more.
    """
    if assignment.carried is not None:
        return assignment.carried.unit
    unit = assignment.subject.unit
    return None if isinstance(unit, NoUnit) else key.pseudonym(assignment.experiment.unit.kind, unit)


def exposure_attributes(
    assignment: Assignment, pseudonym: str | None, plan: Plan, plane: Plane, key: PseudonymKey
) -> Attributes:
    """What the span says; without a unit there is no pseudonym and nobody was exposed.

    The pseudonym is that of `unit_pseudonym`, which whoever answers the request has already.
    Names: `feature_flag.*` as OpenTelemetry's semantic conventions define them, `meshtrial.*` as
    `protos/CONTRACT.md` does. Strata are recorded in clear: a plan names what is no secret.
    """
    experiment, subject = assignment.experiment, assignment.subject
    attributes: Attributes = {
        Attribute.KEY: experiment.id,
        Attribute.VARIANT: assignment.arm.id,
        Attribute.REASON: assignment.reason.value,
        Attribute.VERSION: plan.digest,
        Attribute.PROVIDER_NAME: PROVIDER,
        Attribute.PHASE: assignment.phase,
        Attribute.UNIT_KIND: experiment.unit.kind,
        Attribute.EXPOSED: assignment.exposed,
        Attribute.PLANE: plane.value,
    }
    if pseudonym is not None:
        attributes[Attribute.CONTEXT_ID] = pseudonym
        attributes[Attribute.KEY_ID] = key.id
    group_kind = experiment.unit.group_kind
    if group_kind is not None and not isinstance(subject.hashed, NoUnit):
        attributes[Attribute.GROUP_ID] = key.pseudonym(group_kind, subject.hashed)
        attributes[Attribute.GROUP_KIND] = group_kind
        attributes[Attribute.KEY_ID] = key.id
        if assignment.neighbours:
            named = (key.pseudonym(group_kind, neighbour) for neighbour in assignment.neighbours)
            attributes[Attribute.NEIGHBOURS] = ",".join(named)
    if assignment.bucket is not None:
        attributes[Attribute.BUCKET] = assignment.bucket
    if experiment.layer is not None:
        attributes[Attribute.LAYER] = experiment.layer.id
    if assignment.cohort:
        attributes[Attribute.COHORT] = assignment.cohort
    if subject.window is not None:
        attributes[Attribute.WINDOW] = subject.window
    for name, value in assignment.strata:
        attributes[STRATUM_PREFIX + name] = value
    return attributes
