"""Spans `meshtrial.outcome` as clients sent them: who may send one, and the ids it is stored under. Pure.

Stage: OTLP door -> spans -> **outcome_spans** -> journal.
"""

import re
from collections.abc import Iterable
from typing import Final

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from meshtrial.names import Attribute, SpanName
from meshtrial.pseudonym import PseudonymKey
from meshtrial.record.outcome import outcome_ids
from meshtrial.store.values import as_string

_PSEUDONYM: Final = re.compile(r"[0-9a-f]{32}")


def is_proven(span: Span, key: PseudonymKey) -> bool:
    """Whether an outcome's span shows that its sender has the key, as a sidecar does.

    It does where its ids are those that the key gives for its outcome's id, and its unit is a pseudonym with
    this key's id beside it. Nobody else can make such ids; to send a span again that was seen adds nothing,
    since of two the first counts.
    """
    said = {attribute.key: attribute.value.string_value for attribute in span.attributes}
    return (
        len(said) == len(span.attributes)  # what comes twice may be read in two ways
        and said.get(Attribute.KEY_ID) == key.id
        and _PSEUDONYM.fullmatch(said.get(Attribute.CONTEXT_ID, "")) is not None
        and (outcome_id := said.get(Attribute.OUTCOME_ID, "")) != ""
        and (span.trace_id, span.span_id) == outcome_ids(outcome_id, key)
    )


def name_by_outcome(spans: Iterable[Span], key: PseudonymKey) -> None:
    """Give each outcome that has an id the ids of its outcome, so that it counts once however it comes.

    Its trace stays findable: where the span had a parent, it gets a link to it.
    """
    for span in spans:
        if span.name != SpanName.OUTCOME:
            continue
        values = [as_string(a.value) for a in span.attributes if a.key == Attribute.OUTCOME_ID]
        if not values or not values[-1]:  # the store reads the last
            continue
        ids = outcome_ids(values[-1], key)
        if (span.trace_id, span.span_id) == ids:
            continue
        if span.parent_span_id:
            span.links.add(trace_id=span.trace_id, span_id=span.parent_span_id)
        span.trace_id, span.span_id = ids
        span.parent_span_id = b""
