"""Exposures as the door for imports takes them."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from meshtrial.collect.exposures import to_spans
from meshtrial.collect.items import Batch
from meshtrial.errors import Refused
from meshtrial.pseudonym import PseudonymKey
from meshtrial.record.outcome import KIND_RULE, NAME_RULE
from meshtrial.store.values import as_string

SECRET = b"sixteen bytes ok"
KEY = PseudonymKey.of(SECRET)
DAY = 86_400
NOW = 1_800_000_000
GOOD: dict[str, Any] = {
    "unit": {"kind": "cookie:sid", "value": "ann"},
    "experiment": "rank-v2",
    "arm": "v2",
    "phase": "0011223344556677",
    "plan": "d" * 64,
    "time": "2026-03-01T10:30:00.5+01:00",
}
AT = 1_772_357_400_500_000_000


def read(document: object) -> Batch:
    return to_spans(json.dumps(document).encode(), KEY, NOW * 10**9)


def span_of(**fields: object) -> Span:
    batch = read(changed(**fields))
    assert (batch.accepted, batch.refused) == (1, ())
    return ExportTraceServiceRequest.FromString(batch.payload).resource_spans[0].scope_spans[0].spans[0]


def changed(**fields: object) -> dict[str, Any]:
    return {name: value for name, value in {**GOOD, **fields}.items() if value is not None}


def said(span: Span) -> dict[str, str]:
    return {attribute.key: as_string(attribute.value) for attribute in span.attributes}


def pseudonym(kind: str, unit: str) -> str:
    return hmac.new(SECRET, f"{kind}\0{unit}".encode(), hashlib.sha256).hexdigest()[:32]


def test_an_exposure_becomes_the_span_that_a_sidecar_would_write_and_says_that_it_was_imported() -> None:
    span = span_of()

    assert (span.name, span.start_time_unix_nano, span.end_time_unix_nano) == ("meshtrial.exposure", AT, AT)
    assert said(span) == {
        "feature_flag.key": "rank-v2",
        "feature_flag.result.variant": "v2",
        "feature_flag.result.reason": "split",
        "feature_flag.version": "d" * 64,
        "feature_flag.provider.name": "meshtrial",
        "feature_flag.context.id": pseudonym("cookie:sid", "ann"),
        "meshtrial.phase": "0011223344556677",
        "meshtrial.unit.kind": "cookie:sid",
        "meshtrial.key.id": KEY.id,
        "meshtrial.exposed": "true",
        "meshtrial.imported": "true",
    }


def test_cohort_group_and_strata_are_recorded_where_they_are_given() -> None:
    more = said(
        span_of(cohort="gold", group={"kind": "header:x-shop", "value": "s1"}, strata={"x-country": "IN"})
    )

    assert more["meshtrial.cohort"] == "gold"
    assert more["meshtrial.group.id"] == pseudonym("header:x-shop", "s1")
    assert more["meshtrial.group.kind"] == "header:x-shop"
    assert more["meshtrial.strata.x-country"] == "IN"


def ids(span: Span) -> tuple[bytes, bytes]:
    assert (len(span.trace_id), len(span.span_id)) == (16, 8)
    return span.trace_id, span.span_id


def test_the_same_exposure_has_the_same_ids_and_another_has_not() -> None:
    same = [span_of(), span_of(time=AT / 1e9), span_of(plan="e" * 64), span_of(strata={"x-a": "b"})]
    others = [
        span_of(arm="v1"),
        span_of(time=AT / 1e9 + 1),
        span_of(experiment="other"),
        span_of(phase="f" * 16),
        span_of(unit={"kind": "cookie:sid", "value": "bob"}),
        span_of(unit={"kind": "cookie:id", "value": "ann"}),
    ]

    assert len({ids(span) for span in same}) == 1
    assert len({ids(span) for span in (*same, *others)}) == 1 + len(others)
    assert b"ann" not in read(GOOD).payload


@pytest.mark.parametrize(
    ("fields", "path", "error"),
    [
        ({"arm": None}, "", "Object missing required field `arm`"),
        ({"arm": "V 2"}, ".arm", NAME_RULE),
        ({"experiment": ""}, ".experiment", NAME_RULE),
        ({"cohort": "Gold"}, ".cohort", NAME_RULE),
        ({"phase": "short"}, ".phase", "a phase is 16 hex digits in lower case"),
        ({"plan": "D" * 64}, ".plan", "a plan's digest is 64 hex digits in lower case"),
        ({"unit": {"kind": "user", "value": "ann"}}, ".unit.kind", KIND_RULE),
        (
            {"unit": {"kind": "request", "value": "x" * 1025}},
            ".unit.value",
            "1025 bytes; a unit has at most 1024",
        ),
        ({"group": {"kind": "user", "value": "ann"}}, ".group.kind", KIND_RULE),
        ({"strata": {"x-a": "x" * 65}}, ".strata.x-a", "a stratum's value has at most 64 bytes"),
        ({"strata": {"X-A": "x"}}, ".strata", "a stratum is called as its header, in lower case"),
        ({"strata": {f"x-{n}": "x" for n in range(9)}}, ".strata", "at most 8 strata are recorded"),
        ({"time": NOW + DAY + 1}, ".time", f"{NOW + DAY + 1.0} is more than a day after its receipt"),
        ({"time": 0}, ".time", "0.0 is before 2000; a number is seconds since 1970"),
        (
            {"time": "1999-12-31T23:59:59Z"},
            ".time",
            "1999-12-31 23:59:59+00:00 is before 2000; a number is seconds since 1970",
        ),
        ({"bucket": 7}, "", "Object contains unknown field `bucket`"),
    ],
)
def test_what_is_malformed_is_refused_alone(fields: dict[str, object], path: str, error: str) -> None:
    batch = read([GOOD, changed(**fields), GOOD])

    assert batch.accepted == 2
    assert [(item.index, item.path, item.error) for item in batch.refused] == [(1, f"$[1]{path}", error)]


def test_the_example_of_the_documentation_is_taken() -> None:
    page = Path(__file__, "../../../../docs/exposures.md").resolve().read_text()
    body = page.partition("/v1/exposures -d '")[2].partition("'\n")[0]

    batch = to_spans(body.encode(), KEY, NOW * 10**9)

    assert (batch.accepted, batch.refused) == (1, ())


def test_an_exposure_of_long_ago_is_taken() -> None:
    assert span_of(time=946_684_800).start_time_unix_nano == 946_684_800 * 10**9


PLAN: dict[str, Any] = {
    "experiment": "rank-v2",
    "phase": "0011223344556677",
    "plan": "d" * 64,
    "document": '{"experiments":{"rank-v2":{}}}',
    "time": "2026-03-01T10:30:00.5+01:00",
}


def plan_span(**fields: object) -> Span:
    batch = read([{**PLAN, **fields}])
    assert (batch.accepted, batch.refused) == (1, ())
    return ExportTraceServiceRequest.FromString(batch.payload).resource_spans[0].scope_spans[0].spans[0]


def test_the_plan_of_an_import_becomes_the_span_that_a_sidecar_would_write() -> None:
    span = plan_span()

    assert (span.name, span.start_time_unix_nano, span.end_time_unix_nano) == ("meshtrial.experiment", AT, AT)
    assert said(span) == {
        "feature_flag.key": "rank-v2",
        "feature_flag.version": "d" * 64,
        "meshtrial.phase": "0011223344556677",
        "meshtrial.experiment.document": PLAN["document"],
        "meshtrial.imported": "true",
    }


def test_the_same_plan_imported_again_is_the_same_span_and_another_is_not() -> None:
    others = [
        plan_span(experiment="other", document='{"experiments":{"other":{}}}'),
        plan_span(phase="f" * 16),
        plan_span(plan="e" * 64),
        plan_span(document='{"experiments":{"rank-v2":{}}} '),
    ]

    assert ids(plan_span(time=NOW)) == ids(plan_span())
    assert len({ids(span) for span in (plan_span(), *others)}) == 5


NO_PLAN = "it is not the JSON of a plan that has `rank-v2`"


@pytest.mark.parametrize(
    ("fields", "path", "error"),
    [
        ({"experiment": "V 2"}, ".experiment", NAME_RULE),
        ({"phase": "short"}, ".phase", "a phase is 16 hex digits in lower case"),
        ({"plan": "D" * 64}, ".plan", "a plan's digest is 64 hex digits in lower case"),
        ({"document": 7}, ".document", "Expected `str`, got `int`"),
        ({"document": ""}, ".document", NO_PLAN),
        ({"document": "[" * 60_000}, ".document", NO_PLAN),
        ({"document": '{"experiments":{"other":{}}}'}, ".document", NO_PLAN),
        ({"document": "\ud800"}, ".document", "half of a surrogate pair is no character"),
        ({"document": "x" * 65_537}, ".document", "65537 bytes; a plan's document has at most 65536"),
        ({"time": NOW + DAY + 1}, ".time", f"{NOW + DAY + 1.0} is more than a day after its receipt"),
        ({"time": 0}, ".time", "0.0 is before 2000; a number is seconds since 1970"),
        ({"arm": "v2"}, "", "Object contains unknown field `arm`"),
        ({"phase": None}, "", "Object missing required field `phase`"),
    ],
)
def test_a_malformed_plan_is_refused_alone(fields: dict[str, object], path: str, error: str) -> None:
    wrong = {name: value for name, value in {**PLAN, **fields}.items() if value is not None}

    batch = read([GOOD, wrong, PLAN])

    assert batch.accepted == 2
    assert [(item.index, item.path, item.error) for item in batch.refused] == [(1, f"$[1]{path}", error)]


def test_a_body_that_holds_none_is_refused_whole() -> None:
    with pytest.raises(Refused, match=r"^the body must be one exposure"):
        read(5)
    with pytest.raises(Refused, match=r"^10001 exposures in one request; at most 10000 are taken"):
        read([GOOD] * 10_001)
