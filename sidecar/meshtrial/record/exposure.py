"""Assignment -> the attributes of its exposure span: pure."""

from meshtrial.assign.decide import Assignment
from meshtrial.names import PROVIDER, Attribute, Plane
from meshtrial.plan.model import Plan

Attributes = dict[str, str | int | float | bool]


def exposure_attributes(
    assignment: Assignment, plan: Plan, plane: Plane, pseudonym: str | None, key_id: str
) -> Attributes:
    """What the span says; without a unit there is no pseudonym and nobody was exposed.

    Names: `feature_flag.*` as OpenTelemetry's semantic conventions define them, `meshtrial.*` as
    `protos/CONTRACT.md` does.
    """
    experiment = assignment.experiment
    attributes: Attributes = {
        Attribute.KEY: experiment.id,
        Attribute.VARIANT: assignment.arm.id,
        Attribute.REASON: assignment.reason.value,
        Attribute.VERSION: plan.digest,
        Attribute.PROVIDER_NAME: PROVIDER,
        Attribute.PHASE: experiment.phase,
        Attribute.UNIT_KIND: experiment.unit.kind,
        Attribute.EXPOSED: assignment.exposed,
        Attribute.PLANE: plane.value,
    }
    if pseudonym is not None:
        attributes[Attribute.CONTEXT_ID] = pseudonym
        attributes[Attribute.KEY_ID] = key_id
    if assignment.bucket is not None:
        attributes[Attribute.BUCKET] = assignment.bucket
    return attributes
