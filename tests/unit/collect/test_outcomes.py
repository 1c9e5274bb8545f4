import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from meshtrial.collect.items import Batch, RefusedItem
from meshtrial.collect.outcomes import to_spans
from meshtrial.errors import Refused
from meshtrial.pseudonym import PseudonymKey
from meshtrial.store.rows import to_table

SECRET = b"sixteen bytes ok"
KEY = PseudonymKey.of(SECRET)
NOW = 1_800_000_000 * 10**9
GOOD: dict[str, Any] = {
    "id": "order-1",
    "unit": {"kind": "header:x-user-id", "value": "ann@example.com"},
    "name": "purchase",
    "time": "2026-03-01T10:30:00.5+01:00",
    "values": {"amount": 12.5, "items": 3},
}


def read(document: object) -> Batch:
    return to_spans(json.dumps(document).encode(), KEY, NOW)


def spans(batch: Batch) -> list[Any]:
    request = ExportTraceServiceRequest.FromString(batch.payload)
    return list(request.resource_spans[0].scope_spans[0].spans)


def changed(**fields: Any) -> dict[str, Any]:
    """The good outcome with some fields changed; those that are None are left out."""
    return {name: value for name, value in {**GOOD, **fields}.items() if value is not None}


def flaw(item: object) -> tuple[str, str]:
    """Path and error of the one refusal of this item between two good ones."""
    batch = read([GOOD, item, GOOD])
    assert batch.accepted == 2
    [refused] = batch.refused
    assert refused.index == 1
    return refused.path, refused.error


def test_an_outcome_becomes_a_span_that_carries_it() -> None:
    batch = read(GOOD)

    assert (batch.accepted, batch.refused) == (1, ())
    [span] = spans(batch)
    pseudonym = hmac.new(SECRET, b"header:x-user-id\0ann@example.com", hashlib.sha256).hexdigest()[:32]
    assert {
        "meshtrial.outcome.name": "purchase",
        "meshtrial.outcome.id": "order-1",
        "feature_flag.context.id": pseudonym,
        "meshtrial.unit.kind": "header:x-user-id",
        "meshtrial.key.id": KEY.id,
        "meshtrial.outcome.values.amount": 12.5,
        "meshtrial.outcome.values.items": 3.0,
    } == {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}
    assert span.name == "meshtrial.outcome"
    assert 1_772_357_400_500_000_000 == span.start_time_unix_nano == span.end_time_unix_nano
    assert b"ann@example.com" not in batch.payload


def test_the_ids_are_those_of_the_outcome_so_a_repetition_is_the_same_span() -> None:
    digest = hmac.new(SECRET, b"\xffoutcome\0order-1", hashlib.sha256).digest()

    [span] = spans(read(changed(name="refund", time=5)))

    assert (digest[:16], digest[16:24]) == (span.trace_id, span.span_id)


def test_equal_outcomes_without_an_id_count_by_their_occurrence_and_each_once() -> None:
    first = changed(id=None, occurrence=1)
    again = {**first, "time": "2026-03-01T09:30:00.5Z", "values": {"items": 3.0, "amount": 12.50}}
    batch = read([first, again, {**first, "occurrence": 2}, {**first, "name": "refund"}])

    one, same, second, other = (span.trace_id for span in spans(batch))

    assert one == same
    assert len({one, second, other}) == 3


def test_an_id_that_is_made_of_an_outcome_needs_the_key_so_nobody_can_try_units() -> None:
    document = changed(id=None, occurrence=1)
    other = to_spans(json.dumps(document).encode(), PseudonymKey.of(b"another sixteen bytes"), NOW)

    made, differently = (
        {a.key: a.value.string_value for a in spans(batch)[0].attributes}["meshtrial.outcome.id"]
        for batch in (read(document), other)
    )

    assert made != differently


def test_who_has_another_key_cannot_tell_the_ids() -> None:
    other = PseudonymKey.of(b"another sixteen bytes")

    [span] = spans(to_spans(json.dumps(GOOD).encode(), other, NOW))

    assert span.trace_id != spans(read(GOOD))[0].trace_id


def test_an_outcome_of_more_than_a_day_after_its_receipt_is_refused_and_old_ones_are_taken() -> None:
    day = 86_400
    assert read(changed(time=1_800_000_000 + day)).accepted == 1
    assert read(changed(time=0)).accepted == 1

    path, error = flaw(changed(time=1_800_000_000 + day + 1))

    assert (path, error) == ("$[1].time", "1800086401.0 is more than a day after its receipt")


