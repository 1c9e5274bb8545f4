import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from collecting import fill, ids, trace_request
from meshtrial.collect.spans import Accepted, accept
from meshtrial.errors import Refused
from meshtrial.record.pseudonym import PseudonymKey

SECRET = b"sixteen bytes ok"
KEY = PseudonymKey.of(SECRET)
KIND = "header:x-user-id"


def pseudonym(kind: str, unit: bytes) -> str:
    return hmac.new(SECRET, kind.encode() + b"\0" + unit, hashlib.sha256).hexdigest()[:32]


def taken(request: ExportTraceServiceRequest, *, authenticated: bool = False) -> Accepted:
    return accept(request.SerializeToString(), KEY, authenticated=authenticated)


def attributes_after(attributes: dict[str, Any]) -> dict[str, str]:
    """A span's attributes after it was taken."""
    request = ExportTraceServiceRequest.FromString(taken(trace_request({"attributes": attributes})).payload)
    return {a.key: a.value.string_value for a in request.resource_spans[0].scope_spans[0].spans[0].attributes}


def test_what_needs_no_change_is_kept_byte_for_byte() -> None:
    payload = trace_request(
        {"attributes": {"feature_flag.context.id": "a" * 32, "meshtrial.key.id": "01234567"}}, {}
    ).SerializeToString()

    accepted = accept(payload, KEY, authenticated=False)

    assert Accepted(payload, spans=2, units_hidden=0, without_id=0, forged=0) == accepted
    assert accepted.answer() == b""


@pytest.mark.parametrize(
    ("unit", "read_as"), [("ann@example.com", b"ann@example.com"), (42, b"42"), (b"\xff\x00", b"\xff\x00")]
)
def test_a_clear_unit_is_replaced_by_its_pseudonym(unit: object, read_as: bytes) -> None:
    after = attributes_after({"feature_flag.context.id": unit, "meshtrial.unit.kind": KIND})

    assert {
        "feature_flag.context.id": pseudonym(KIND, read_as),
        "meshtrial.unit.kind": KIND,
        "meshtrial.key.id": KEY.id,
    } == after


@pytest.mark.parametrize("unit", ["ann@example.com", "a" * 31, "A" * 32, "a" * 32 + "\n"])
def test_a_key_id_beside_what_is_no_pseudonym_does_not_hide_a_clear_unit(unit: str) -> None:
    after = attributes_after(
        {"feature_flag.context.id": unit, "meshtrial.unit.kind": KIND, "meshtrial.key.id": "01234567"}
    )

    assert pseudonym(KIND, unit.encode()) == after["feature_flag.context.id"]
    assert KEY.id == after["meshtrial.key.id"]


@pytest.mark.parametrize(
    "attributes",
    [
        {"feature_flag.context.id": "ann"},
        {"feature_flag.context.id": "ann", "meshtrial.unit.kind": ""},
        {"feature_flag.context.id": 1.5, "meshtrial.unit.kind": KIND},
        {"feature_flag.context.id": "", "meshtrial.unit.kind": KIND},
    ],
)
def test_a_unit_that_no_pseudonym_can_be_made_of_is_removed(attributes: dict[str, Any]) -> None:
    after = attributes_after(attributes)

    assert "feature_flag.context.id" not in after
    assert "meshtrial.key.id" not in after


def test_no_clear_unit_is_left_anywhere_in_a_request() -> None:
    clear = {"feature_flag.context.id": "ann@example.com"}
    request = trace_request({"attributes": {**clear, "meshtrial.unit.kind": KIND}}, resource=clear)
    scope = request.resource_spans[0].scope_spans[0]
    fill(scope.scope.attributes, clear)
    fill(scope.spans[0].attributes, clear)  # the same key a second time
    fill(scope.spans[0].events.add(name="feature_flag").attributes, clear)
    fill(scope.spans[0].links.add().attributes, clear)

    accepted = taken(request)

    assert b"ann@example.com" not in accepted.payload
    assert accepted.units_hidden == 6
    after = ExportTraceServiceRequest.FromString(accepted.payload).resource_spans[0].scope_spans[0].spans[0]
    assert pseudonym(KIND, b"ann@example.com") == after.events[0].attributes[0].value.string_value


def test_outcomes_from_a_client_without_a_token_are_dropped_and_said_so() -> None:
    request = trace_request({"name": "meshtrial.outcome"}, {"name": "mine"}, {"name": "meshtrial.outcome"})

    accepted = taken(request)

    assert (accepted.spans, accepted.forged) == (1, 2)
    left = ExportTraceServiceRequest.FromString(accepted.payload).resource_spans[0].scope_spans[0].spans
    assert [span.name for span in left] == ["mine"]
    answer = ExportTraceServiceResponse.FromString(accepted.answer()).partial_success
    assert answer.rejected_spans == 2
    assert "2 outcomes from a client without a token" in answer.error_message


def test_outcomes_from_a_client_with_the_token_are_taken() -> None:
    request = trace_request({"name": "meshtrial.outcome"})

    assert request.SerializeToString() == taken(request, authenticated=True).payload


@pytest.mark.parametrize(
    "bad",
    [
        {"trace_id": b""},
        {"trace_id": b"\0" * 16},
        {"trace_id": b"x" * 15},
        {"span_id": b"x" * 9},
        {"span_id": b"\0" * 8},
    ],
)
def test_a_span_without_a_valid_id_is_dropped_and_the_rest_taken(bad: dict[str, Any]) -> None:
    good = trace_request({})
    request = ExportTraceServiceRequest()
    request.MergeFrom(trace_request(bad))
    request.MergeFrom(good)

    accepted = taken(request)

    assert (accepted.spans, accepted.without_id) == (1, 1)
    assert ids(good) == ids(ExportTraceServiceRequest.FromString(accepted.payload))
    answer = ExportTraceServiceResponse.FromString(accepted.answer()).partial_success
    assert "1 spans without a valid trace id and span id" in answer.error_message


def test_fields_that_otlp_does_not_have_are_left_out() -> None:
    known = trace_request({})
    unknown = ExportTraceServiceRequest.FromString(known.SerializeToString())
    span = unknown.resource_spans[0].scope_spans[0].spans[0]
    span.MergeFromString(b"\xfa\x07\x05clear")  # field 127, 5 bytes
    payload = b"\xfa\x07\x05clear" + unknown.SerializeToString()

    assert accept(payload, KEY, authenticated=False).payload == known.SerializeToString()


def test_an_empty_request_is_fine_and_holds_nothing() -> None:
    assert Accepted(b"", 0, 0, 0, 0) == accept(b"", KEY, authenticated=False)


def test_a_truncated_request_is_refused_with_one_sentence() -> None:
    payload = trace_request({}).SerializeToString()

    with pytest.raises(
        Refused, match=r"^the body is no ExportTraceServiceRequest, or only a part of one$"
    ) as refused:
        accept(payload[:-1], KEY, authenticated=False)

    assert refused.value.status == 400


@given(st.binary(max_size=300))
def test_any_bytes_are_taken_or_refused_with_400(payload: bytes) -> None:
    refused = None
    try:
        accept(payload, KEY, authenticated=False)
    except Refused as refusal:
        refused = refusal.status

    assert refused in {None, 400}
