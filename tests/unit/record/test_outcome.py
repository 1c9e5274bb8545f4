import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from meshtrial.pseudonym import PseudonymKey
from meshtrial.record.outcome import Outcome, is_kind, is_name, outcome_record

SECRET = b"sixteen bytes ok"
KEY = PseudonymKey.of(SECRET)


def test_a_record_is_one_span_that_carries_the_outcome_under_ids_that_the_key_makes() -> None:
    outcome = Outcome("order-1", "purchase", "ab" * 16, "cookie:sid", 5, {"amount": 12.5, "items": 3})

    request = ExportTraceServiceRequest.FromString(outcome_record(outcome, KEY))

    [span] = request.resource_spans[0].scope_spans[0].spans
    digest = hmac.new(SECRET, b"\xffoutcome\0order-1", hashlib.sha256).digest()
    assert (digest[:16], digest[16:24]) == (span.trace_id, span.span_id)
    assert (span.name, span.start_time_unix_nano, span.end_time_unix_nano) == ("meshtrial.outcome", 5, 5)
    assert {a.key: getattr(a.value, str(a.value.WhichOneof("value"))) for a in span.attributes} == {
        "meshtrial.outcome.name": "purchase",
        "meshtrial.outcome.id": "order-1",
        "feature_flag.context.id": "ab" * 16,
        "meshtrial.unit.kind": "cookie:sid",
        "meshtrial.key.id": KEY.id,
        "meshtrial.outcome.values.amount": 12.5,
        "meshtrial.outcome.values.items": 3.0,
    }


@pytest.mark.parametrize(
    "kind",
    [
        "request",
        "header:x-user-id",
        "header:!#$%&'*+.^_`|~09az-",
        "cookie:SID",
        "cookie:__Host-sid",
        "query:u",
        "query:user id",
        "query:größe",
        "query:a:b",
        "query:" + "q" * 128,
        "metadata:envoy.filters.http.jwt_authn:payload.sub",
        "metadata:n:a:b",
    ],
)
def test_kinds_of_units(kind: str) -> None:
    assert is_kind(kind)


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "user",
        "request:",
        "request:x",
        "request\n",
        "header:",
        "header:X-User-Id",
        "header:x-user-id\n",
        "cookie:",
        "cookie:a b",
        "cookie:a=b",
        "query:",
        "query:a\x00b",
        "query:a\x7f",
        "query:a\x85",
        "query:\ud800",
        "query:" + "q" * 129,
        "metadata:",
        "metadata:namespace",
        "metadata:namespace:",
        "metadata::path",
        "metadata:n:\t",
        "metadata:n:" + "p" * 127,
        "Header:x",
    ],
)
def test_what_is_no_kind_of_unit(kind: str) -> None:
    assert not is_kind(kind)


@given(st.text())
def test_no_kind_and_no_name_holds_what_does_not_print(text: str) -> None:
    for kind in (text, f"header:{text}", f"cookie:{text}", f"query:{text}", f"metadata:{text}"):
        assert kind.isprintable() or not is_kind(kind)
    assert text.isprintable() or not is_name(text)
