from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from collecting import fill, trace_request
from meshtrial.store.rows import to_table
from meshtrial.store.schema import SCHEMA
from meshtrial.store.schema import __doc__ as schema_page

EPOCH = pa.scalar(0, pa.timestamp("us")).as_py()
TRACE, SPAN, PARENT = bytes(range(16)), bytes(range(8)), bytes(range(8, 16))


def row(received_ns: int = 0, **fields: Any) -> dict[str, Any]:
    """The one row of a span with these fields."""
    [only] = dicts(to_table([(received_ns, trace_request(fields))]))
    return only


def dicts(table: pa.Table) -> list[dict[str, Any]]:
    """The rows, their times as ns: Python's own times have no nanoseconds."""
    for name in ("Timestamp", "ReceivedAt"):
        index = table.schema.get_field_index(name)
        table = table.set_column(index, name, table[name].cast(pa.int64()))
    rows: list[dict[str, Any]] = table.to_pylist(maps_as_pydicts="strict")
    return rows


def promoted(name: str, value: object, *, span: str = "test") -> Any:
    """What a column holds when a span of this name carries the attribute."""
    column, attribute = name.split("=")
    return row(name=span, attributes={attribute: value})[column]


def test_a_span_becomes_the_row_that_the_collector_would_write() -> None:
    request = trace_request(
        {
            "trace_id": TRACE,
            "span_id": SPAN,
            "parent_span_id": PARENT,
            "trace_state": "a=b",
            "name": "GET /",
            "kind": 2,
            "start_time_unix_nano": 1_700_000_000_123_456_789,
            "end_time_unix_nano": 1_700_000_000_123_457_789,
            "attributes": {"text": "x", "number": 7, "truth": True, "half": 0.5},
        },
        resource={"service.name": "shop", "pod": "a-1"},
    )
    scope = request.resource_spans[0].scope_spans[0]
    scope.scope.name, scope.scope.version = "envoy", "1.40"
    scope.spans[0].status.MergeFrom(Status(code=Status.STATUS_CODE_ERROR, message="upstream reset"))
    event = scope.spans[0].events.add(time_unix_nano=5_000, name="retry")
    fill(event.attributes, {"n": 1})
    link = scope.spans[0].links.add(trace_id=TRACE, span_id=PARENT, trace_state="c=d")
    fill(link.attributes, {"why": "mirror"})

    [written] = dicts(to_table([(9, request)]))

    standard = {name: written[name] for name in SCHEMA.names[: SCHEMA.names.index("Experiment")]}
    assert {
        "Timestamp": 1_700_000_000_123_456_789,
        "TraceId": "000102030405060708090a0b0c0d0e0f",
        "SpanId": "0001020304050607",
        "ParentSpanId": "08090a0b0c0d0e0f",
        "TraceState": "a=b",
        "SpanName": "GET /",
        "SpanKind": "Server",
        "ServiceName": "shop",
        "ResourceAttributes": {"service.name": "shop", "pod": "a-1"},
        "ScopeName": "envoy",
        "ScopeVersion": "1.40",
        "SpanAttributes": {"text": "x", "number": "7", "truth": "true", "half": "0.5"},
        "Duration": 1_000,
        "StatusCode": "Error",
        "StatusMessage": "upstream reset",
        "Events": [
            {"Timestamp": EPOCH + timedelta(microseconds=5), "Name": "retry", "Attributes": {"n": "1"}}
        ],
        "Links": [
            {
                "TraceId": "000102030405060708090a0b0c0d0e0f",
                "SpanId": "08090a0b0c0d0e0f",
                "TraceState": "c=d",
                "Attributes": {"why": "mirror"},
            }
        ],
    } == standard
    assert written["ReceivedAt"] == 9


