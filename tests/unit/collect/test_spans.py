import hashlib
import hmac
import time
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
from meshtrial.pseudonym import PseudonymKey

SECRET = b"sixteen bytes ok"
KEY = PseudonymKey.of(SECRET)
KIND = "header:x-user-id"
NOW = 1_800_000_000 * 10**9
DAY = 86_400 * 10**9


def pseudonym(kind: str, unit: bytes) -> str:
    return hmac.new(SECRET, kind.encode() + b"\0" + unit, hashlib.sha256).hexdigest()[:32]


def taken(request: ExportTraceServiceRequest, *, authenticated: bool = False) -> Accepted:
    return accept(request.SerializeToString(), KEY, NOW, authenticated=authenticated)


def attributes_after(attributes: dict[str, Any]) -> dict[str, str]:
    """A span's attributes after it was taken."""
    request = ExportTraceServiceRequest.FromString(taken(trace_request({"attributes": attributes})).payload)
    return {a.key: a.value.string_value for a in request.resource_spans[0].scope_spans[0].spans[0].attributes}


def test_what_needs_no_change_is_kept_byte_for_byte() -> None:
    payload = trace_request(
        {"attributes": {"feature_flag.context.id": "a" * 32, "meshtrial.key.id": "01234567"}}, {}
    ).SerializeToString()

    accepted = accept(payload, KEY, NOW, authenticated=False)

    assert Accepted(payload, spans=2, units_hidden=0, without_id=0, forged=0, implausible=0) == accepted
    assert accepted.answer() == ExportTraceServiceResponse()


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


def test_neighbours_in_clear_are_removed() -> None:
    pseudonyms = ",".join(pseudonym("header:x-store", name) for name in (b"a", b"b"))
    ours = {"meshtrial.neighbours": pseudonyms, "meshtrial.key.id": KEY.id}

    assert attributes_after(ours) == ours
    assert attributes_after({"meshtrial.neighbours": pseudonyms}) == {}
    assert attributes_after({**ours, "meshtrial.neighbours": f"{pseudonyms},store-9"}) == {
        "meshtrial.key.id": KEY.id
    }


def test_a_clear_group_is_replaced_like_its_member_and_removed_where_it_names_no_kind() -> None:
    ids_ = {"feature_flag.context.id": "ann", "meshtrial.group.id": "store-9", "meshtrial.unit.kind": KIND}

    named = attributes_after({**ids_, "meshtrial.group.kind": "header:x-store"})
    assert named["feature_flag.context.id"] == pseudonym(KIND, b"ann")
    assert named["meshtrial.group.id"] == pseudonym("header:x-store", b"store-9")
    assert named["meshtrial.key.id"] == KEY.id
    assert "meshtrial.group.id" not in attributes_after(ids_)


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


def test_an_events_own_kind_of_unit_counts_before_its_spans() -> None:
    request = trace_request({"attributes": {"meshtrial.unit.kind": KIND}})
    event = request.resource_spans[0].scope_spans[0].spans[0].events.add(name="feature_flag")
    fill(event.attributes, {"feature_flag.context.id": "ann", "meshtrial.unit.kind": "header:x-tenant"})

    after = ExportTraceServiceRequest.FromString(taken(request).payload)

    hidden = after.resource_spans[0].scope_spans[0].spans[0].events[0].attributes[0].value.string_value
    assert pseudonym("header:x-tenant", b"ann") == hidden


def test_a_span_of_envoy_loses_its_request_id_and_what_users_typed() -> None:
    request = trace_request(
        {
            "name": "ingress",
            "kind": 2,
            "attributes": {
                "node_id": "",
                "component": "proxy",
                "guid:x-request-id": "6e1b5a9c-8f3d-4c5e-9a70-1f2b3c4d5e6f",
                "http.url": "http://127.0.0.1/recommend?user=alice%40example.org",
                "http.method": "GET",
                "meshtrial.unit": "a" * 32,
                "response_flags": "-",
            },
        }
    )

    accepted = taken(request)

    after = ExportTraceServiceRequest.FromString(accepted.payload).resource_spans[0].scope_spans[0].spans[0]
    assert {a.key: a.value.string_value for a in after.attributes} == {
        "node_id": "",
        "component": "proxy",
        "http.url": "http://127.0.0.1/recommend",
        "http.method": "GET",
        "meshtrial.unit": "a" * 32,
        "response_flags": "-",
    }
    assert accepted.units_hidden == 1


@pytest.mark.parametrize("mark", ["meshtrial.unit", "guid:x-request-id"])
@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("url.full", "https://a/b?user=alice?x#y", "https://a/b"),
        ("http.target", "/b?user=alice", "/b"),
        ("url.path", "/b", "/b"),
        ("url.query", "user=alice", ""),
    ],
)
def test_every_url_of_a_span_of_the_proxy_loses_its_query(
    mark: str, name: str, before: str, after: str
) -> None:
    assert attributes_after({name: before, mark: "x"})[name] == after


def test_a_url_of_another_span_is_left_alone() -> None:
    assert attributes_after({"url.full": "/b?page=2"}) == {"url.full": "/b?page=2"}


