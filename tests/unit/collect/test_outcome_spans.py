"""Which outcome spans are taken without a token, and under which ids outcomes are stored."""

import hashlib
import hmac
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collecting import fill, trace_request
from meshtrial.collect.spans import Accepted, accept
from meshtrial.pseudonym import PseudonymKey
from meshtrial.record.outcome import Outcome, outcome_record

SECRET = b"sixteen bytes ok"
KEY = PseudonymKey.of(SECRET)
OTHER = PseudonymKey.of(b"another sixteen bytes")
NOW = 1_800_000_000 * 10**9
PROVEN = Outcome("00" * 16, "purchase", "ab" * 16, "request", NOW, {"amount": 12.5})


def ids(outcome_id: str, secret: bytes = SECRET) -> dict[str, bytes]:
    digest = hmac.new(secret, b"\xffoutcome\0" + outcome_id.encode(), hashlib.sha256).digest()
    return {"trace_id": digest[:16], "span_id": digest[16:24]}


def taken(payload: bytes, *, authenticated: bool = False) -> Accepted:
    return accept(payload, KEY, NOW, authenticated=authenticated)


def spans(accepted: Accepted) -> list[Any]:
    request = ExportTraceServiceRequest.FromString(accepted.payload)
    return list(request.resource_spans[0].scope_spans[0].spans)


def said(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """Attributes of an outcome of a pseudonymous unit; those that are None are left out."""
    attributes = {
        "meshtrial.outcome.name": "purchase",
        "meshtrial.outcome.id": "order-1",
        "feature_flag.context.id": "ab" * 16,
        "meshtrial.unit.kind": "request",
        "meshtrial.key.id": KEY.id,
        **(changes or {}),
    }
    return {name: value for name, value in attributes.items() if value is not None}


def outcome_of(attributes: dict[str, Any], **fields: Any) -> ExportTraceServiceRequest:
    return trace_request({"name": "meshtrial.outcome", "attributes": attributes, **fields})


def test_what_a_sidecar_records_is_taken_without_a_token_as_it_is() -> None:
    record = outcome_record(PROVEN, KEY)

    assert taken(record) == Accepted(record, spans=1, units_hidden=0, without_id=0, forged=0, implausible=0)


@pytest.mark.parametrize(
    "forged",
    [
        outcome_of(said()),
        outcome_of(said(), **ids("order-2")),
        outcome_of(said(), **ids("order-1", b"another sixteen bytes")),
        outcome_of(said(), trace_id=ids("order-1")["trace_id"]),
        outcome_of(said(), span_id=ids("order-1")["span_id"]),
        outcome_of(said({"meshtrial.outcome.id": None}), **ids("")),
        outcome_of(said({"meshtrial.outcome.id": ""}), **ids("")),
        outcome_of(said({"meshtrial.outcome.id": 17}), **ids("17")),
        outcome_of(said({"meshtrial.key.id": None}), **ids("order-1")),
        outcome_of(said({"meshtrial.key.id": OTHER.id}), **ids("order-1")),
        outcome_of(said({"feature_flag.context.id": "ann"}), **ids("order-1")),
        outcome_of(said({"feature_flag.context.id": "AB" * 16}), **ids("order-1")),
        outcome_of(said({"feature_flag.context.id": None}), **ids("order-1")),
        ExportTraceServiceRequest.FromString(outcome_record(PROVEN, OTHER)),
    ],
)
def test_what_does_not_show_the_key_is_dropped_without_a_token(forged: ExportTraceServiceRequest) -> None:
    accepted = taken(forged.SerializeToString())

    assert (accepted.spans, accepted.forged) == (0, 1)


@pytest.mark.parametrize(
    "again", ["meshtrial.outcome.id", "feature_flag.context.id", "meshtrial.outcome.name"]
)
def test_an_attribute_that_comes_twice_cannot_change_what_was_shown(again: str) -> None:
    request = ExportTraceServiceRequest.FromString(outcome_record(PROVEN, KEY))
    fill(request.resource_spans[0].scope_spans[0].spans[0].attributes, {again: "cd" * 16})

    assert taken(request.SerializeToString()).forged == 1


def test_with_a_token_an_outcome_that_has_an_id_is_stored_under_that_ones_ids() -> None:
    request = outcome_of(said(), trace_id=b"t" * 16, parent_span_id=b"p" * 8)

    [span] = spans(taken(request.SerializeToString(), authenticated=True))

    assert ids("order-1") == {"trace_id": span.trace_id, "span_id": span.span_id}
    assert span.parent_span_id == b""
    assert [(link.trace_id, link.span_id) for link in span.links] == [(b"t" * 16, b"p" * 8)]


def test_with_a_token_an_outcome_without_an_id_keeps_its_own_ids() -> None:
    request = outcome_of(
        said({"meshtrial.outcome.id": None}), trace_id=b"t" * 16, span_id=b"s" * 8, parent_span_id=b"p" * 8
    )
    payload = request.SerializeToString()

    assert payload == taken(payload, authenticated=True).payload


def test_other_spans_keep_their_ids_whatever_they_carry() -> None:
    payload = trace_request({"name": "checkout", "attributes": said()}).SerializeToString()

    assert payload == taken(payload).payload