def test_an_exposure_fills_the_promoted_columns() -> None:
    written = row(
        name="meshtrial.exposure",
        attributes={
            "feature_flag.key": "rank-v2",
            "feature_flag.result.variant": "v2",
            "feature_flag.result.reason": "split",
            "feature_flag.context.id": "ffffffffffffffff0123456789abcdef",
            "feature_flag.version": "d" * 64,
            "meshtrial.bucket": 9_999,
            "meshtrial.phase": "0011223344556677",
            "meshtrial.unit.kind": "header:x-user-id",
            "meshtrial.key.id": "89abcdef",
            "meshtrial.exposed": True,
            "meshtrial.plane": "ext_proc",
            "meshtrial.cohort": "enterprise",
            "meshtrial.group.id": "0000000000000007" + "e" * 16,
            "meshtrial.group.kind": "header:x-store",
            "meshtrial.window": 990_000,
            "meshtrial.strata.x-country": "IN",
            "meshtrial.strata.x-tier": "",
            "meshtrial.neighbours": f"{7:016x}{'e' * 16},{'f' * 32}",
        },
    )

    expected = {
        "Experiment": "rank-v2",
        "Arm": "v2",
        "Reason": "split",
        "Phase": "0011223344556677",
        "Plan": "d" * 64,
        "UnitKind": "header:x-user-id",
        "KeyId": "89abcdef",
        "Plane": "ext_proc",
        "Cohort": "enterprise",
        "Outcome": None,
        "OutcomeId": None,
        "Unit": 2**64 - 1,
        "Group": 7,
        "Window": 990_000,
        "Bucket": 9_999,
        "Exposed": True,
        "OutcomeValues": None,
        "Strata": {"x-country": "IN", "x-tier": ""},
        "Neighbours": [7, 2**64 - 1],
        "Status": None,
        "GrpcStatus": None,
        "Route": None,
        "FailedOpen": None,
    }
    assert expected == {name: written[name] for name in expected}
    assert written["SpanAttributes"]["meshtrial.strata.x-country"] == "IN"


def test_a_request_fills_the_promoted_columns() -> None:
    said = {
        "http.response.status_code": 503,
        "rpc.grpc.status_code": 14,
        "meshtrial.route": "rank-v2-control",
        "meshtrial.failed_open": True,
    }
    written = row(name="meshtrial.request", attributes=said)

    expected = {"Status": 503, "GrpcStatus": 14, "Route": "rank-v2-control", "FailedOpen": True}
    assert expected == {name: written[name] for name in expected}
    assert (written["Strata"], written["Neighbours"], written["Exposed"]) == (None, None, None)


def test_strata_are_those_of_exposures_and_null_where_there_are_none() -> None:
    attribute = "meshtrial.strata.x-country"

    assert promoted(f"Strata={attribute}", "IN", span="meshtrial.exposure") == {"x-country": "IN"}
    assert promoted(f"Strata={attribute}", "IN", span="meshtrial.request") is None
    assert row(name="meshtrial.exposure")["Strata"] is None


def test_of_neighbours_the_first_hundred_pseudonyms_are_stored() -> None:
    many = ",".join(f"{number:016x}" + "f" * 16 for number in range(101))

    assert promoted("Neighbours=meshtrial.neighbours", many) == list(range(100))
    assert promoted("Neighbours=meshtrial.neighbours", "shop-17,shop-18") == []


def test_an_outcome_fills_the_promoted_columns() -> None:
    written = row(
        name="meshtrial.outcome",
        attributes={
            "meshtrial.outcome.name": "purchase",
            "meshtrial.outcome.id": "order-1",
            "meshtrial.outcome.values.amount": 12.5,
            "meshtrial.outcome.values.items": 3,
            "meshtrial.outcome.values.broken": "many",
            "meshtrial.outcome.values.infinite": float("inf"),
        },
    )

    assert (written["Outcome"], written["OutcomeId"]) == ("purchase", "order-1")
    assert written["OutcomeValues"] == {"amount": 12.5, "items": 3.0}


def test_a_span_of_another_name_is_no_outcome() -> None:
    assert promoted("Outcome=meshtrial.outcome.name", "purchase") is None
    assert promoted("OutcomeId=meshtrial.outcome.id", "order-1") is None
    assert promoted("OutcomeValues=meshtrial.outcome.values.amount", 1.0) is None


def value_of(text: str) -> Any:
    """What is stored of an outcome's amount that came as text."""
    return row(name="meshtrial.outcome", attributes={"meshtrial.outcome.values.amount": text})[
        "OutcomeValues"
    ]