@pytest.mark.parametrize(
    ("start", "implausible"),
    [(NOW, 0), (NOW - 30 * DAY, 0), (NOW - 30 * DAY - 1, 1), (NOW + DAY, 0), (NOW + DAY + 1, 1), (0, 1)],
)
def test_exposures_of_impossible_times_are_counted_and_kept(start: int, implausible: int) -> None:
    request = trace_request(
        {"name": "meshtrial.exposure", "start_time_unix_nano": start}, {"start_time_unix_nano": 1}
    )

    accepted = taken(request)

    assert (accepted.spans, accepted.implausible) == (2, implausible)


def test_outcomes_from_a_client_without_a_token_are_dropped_and_said_so() -> None:
    request = trace_request({"name": "meshtrial.outcome"}, {"name": "mine"}, {"name": "meshtrial.outcome"})

    accepted = taken(request)

    assert (accepted.spans, accepted.forged) == (1, 2)
    left = ExportTraceServiceRequest.FromString(accepted.payload).resource_spans[0].scope_spans[0].spans
    assert [span.name for span in left] == ["mine"]
    answer = accepted.answer().partial_success
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
    answer = accepted.answer().partial_success
    assert "1 spans without a valid trace id and span id" in answer.error_message


def test_fields_that_otlp_does_not_have_are_left_out() -> None:
    known = trace_request({})
    unknown = ExportTraceServiceRequest.FromString(known.SerializeToString())
    span = unknown.resource_spans[0].scope_spans[0].spans[0]
    span.MergeFromString(b"\xfa\x07\x05clear")  # field 127, 5 bytes
    payload = b"\xfa\x07\x05clear" + unknown.SerializeToString()

    assert accept(payload, KEY, NOW, authenticated=False).payload == known.SerializeToString()


def nested(field: int, inner: bytes) -> bytes:
    """A length-delimited field of protobuf: https://protobuf.dev/programming-guides/encoding/."""
    length, varint = len(inner), bytearray()
    while length > 127:
        varint.append(length & 127 | 128)
        length >>= 7
    return bytes([field << 3 | 2, *varint, length]) + inner


@pytest.mark.parametrize(
    "request_of",
    [
        lambda n: nested(1, b"") * n,
        lambda n: nested(1, nested(2, b"") * (n - 1)),
        lambda n: nested(1, nested(2, nested(2, b"") * (n - 2))),
        lambda n: nested(1, nested(2, nested(2, b"") * (n // 2 - 2))) * 2,
        lambda n: b"\x78\x01" * n,  # numbers of an unknown field
    ],
)
def test_a_request_of_more_than_100_000_parts_is_refused_and_one_of_fewer_looked_at(request_of: Any) -> None:
    assert accept(request_of(100_000), KEY, NOW, authenticated=False).spans == 0

    with pytest.raises(
        Refused, match=r"^more than 100000 spans and groups of spans in one request$"
    ) as refused:
        accept(request_of(100_002), KEY, NOW, authenticated=False)

    assert refused.value.status == 413


@pytest.mark.parametrize(
    "span_of",
    [
        lambda n: nested(9, b"") * n,  # attributes
        lambda n: nested(11, b"") * n,  # events
        lambda n: nested(13, b"") * n,  # links
        lambda n: nested(11, nested(3, b"") * (n - 1)),  # an event's attributes
    ],
)
def test_a_request_of_more_than_500_000_attributes_events_and_links_is_refused(span_of: Any) -> None:
    def request_of(n: int) -> bytes:
        return nested(1, nested(2, nested(2, span_of(n))))

    assert accept(request_of(500_000), KEY, NOW, authenticated=False).without_id == 1

    with pytest.raises(Refused, match=r"^more than 500000 attributes, events and links in one request$"):
        accept(request_of(500_001), KEY, NOW, authenticated=False)


def test_a_request_that_is_mostly_dropped_takes_time_in_proportion() -> None:
    def seconds(pairs: int) -> float:
        good = trace_request({}).resource_spans[0].scope_spans[0].spans[0].SerializeToString()
        payload = nested(1, nested(2, (nested(2, good) + nested(2, b"")) * pairs))
        begun = time.process_time()
        accepted = accept(payload, KEY, NOW, authenticated=False)
        assert (pairs, pairs) == (accepted.spans, accepted.without_id)
        return time.process_time() - begun

    assert seconds(48_000) < 40 * seconds(4_800)


def test_an_empty_request_is_fine_and_holds_nothing() -> None:
    assert Accepted(b"", 0, 0, 0, 0, 0) == accept(b"", KEY, NOW, authenticated=False)


def test_a_truncated_request_is_refused_with_one_sentence() -> None:
    payload = trace_request({}).SerializeToString()

    with pytest.raises(
        Refused, match=r"^the body is no ExportTraceServiceRequest, or only a part of one$"
    ) as refused:
        accept(payload[:-1], KEY, NOW, authenticated=False)

    assert refused.value.status == 400


@given(st.binary(max_size=300))
def test_any_bytes_are_taken_or_refused_with_400(payload: bytes) -> None:
    refused = None
    try:
        accept(payload, KEY, NOW, authenticated=False)
    except Refused as refusal:
        refused = refusal.status

    assert refused in {None, 400}