def test_what_is_repeated_of_the_request_prints_and_is_short() -> None:
    assert flaw(changed(**{"\x1b\u202e": 1})) == (
        "$[1]",
        "Object contains unknown field `\\x1b\\u202e`",
    )
    assert flaw(changed(**{"\ud800": 1})) == ("$[1]", "half of a surrogate pair is no character")
    assert len(flaw(changed(**{"x" * 10_000: 1}))[1]) == 200


def test_the_stored_row_has_what_the_analysis_reads() -> None:
    request = ExportTraceServiceRequest.FromString(read(GOOD).payload)

    [row] = to_table([(NOW, request)]).to_pylist(maps_as_pydicts="strict")

    assert (row["Outcome"], row["OutcomeId"]) == ("purchase", "order-1")
    assert row["OutcomeValues"] == {"amount": 12.5, "items": 3.0}
    assert row["ServiceName"] == "meshtrial-outcomes"


@pytest.mark.parametrize(
    ("time", "ns"),
    [
        (0, 0),
        (1_772_357_400, 1_772_357_400_000_000_000),
        (1_772_357_400.25, 1_772_357_400_250_000_000),
        ("1970-01-01T00:00:00.000001Z", 1_000),
        ("2026-03-01T09:30:00-00:00", 1_772_357_400_000_000_000),
    ],
)
def test_times_are_rfc_3339_or_seconds_since_1970(time: object, ns: int) -> None:
    [span] = spans(read(changed(time=time)))

    assert ns == span.start_time_unix_nano


def test_of_a_file_an_outcome_before_2000_is_refused_and_any_other_is_not() -> None:
    early = json.dumps(changed(time=0)).encode()

    [refused] = to_spans(early, KEY, NOW, imported=True).refused

    assert (refused.path, refused.error) == ("$.time", "0.0 is before 2000; a number is seconds since 1970")
    assert to_spans(early, KEY, NOW).accepted == 1


WORD = "a name begins with a lower-case letter; letters, digits, `_`, `.`, `-` follow, 64 in all"
KIND = (
    "a unit's kind is `request`, or `header:`, `cookie:` or `query:` with its name (a header's in lower "
    "case), or `metadata:NAMESPACE:PATH`"
)
YEARS = "is not in 1970 to 2262; a number is seconds since 1970"


@pytest.mark.parametrize(
    ("item", "path", "error"),
    [
        (7, "$[1]", "Expected `object`, got `int`"),
        (None, "$[1]", "Expected `object`, got `null`"),
        ({}, "$[1]", "Object missing required field `unit`"),
        (changed(id=None), "$[1]", "Object missing required field `id`"),
        (changed(note="x"), "$[1]", "Object contains unknown field `note`"),
        (changed(id=7), "$[1].id", "Expected `str`, got `int`"),
        (changed(id=""), "$[1].id", "Expected `str` of length >= 1"),
        (changed(id="x" * 257), "$[1].id", "Expected `str` of length <= 256"),
        (changed(id="\ud800"), "$[1].id", "half of a surrogate pair is no character"),
        (changed(unit={"kind": "request"}), "$[1].unit", "Object missing required field `value`"),
        (changed(unit={"kind": "request", "value": 5}), "$[1].unit.value", "Expected `str`, got `int`"),
        (changed(unit={"kind": "request", "value": ""}), "$[1].unit.value", "Expected `str` of length >= 1"),
        (
            changed(unit={"kind": "request", "value": "\u00e4" * 513}),
            "$[1].unit.value",
            "1026 bytes; a unit has at most 1024",
        ),
        (
            changed(unit={"kind": "request", "value": "\udfff"}),
            "$[1].unit.value",
            "half of a surrogate pair is no character",
        ),
        (changed(unit={"kind": "cookie:s;d", "value": "x"}), "$[1].unit.kind", KIND),
        (changed(unit={"kind": "header:X-User-Id", "value": "x"}), "$[1].unit.kind", KIND),
        (changed(unit={"kind": "header:", "value": "x"}), "$[1].unit.kind", KIND),
        (changed(unit={"kind": "request\n", "value": "x"}), "$[1].unit.kind", KIND),
        (changed(occurrence=1), "$[1].occurrence", "an outcome with an id has none"),
        (changed(id=None, occurrence=0), "$[1].occurrence", "Expected `int` >= 1"),
        (changed(name="Purchase"), "$[1].name", WORD),
        (changed(name="p" * 65), "$[1].name", WORD),
        (changed(name="purchase\n"), "$[1].name", WORD),
        (changed(time=None), "$[1]", "Object missing required field `time`"),
        (changed(time="yesterday"), "$[1].time", "Invalid RFC3339 encoded datetime"),
        (changed(time="2026-03-01T10:30:00"), "$[1].time", "Expected `datetime` with a timezone component"),
        (changed(time=True), "$[1].time", "Expected `float | datetime`, got `bool`"),
        (changed(time=-1), "$[1].time", f"-1.0 {YEARS}"),
        (changed(time=1_772_357_400_000), "$[1].time", f"1772357400000.0 {YEARS}"),
        (changed(time=float("nan")), "$[1].time", f"nan {YEARS}"),
        (changed(time="1969-12-31T23:59:59Z"), "$[1].time", f"1969-12-31 23:59:59+00:00 {YEARS}"),
        (changed(values={"amount": "12"}), "$[1].values[...]", "Expected `float`, got `str`"),
        (changed(values={"amount": True}), "$[1].values[...]", "Expected `float`, got `bool`"),
        (changed(values={"amount": float("nan")}), "$[1].values.amount", "nan is no number within 1e+100"),
        (changed(values={"amount": float("-inf")}), "$[1].values.amount", "-inf is no number within 1e+100"),
        (changed(values={"amount": 1.1e100}), "$[1].values.amount", "1.1e+100 is no number within 1e+100"),
        (changed(values={"Amount": 1}), "$[1].values", WORD),
        (changed(values=[1]), "$[1].values", "Expected `object`, got `array`"),
    ],
)
def test_a_malformed_outcome_is_refused_with_its_place_and_the_rest_taken(
    item: object, path: str, error: str
) -> None:
    assert (path, error) == flaw(item)