@pytest.mark.parametrize(
    ("text", "value"), [("12.5", 12.5), ("-3", -3), ("1e-3", 0.001), (".5", 0.5), ("+7.", 7), (" 8e0 ", 8)]
)
def test_a_value_that_came_as_text_is_the_number_that_it_says(text: str, value: float) -> None:
    assert value_of(text) == {"amount": value}


@pytest.mark.parametrize("text", ["1_000", "1 2", "1,5", "0x10", "nan", "inf", "1e999", "\u0661", ""])
def test_text_that_is_no_decimal_number_is_no_value(text: str) -> None:
    assert value_of(text) == {}


def test_an_outcome_without_values_has_an_empty_map() -> None:
    assert row(name="meshtrial.outcome")["OutcomeValues"] == {}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("Unit=feature_flag.context.id", "0000000000000001" + "f" * 16, 1),
        ("Unit=feature_flag.context.id", "ann@example.com", None),
        ("Unit=feature_flag.context.id", "f" * 31, None),
        ("Unit=feature_flag.context.id", "f" * 33, None),
        ("Unit=feature_flag.context.id", "F" * 32, None),
        ("Unit=feature_flag.context.id", 12, None),
        ("Bucket=meshtrial.bucket", 0, 0),
        ("Bucket=meshtrial.bucket", 2**32 - 1, 2**32 - 1),
        ("Bucket=meshtrial.bucket", 2**32, None),
        ("Bucket=meshtrial.bucket", -1, None),
        ("Bucket=meshtrial.bucket", "17", 17),  # proxies write every tag as text
        ("Bucket=meshtrial.bucket", "1_7", None),
        ("Bucket=meshtrial.bucket", "\u0661", None),
        ("Bucket=meshtrial.bucket", 1.5, None),
        ("Bucket=meshtrial.bucket", True, None),
        ("Group=meshtrial.group.id", "store-7", None),
        ("Window=meshtrial.window", "-3", -3),
        ("Window=meshtrial.window", 1.5, None),
        ("Window=meshtrial.window", "9" * 19, None),
        ("Exposed=meshtrial.exposed", "true", True),
        ("Exposed=meshtrial.exposed", False, False),
        ("Exposed=meshtrial.exposed", "yes", None),
        ("Exposed=meshtrial.exposed", 1, None),
        ("Status=http.response.status_code", "200", 200),
        ("Status=http.response.status_code", 65_536, None),
        ("Status=http.response.status_code", -1, None),
        ("GrpcStatus=rpc.grpc.status_code", "OK", None),
        ("FailedOpen=meshtrial.failed_open", "1", None),
    ],
)
def test_a_promoted_column_is_null_where_the_attribute_is_not_what_it_holds(
    name: str, value: object, expected: object
) -> None:
    assert expected == promoted(name, value)


def test_malformed_pieces_leave_the_rest_of_the_row() -> None:
    written = row(
        trace_id=b"short",
        span_id=b"",
        kind=99,
        start_time_unix_nano=2**64 - 1,
        end_time_unix_nano=1,
        attributes={"meshtrial.bucket": "x", "feature_flag.key": "rank-v2"},
    )

    assert (written["TraceId"], written["SpanId"], written["SpanKind"]) == ("", "", "99")
    assert written["Timestamp"] is None
    assert written["Duration"] == 0
    assert (written["Bucket"], written["Experiment"]) == (None, "rank-v2")


def test_of_a_key_that_comes_twice_the_last_counts() -> None:
    request = trace_request({"attributes": {"feature_flag.key": "first"}})
    fill(request.resource_spans[0].scope_spans[0].spans[0].attributes, {"feature_flag.key": "last"})

    [written] = dicts(to_table([(0, request)]))

    assert written["SpanAttributes"] == {"feature_flag.key": "last"}
    assert written["Experiment"] == "last"


def test_no_requests_make_an_empty_table_of_the_schema() -> None:
    assert SCHEMA.empty_table() == to_table([])


def test_rows_keep_their_order_over_many_requests() -> None:
    requests = [(at, trace_request(*({"name": f"{at}-{n}"} for n in range(7)))) for at in range(1_000)]

    table = to_table(requests)

    assert [f"{at}-{n}" for at in range(1_000) for n in range(7)] == table["SpanName"].to_pylist()
    assert table.schema == SCHEMA


