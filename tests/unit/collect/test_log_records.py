import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collecting import logs_request
from meshtrial.collect.log_records import Converted, Dropped, to_spans
from meshtrial.collect.spans import Accepted, accept
from meshtrial.errors import Refused
from meshtrial.pseudonym import PseudonymKey
from meshtrial.store.rows import to_table

SECRET = b"sixteen bytes ok"
KEY = PseudonymKey.of(SECRET)
KIND = "header:x-user-id"
NOW = 1_800_000_000 * 10**9
EVALUATION = {
    "feature_flag.key": "rank-v2",
    "feature_flag.result.variant": "v2",
    "feature_flag.result.reason": "split",
    "feature_flag.provider.name": "another",
    "feature_flag.context.id": "ann@example.com",
}
OUTCOME = {
    "meshtrial.outcome.name": "purchase",
    "meshtrial.outcome.id": "order-1",
    "meshtrial.outcome.values.amount": 12.5,
    "feature_flag.context.id": "ann@example.com",
    "meshtrial.unit.kind": KIND,
}


def converted(*records: dict[str, Any], resource: dict[str, Any] | None = None) -> Converted:
    return to_spans(logs_request(*records, resource=resource).SerializeToString(), KEY)


def spans(found: Converted) -> list[Any]:
    request = ExportTraceServiceRequest.FromString(found.payload)
    return [s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]


def attributes(found: Converted) -> dict[str, str]:
    [span] = spans(found)
    return {a.key: a.value.string_value for a in span.attributes}


