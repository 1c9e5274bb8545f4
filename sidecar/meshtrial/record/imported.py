"""An exposure that was recorded elsewhere -> its span: pure.

The span's ids are made from what it says and the pseudonym key, so an exposure that is imported again is the
same span and counts once.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from meshtrial.names import PROVIDER, STRATUM_PREFIX, Attribute, Reason, SpanName
from meshtrial.pseudonym import PseudonymKey
from meshtrial.record.span import set_attributes

SERVICE: Final = "meshtrial-exposures"
"""`service.name` of the spans that are made here."""

_ID: Final = b"\xffexposure"
"""Before what an exposure says where its ids are made: no kind of unit, being no UTF-8."""


@dataclass(frozen=True, slots=True)
class ImportedExposure:
    """One unit that met one arm."""

    experiment: str
    arm: str
    phase: str
    """Digest of the allocation, 16 hex digits."""
    plan: str
    """Digest of the plan, 64 hex digits."""
    unit: str
    """The unit's pseudonym, 32 hex digits."""
    unit_kind: str
    time_ns: int
    """When it did, ns since 1970."""
    cohort: str | None
    """Whose weights counted; None where the experiment has one set of weights."""
    group: tuple[str, str] | None
    """Pseudonym and kind of the group that was randomised; None where units are."""
    strata: Mapping[str, str]
    """Values of headers that the plan lists, in clear."""


def imported_span(exposure: ImportedExposure, key: PseudonymKey) -> Span:
    """The span that carries an imported exposure (`protos/CONTRACT.md`, "Spans").

    Plan, cohort, group and strata are no part of its ids: with a plan whose decision rule was amended, or
    other columns, the same exposure is the same still.

    Raises:
        UnicodeEncodeError: A text holds half of a surrogate pair.
    """
    e = exposure
    says = [e.experiment, e.phase, e.arm, e.unit_kind, e.unit, e.time_ns]
    ids = key.digest(_ID, json.dumps(says).encode())
    span = Span(
        trace_id=ids[:16],
        span_id=ids[16:24],
        name=SpanName.EXPOSURE,
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=e.time_ns,
        end_time_unix_nano=e.time_ns,
    )
    attributes: dict[str, str | int | float | bool] = {
        Attribute.KEY: e.experiment,
        Attribute.VARIANT: e.arm,
        Attribute.REASON: Reason.SPLIT.value,
        Attribute.VERSION: e.plan,
        Attribute.PROVIDER_NAME: PROVIDER,
        Attribute.PHASE: e.phase,
        Attribute.UNIT_KIND: e.unit_kind,
        Attribute.EXPOSED: True,
        Attribute.CONTEXT_ID: e.unit,
        Attribute.KEY_ID: key.id,
        Attribute.IMPORTED: True,
    }
    if e.cohort is not None:
        attributes[Attribute.COHORT] = e.cohort
    if e.group is not None:
        attributes[Attribute.GROUP_ID], attributes[Attribute.GROUP_KIND] = e.group
    for name, value in e.strata.items():
        attributes[STRATUM_PREFIX + name] = value
    set_attributes(span, attributes)
    return span