NOW, DAY = 1_800_000_000 * 10**9, 86_400 * 10**9


@pytest.mark.parametrize(
    ("start", "exposed"),
    [
        (NOW, True),
        (NOW - 30 * DAY, True),
        (NOW - 30 * DAY - 1, None),
        (NOW + DAY, True),
        (NOW + DAY + 1, None),
        (0, None),
        (2**63 - 1, None),
        (2**64 - 1, None),
    ],
)
def test_an_exposure_of_an_impossible_time_is_kept_and_not_analysed(start: int, exposed: bool | None) -> None:
    written = row(
        NOW,
        name="meshtrial.exposure",
        start_time_unix_nano=start,
        attributes={"feature_flag.key": "rank-v2", "meshtrial.exposed": True},
    )

    assert (written["Exposed"], written["Experiment"]) == (exposed, "rank-v2")
    assert written["SpanAttributes"]["meshtrial.exposed"] == "true"


@pytest.mark.parametrize(("start", "outcome"), [(0, "p"), (NOW + DAY, "p"), (NOW + DAY + 1, None)])
def test_an_outcome_may_be_old_and_not_of_a_later_day(start: int, outcome: str | None) -> None:
    attributes = {"meshtrial.outcome.name": "p", "meshtrial.outcome.id": "a"}
    written = row(NOW, name="meshtrial.outcome", start_time_unix_nano=start, attributes=attributes)

    assert outcome == written["Outcome"]
    assert (written["OutcomeId"] is None) == (written["OutcomeValues"] is None) == (outcome is None)


@given(st.binary(max_size=40), st.binary(max_size=20), st.integers(0, 2**64 - 1), st.text(max_size=40))
def test_whatever_ids_times_and_texts_come_a_row_comes_out(
    trace: bytes, span: bytes, at: int, text: str
) -> None:
    fields = {"trace_id": trace, "span_id": span, "start_time_unix_nano": at, "name": text}
    attributes = {"feature_flag.context.id": text, "meshtrial.bucket": text, "meshtrial.exposed": text}

    table = to_table([(0, trace_request({**fields, "attributes": attributes}))])

    assert table.num_rows == 1


def test_every_column_is_explained_on_the_schema_page_with_its_type() -> None:
    assert schema_page is not None
    explained = dict(
        line.split()[:2] for line in schema_page.splitlines() if line and line.split()[0] in SCHEMA.names
    )
    types = {
        pa.timestamp("ns"): "timestamp[ns]",
        pa.string(): "string",
        pa.uint64(): "uint64",
        pa.uint32(): "uint32",
        pa.uint16(): "uint16",
        pa.list_(pa.uint64()): "list<uint64>",
        pa.int64(): "int64",
        pa.bool_(): "bool",
        pa.dictionary(pa.int32(), pa.string()): "dictionary<string>",
        pa.map_(pa.string(), pa.string()): "map<string,",
        pa.map_(pa.string(), pa.float64()): "map<string,",
    }

    assert {field.name: types.get(field.type, "list<struct>") for field in SCHEMA} == explained


YEAR = 365 * 86_400 * 10**9


@pytest.mark.parametrize("name", ["meshtrial.exposure", "meshtrial.outcome"])
def test_what_was_imported_counts_as_received_when_it_happened(name: str) -> None:
    attributes = {"meshtrial.imported": True, "meshtrial.exposed": True, "meshtrial.outcome.name": "purchase"}

    written = row(9 * YEAR, name=name, start_time_unix_nano=YEAR, attributes=attributes)

    assert (written["ReceivedAt"], written["Exposed"]) == (YEAR, True)


def test_an_imported_exposure_of_the_future_is_a_mistake_all_the_same() -> None:
    attributes = {"meshtrial.imported": True, "meshtrial.exposed": True}

    written = row(YEAR, name="meshtrial.exposure", start_time_unix_nano=2 * YEAR, attributes=attributes)

    assert written["Exposed"] is None


def test_other_spans_are_not_imported_whatever_they_say() -> None:
    written = row(9 * YEAR, start_time_unix_nano=YEAR, attributes={"meshtrial.imported": True})

    assert written["ReceivedAt"] == 9 * YEAR