def test_an_outcome_on_its_own_is_refused_without_an_index_in_its_path() -> None:
    batch = read(changed(id=7))

    assert (RefusedItem(0, "$.id", "Expected `str`, got `int`"),) == batch.refused


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the body is not JSON: Expecting value"),
        (b"{", "the body is not JSON: Expecting property name"),
        (b"[" * 100_000, "the body is not JSON: nested too deeply"),
        (b'{"id": "\xff"}', "the body is not JSON: 'utf-8' codec can't decode"),
        (b"1" * 5_000, "the body is not JSON: Exceeds the limit"),
        (b'"text"', "the body must be one outcome .* or an array of them"),
        (b"null", "the body must be one outcome .* or an array of them"),
    ],
)
def test_a_body_in_which_nothing_can_be_read_is_refused_with_400(body: bytes, reason: str) -> None:
    with pytest.raises(Refused, match=reason) as refused:
        to_spans(body, KEY, NOW)

    assert refused.value.status == 400


def test_ten_thousand_outcomes_are_taken_and_one_more_is_too_many() -> None:
    assert read([changed(id=str(n)) for n in range(10_000)]).accepted == 10_000
    with pytest.raises(Refused, match="10001 outcomes in one request; at most 10000 are taken") as refused:
        read([7] * 10_001)
    assert refused.value.status == 413


json_texts = st.text(st.characters(codec=None), max_size=5)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.sampled_from([10**400, -(10**20), 2**63, "\ud800", "2262-04-12T00:00:00Z"])
    | json_texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*GOOD, "kind", "value"]) | json_texts, inner, max_size=5)
    ),
    max_leaves=6,
)
items = json_values | st.builds(lambda k, v: changed(**{k: v}), st.sampled_from(list(GOOD)), json_values)
deep = st.integers(0, 2_000).map(lambda depth: "[" * depth + "1" + "]" * depth)


@given(st.lists(items))
def test_of_any_array_every_item_is_either_taken_or_refused_in_text_that_can_be_sent(
    documents: list[object],
) -> None:
    batch = read(documents)

    assert len(documents) == batch.accepted + len(batch.refused) == len(spans(batch)) + len(batch.refused)
    for refused in batch.refused:
        assert (refused.path + refused.error).isprintable()
        json.dumps(refused.as_json(), ensure_ascii=False).encode()


@given(items.map(json.dumps) | deep | json_texts, st.sampled_from(["{}", "[{}]", '{{"id": {}}}']))
def test_of_any_document_there_is_an_answer(text: str, around: str) -> None:
    body = around.format(text).encode("utf-8", "surrogatepass")
    status, answer = 200, ""
    try:
        batch = to_spans(body, KEY, NOW)
        answer = json.dumps([refused.as_json() for refused in batch.refused], ensure_ascii=False)
    except Refused as refusal:
        status, answer = refusal.status, str(refusal)

    assert status in {200, 400}
    answer.encode()  # raises on half of a surrogate pair