def rows(*records: dict[str, Any], resource: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """What the store would have of them, from a client with a token."""
    payload = accept(converted(*records, resource=resource).payload, KEY, NOW, authenticated=True).payload
    request = ExportTraceServiceRequest.FromString(payload)
    return to_table([(NOW, request)]).to_pylist(maps_as_pydicts="strict")  # type: ignore[no-any-return]  # pyarrow has no types


def unit(kind: str, value: bytes) -> int:
    return int(hmac.new(SECRET, kind.encode() + b"\0" + value, hashlib.sha256).hexdigest()[:16], 16)


def test_an_outcome_event_becomes_the_row_of_an_outcome_with_the_ids_of_its_outcome() -> None:
    [row] = rows({"event_name": "meshtrial.outcome", "attributes": OUTCOME})

    digest = hmac.new(SECRET, b"\xffoutcome\0order-1", hashlib.sha256).hexdigest()
    assert (row["TraceId"], row["SpanId"], row["SpanName"]) == (
        digest[:32],
        digest[32:48],
        "meshtrial.outcome",
    )
    assert (row["Outcome"], row["OutcomeId"], row["OutcomeValues"]) == (
        "purchase",
        "order-1",
        {"amount": 12.5},
    )
    assert (row["Unit"], row["UnitKind"], row["KeyId"]) == (unit(KIND, b"ann@example.com"), KIND, KEY.id)


def test_an_evaluation_of_another_sdk_is_stored_and_is_nothing_that_is_analysed() -> None:
    [row] = rows({"event_name": "feature_flag.evaluation", "attributes": EVALUATION})

    assert (row["SpanName"], row["Experiment"], row["Arm"]) == ("meshtrial.exposure", "rank-v2", "v2")
    assert (row["Reason"], row["Phase"], row["Exposed"]) == ("split", None, None)
    assert row["SpanAttributes"]["feature_flag.provider.name"] == "another"
    assert "ann@example.com" not in str(row)


def test_an_evaluation_that_says_all_that_an_exposure_says_is_one() -> None:
    says = {**EVALUATION, "meshtrial.phase": "0" * 16, "meshtrial.exposed": True, "meshtrial.unit.kind": KIND}

    [row] = rows({"event_name": "feature_flag.evaluation", "attributes": says})

    assert (row["Phase"], row["Exposed"], row["UnitKind"]) == ("0" * 16, True, KIND)
    assert row["Unit"] == unit(KIND, b"ann@example.com")


def test_the_kind_of_unit_may_stand_once_at_the_resource() -> None:
    [row] = rows(
        {"event_name": "feature_flag.evaluation", "attributes": EVALUATION},
        resource={"meshtrial.unit.kind": KIND},
    )

    assert (row["Unit"], row["UnitKind"]) == (unit(KIND, b"ann@example.com"), KIND)


def test_older_names_are_read_as_those_of_today() -> None:
    older = {
        "event.name": "feature_flag.evaluation",
        "feature_flag.key": "rank-v2",
        "feature_flag.variant": "v2",
        "feature_flag.evaluation.reason": "split",
        "feature_flag.provider_name": "another",
    }

    assert attributes(converted({"attributes": older})) == {
        "feature_flag.key": "rank-v2",
        "feature_flag.result.variant": "v2",
        "feature_flag.result.reason": "split",
        "feature_flag.provider.name": "another",
    }


def test_beside_a_name_of_today_an_older_one_stays_what_it_is() -> None:
    both = {"feature_flag.result.variant": "new", "feature_flag.variant": "old"}

    assert attributes(converted({"event_name": "feature_flag.evaluation", "attributes": both})) == both


def test_an_event_of_a_trace_stays_in_it() -> None:
    record = {"event_name": "feature_flag.evaluation", "trace_id": b"t" * 16, "span_id": b"s" * 8}

    [span] = spans(converted(record))

    assert (span.trace_id, span.parent_span_id) == (b"t" * 16, b"s" * 8)
    assert span.span_id not in {b"s" * 8, b""}


def test_the_same_event_sent_again_is_the_same_span_and_another_is_another() -> None:
    event = {"event_name": "meshtrial.outcome", "attributes": {**OUTCOME, "meshtrial.outcome.id": ""}}
    first, again, later = (
        spans(converted(record))[0] for record in (event, event, {**event, "time_unix_nano": NOW + 1})
    )

    assert (first.trace_id, first.span_id) == (again.trace_id, again.span_id)
    assert (first.trace_id, first.span_id) != (later.trace_id, later.span_id)


def test_nobody_without_the_key_can_try_units_on_an_events_ids() -> None:
    payload = logs_request({"event_name": "feature_flag.evaluation", "attributes": EVALUATION})
    other = to_spans(payload.SerializeToString(), PseudonymKey.of(b"another sixteen bytes"))
    mine = to_spans(payload.SerializeToString(), KEY)

    assert spans(mine)[0].span_id != spans(other)[0].span_id


def test_an_event_without_a_time_has_that_of_its_observation() -> None:
    seen = {"event_name": "meshtrial.outcome", "time_unix_nano": 0, "observed_time_unix_nano": NOW}

    assert [span.start_time_unix_nano for span in spans(converted(seen))] == [NOW]


def test_what_is_not_ours_or_has_no_time_is_dropped_counted_and_said() -> None:
    found = converted(
        {"event_name": "meshtrial.outcome", "attributes": OUTCOME},
        {"event_name": "exception"},
        {"attributes": {"event.name": "feature_flag"}},
        {},
        {"event_name": "meshtrial.outcome", "time_unix_nano": 0},
    )

    assert (len(spans(found)), found.dropped) == (1, {Dropped.NOT_OURS: 3, Dropped.WITHOUT_TIME: 1})
    answer = found.answer(accept(found.payload, KEY, NOW, authenticated=False)).partial_success
    assert answer.rejected_log_records == 5
    assert answer.error_message == (
        "dropped: 3 records that are no event of meshtrial or of a feature flag, 1 events without a time, "
        "0 requests whose metadata cannot be read, 1 outcomes from a client without a token"
    )


def test_of_a_request_that_is_all_ours_nothing_is_said() -> None:
    found = converted({"event_name": "meshtrial.outcome", "attributes": OUTCOME})

    accepted = accept(found.payload, KEY, NOW, authenticated=True)

    assert not found.answer(accepted).HasField("partial_success")


def test_a_log_of_the_key_without_a_token_does_not_prove_it_by_an_id() -> None:
    said = {**OUTCOME, "feature_flag.context.id": "ab" * 16, "meshtrial.key.id": KEY.id}
    digest = hmac.new(SECRET, b"\xffoutcome\0order-1", hashlib.sha256).digest()
    found = converted(
        {
            "event_name": "meshtrial.outcome",
            "attributes": said,
            "trace_id": digest[:16],
            "span_id": digest[16:24],
        }
    )

    assert accept(found.payload, KEY, NOW, authenticated=False).forged == 1


def test_a_truncated_request_is_refused_with_one_sentence() -> None:
    payload = logs_request({}).SerializeToString()

    with pytest.raises(Refused, match=r"^the body is no ExportLogsServiceRequest, or only a part of one$"):
        to_spans(payload[:-1], KEY)


def test_a_request_of_too_much_is_refused() -> None:
    with pytest.raises(Refused, match=r"^more than 100000 log records and groups of them") as refused:
        to_spans(b"\x0a\x00" * 100_001, KEY)
    assert refused.value.status == 413

    one = logs_request({})
    record = one.resource_logs[0].scope_logs[0].log_records[0]
    for _ in range(500_001):
        record.attributes.add()
    with pytest.raises(Refused, match=r"^more than 500000 attributes in one request$"):
        to_spans(one.SerializeToString(), KEY)


@given(
    st.binary(max_size=300)
    | st.builds(lambda b: ExportLogsServiceRequest().SerializeToString() + b, st.binary())
)
def test_any_bytes_are_taken_or_refused_with_400(payload: bytes) -> None:
    found: Accepted | int
    try:
        found = accept(to_spans(payload, KEY).payload, KEY, NOW, authenticated=True)
    except Refused as refusal:
        found = refusal.status

    assert found == 400 or isinstance(found, Accepted)
