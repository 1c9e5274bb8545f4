import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from meshtrial.plan.load import load
from meshtrial.pseudonym import PseudonymKey
from meshtrial.record import experiment as record
from plan_values import on, plan_of

KEY = PseudonymKey.of(b"sixteen bytes ok")
HOUR = 3600 * 10**9
AT = 500_000 * HOUR
PLAN = plan_of({"rank-v2": on("/rank/"), "other": on("/other/")})
RANK = PLAN.experiments[1]


def span(before: str = "", at: int = AT, key: PseudonymKey = KEY, plan: object = PLAN) -> Span:
    written = record.experiment_record(PLAN if plan is PLAN else OTHER, RANK, before, at, key)
    assert written is not None
    ((of_resource,),) = [ExportTraceServiceRequest.FromString(written).resource_spans]
    return of_resource.scope_spans[0].spans[0]


OTHER = plan_of({"rank-v2": on("/rank/"), "other": on("/new/")})


def test_the_span_says_which_plan_brought_which_form_of_the_experiment_and_when() -> None:
    found = span()

    said = {attribute.key: attribute.value.string_value for attribute in found.attributes}
    assert (found.name, found.start_time_unix_nano, found.end_time_unix_nano) == (
        "meshtrial.experiment",
        AT,
        AT,
    )
    assert load(said.pop("meshtrial.experiment.document"), "recorded").experiments == (RANK,)
    assert said == {
        "feature_flag.key": "rank-v2",
        "feature_flag.version": PLAN.digest,
        "meshtrial.phase": RANK.phase,
    }


def ids(found: Span) -> tuple[bytes, bytes]:
    return found.trace_id, found.span_id


def test_the_same_change_within_an_hour_is_the_same_span_and_another_is_not() -> None:
    assert ids(span()) == ids(span(at=AT + HOUR - 1))
    others = [
        span(at=AT + HOUR),
        span(before="x"),
        span(key=PseudonymKey.of(b"another key, 16+")),
        span(plan=OTHER),
    ]
    assert len({ids(span()), *map(ids, others)}) == 5
    assert (len(span().trace_id), len(span().span_id)) == (16, 8)


def test_what_is_too_large_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "LARGEST_DOCUMENT", 100)

    assert record.experiment_record(PLAN, RANK, "", AT, KEY) is None
