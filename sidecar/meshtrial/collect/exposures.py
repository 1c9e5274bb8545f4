"""Exposures that were recorded elsewhere, and their plan, as JSON -> spans `meshtrial.exposure`. Pure.

An exposure is `{unit: {kind, value}, experiment, arm, phase, plan, time}`, and where the experiment asks for
them `cohort`, `group: {kind, value}` and `strata: {x-country: IN}`. Who sends it has checked it against the
plan, which the collector does not have (`meshtrial exposure import`). That plan follows the exposures as an
item of its own, `{experiment, phase, plan, document, time}`, and becomes a span `meshtrial.experiment`.
"""

import re
from typing import Final

import msgspec
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from meshtrial.collect.items import (
    Batch,
    Flaw,
    Time,
    Unit,
    Word,
    converted,
    encoded,
    nanoseconds,
    pseudonym_of,
    read_items,
)
from meshtrial.pseudonym import PseudonymKey
from meshtrial.record.experiment import LARGEST_DOCUMENT, ImportedPlan, imported_plan_span
from meshtrial.record.imported import SERVICE, ImportedExposure, imported_span

LARGEST_STRATUM: Final = 64
"""Bytes of a value, as a sidecar records it."""
MOST_STRATA: Final = 8
"""As in a plan."""

_PHASE: Final = re.compile(r"[0-9a-f]{16}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
"""A token in lower case: RFC 9110, section 5.6.2."""


class Exposure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One unit that met one arm."""

    unit: Unit
    experiment: Word
    arm: Word
    phase: str
    plan: str
    time: Time
    cohort: Word | msgspec.UnsetType = msgspec.UNSET
    group: Unit | msgspec.UnsetType = msgspec.UNSET
    strata: dict[str, str] = {}


class _Document(msgspec.Struct):
    experiments: dict[str, msgspec.Raw]


class RecordedPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The plan by which exposures of one experiment were imported."""

    experiment: Word
    phase: str
    plan: str
    document: str
    time: Time


def to_spans(body: bytes, key: PseudonymKey, received_ns: int) -> Batch:
    """Read one exposure or plan or an array of them; what is malformed is refused one by one.

    Args:
        body: The JSON text.
        key: Makes the pseudonyms and the spans' ids.
        received_ns: When it came, ns since 1970; an exposure of more than a day later is refused.

    Raises:
        Refused: 400, the body is not JSON or neither object nor array; 413, too many exposures.
    """
    return read_items(body, lambda item: _span(item, key, received_ns), what="exposure", service=SERVICE)


def _span(item: object, key: PseudonymKey, received_ns: int) -> Span:
    if isinstance(item, dict) and "document" in item:
        return _plan_span(item, key, received_ns)
    exposure = converted(item, Exposure)
    _check_digests(exposure.phase, exposure.plan)
    _check_strata(exposure.strata)
    group = exposure.group
    return imported_span(
        ImportedExposure(
            experiment=exposure.experiment,
            arm=exposure.arm,
            phase=exposure.phase,
            plan=exposure.plan,
            unit=pseudonym_of(exposure.unit, key),
            unit_kind=exposure.unit.kind,
            time_ns=nanoseconds(exposure.time, received_ns, imported=True),
            cohort=None if exposure.cohort is msgspec.UNSET else exposure.cohort,
            group=None if group is msgspec.UNSET else (pseudonym_of(group, key, ".group"), group.kind),
            strata=exposure.strata,
        ),
        key,
    )


def _plan_span(item: object, key: PseudonymKey, received_ns: int) -> Span:
    said = converted(item, RecordedPlan)
    _check_digests(said.phase, said.plan)
    size = len(encoded(said.document, ".document"))
    if size > LARGEST_DOCUMENT:
        raise Flaw(".document", f"{size} bytes; a plan's document has at most {LARGEST_DOCUMENT}")
    if not _has_experiment(said.document, said.experiment):
        raise Flaw(".document", f"it is not the JSON of a plan that has `{said.experiment}`")
    at = nanoseconds(said.time, received_ns, imported=True)
    return imported_plan_span(ImportedPlan(said.experiment, said.phase, said.plan, said.document, at), key)


def _has_experiment(document: str, experiment: str) -> bool:
    """Whether it may be such a plan's: whoever reads it later loads it, and passes over what is none."""
    try:
        plan = msgspec.json.decode(document, type=_Document)
    except (msgspec.DecodeError, RecursionError):
        return False
    return experiment in plan.experiments


def _check_digests(phase: str, plan: str) -> None:
    if not _PHASE.fullmatch(phase):
        raise Flaw(".phase", "a phase is 16 hex digits in lower case")
    if not _DIGEST.fullmatch(plan):
        raise Flaw(".plan", "a plan's digest is 64 hex digits in lower case")


def _check_strata(strata: dict[str, str]) -> None:
    if len(strata) > MOST_STRATA:
        raise Flaw(".strata", f"at most {MOST_STRATA} strata are recorded")
    for name, value in strata.items():
        if not _HEADER.fullmatch(name):
            raise Flaw(".strata", "a stratum is called as its header, in lower case")
        if len(encoded(value, f".strata.{name}")) > LARGEST_STRATUM:
            raise Flaw(f".strata.{name}", f"a stratum's value has at most {LARGEST_STRATUM} bytes")
