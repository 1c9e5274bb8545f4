"""An experiment that came into force -> its span, so that the store knows earlier phases and rules: pure."""

from dataclasses import dataclass
from typing import Final

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from meshtrial.names import Attribute, SpanName
from meshtrial.plan.excerpt import excerpt
from meshtrial.plan.model import Experiment, Plan
from meshtrial.pseudonym import PseudonymKey
from meshtrial.record.span import Timing, set_attributes, span_record

LARGEST_DOCUMENT: Final = 64 * 2**10
"""Bytes of an experiment's document: one of a thousand arms by a dozen cohorts has fewer."""

_ID: Final = b"\xffexperiment"
"""Before what the span's ids are made of: no kind of unit, being no UTF-8."""
_IMPORTED_ID: Final = b"\xffimported experiment"
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
    attributes = _attributes(experiment.id, plan.digest, experiment.phase, document)
    ids = key.digest(_ID, same.encode())[:24]
    return span_record(SpanName.EXPERIMENT, attributes, "", ids, Timing(at, at))


@dataclass(frozen=True, slots=True)
class ImportedPlan:
    """The plan by which exposures were imported, as far as it is of their experiment."""

    experiment: str
    phase: str
    """Digest of the allocation, 16 hex digits."""
    plan: str
    """Digest of the plan, 64 hex digits."""
    document: str
    """Canonical, of the experiment and what it refers to."""
    time_ns: int
    """When it was imported, ns since 1970: since when it is known to hold."""


def imported_plan_span(said: ImportedPlan, key: PseudonymKey) -> Span:
    """The span `meshtrial.experiment` of an import.

    The time is no part of its ids: an import that is repeated records its plan once, as of the first time.
    """
    parts = (said.experiment, said.phase, said.plan, said.document)
    ids = key.digest(_IMPORTED_ID, *(part.encode() for part in parts))
    span = Span(
        trace_id=ids[:16],
        span_id=ids[16:24],
        name=SpanName.EXPERIMENT,
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=said.time_ns,
        end_time_unix_nano=said.time_ns,
    )
    attributes = _attributes(said.experiment, said.plan, said.phase, said.document)
    set_attributes(span, {**attributes, Attribute.IMPORTED: True})
    return span


def _attributes(experiment: str, plan: str, phase: str, document: str) -> dict[str, str | int | float | bool]:
    return {
        Attribute.KEY: experiment,
        Attribute.VERSION: plan,
        Attribute.PHASE: phase,
        Attribute.DOCUMENT: document,
    }
