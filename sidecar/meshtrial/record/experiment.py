"""An experiment that came into force -> its span, so that the store knows earlier phases and rules: pure."""

from typing import Final

from meshtrial.names import Attribute, SpanName
from meshtrial.plan.excerpt import excerpt
from meshtrial.plan.model import Experiment, Plan
from meshtrial.pseudonym import PseudonymKey
from meshtrial.record.span import Timing, span_record

LARGEST_DOCUMENT: Final = 64 * 2**10
"""Bytes of an experiment's document: one of a thousand arms by a dozen cohorts has fewer."""

_ID: Final = b"\xffexperiment"
"""Before what the span's ids are made of: no kind of unit, being no UTF-8."""
_HOUR: Final = 3600 * 10**9


def experiment_record(
    plan: Plan, experiment: Experiment, before: str, at: int, key: PseudonymKey
) -> bytes | None:
    """A serialised ExportTraceServiceRequest of one span `meshtrial.experiment`; None where it is too large.

    Its ids are made with the key from the two plans, the experiment, its phase and the hour, so all sidecars
    that make the same change within an hour, and all that start on the same plan, record the same span.

    Args:
        plan: In force from now on.
        experiment: One of its experiments.
        before: Digest of the plan that was in force before, "" at a start.
        at: When it came into force, ns since 1970.
        key: Makes the ids: who does not have it cannot write the span first.
    """
    document = excerpt(plan, experiment).canonical
    if len(document.encode()) > LARGEST_DOCUMENT:
        return None
    same = f"{before} {plan.digest} {experiment.id} {experiment.phase} {at // _HOUR}"
    attributes: dict[str, str | int | float | bool] = {
        Attribute.KEY: experiment.id,
        Attribute.VERSION: plan.digest,
        Attribute.PHASE: experiment.phase,
        Attribute.DOCUMENT: document,
    }
    ids = key.digest(_ID, same.encode())[:24]
    return span_record(SpanName.EXPERIMENT, attributes, "", ids, Timing(at, at))
