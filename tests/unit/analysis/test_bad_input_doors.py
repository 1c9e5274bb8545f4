"""Bad data by the real way: what a client sends, through the door and a store on disk, to the report."""

import asyncio
import json
import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collecting import trace_request
from judged_rows import PLAN, check, numbers
from meshtrial.analysis.report import make_report
from meshtrial.analysis.report_parts import Report
from meshtrial.collect.outcomes import to_spans
from meshtrial.collect.spans import accept
from meshtrial.pseudonym import PseudonymKey
from meshtrial.store.journal import Journal
from meshtrial.store.layout import Layout
from meshtrial.store.read import connect
from meshtrial.store.segments import roll
from trial_rows import nanoseconds

KEY = PseudonymKey.of(b"a pseudonym key for tests only")
Received = tuple[int, ExportTraceServiceRequest]


def unit_of(number: int) -> Mapping[str, object]:
    return {
        "feature_flag.context.id": KEY.pseudonym("header:x-user-id", str(number).encode()),
        "meshtrial.unit.kind": "header:x-user-id",
        "meshtrial.key.id": KEY.id,
    }


def span(name: str, number: int, second: float, attributes: Mapping[str, object]) -> Received:
    """As a sidecar or an application sends it, with ids of its own, received at once."""
    at, ids = nanoseconds(second), random.Random(f"{name} {number} {second}")
    fields: dict[str, Any] = {
        "trace_id": ids.randbytes(16),
        "span_id": ids.randbytes(8),
        "name": name,
        "start_time_unix_nano": at,
        "end_time_unix_nano": at,
        "attributes": {**unit_of(number), **attributes},
    }
    return at, trace_request(fields)


def exposure(number: int, second: float) -> Received:
    attributes = {
        "feature_flag.key": "rank-v2",
        "feature_flag.result.variant": "v2" if number % 2 else "v1",
        "meshtrial.phase": PLAN.experiments[0].phase,
        "meshtrial.exposed": True,
        "meshtrial.plane": "ext_proc",
    }
    return span("meshtrial.exposure", number, second, attributes)


def outcome(number: int, second: float, amount: object) -> Received:
    attributes = {"meshtrial.outcome.name": "purchase", "meshtrial.outcome.values.amount": amount}
    return span("meshtrial.outcome", number, second, attributes)


def hundred() -> list[Received]:
    return [exposure(number, number / 100) for number in range(100)]


def report_of(path: Path, received: list[Received], *, segments: int = 1) -> Report:
    """Through the door's checks into journals, of which the first are rolled; read as the command reads."""

    async def store() -> None:
        layout = Layout(path)
        layout.create()
        for number in (1, 2):
            journal = Journal(layout.journal(number), 2**24)
            for at, request in received[number - 1 :: 2]:
                taken = accept(request.SerializeToString(), KEY, at, authenticated=True)
                await journal.append(taken.payload, at)
            await journal.close()
            if number <= segments:
                roll(layout, number)

    asyncio.run(store())
    with connect(path, exposures_once=False) as connection:
        return make_report(connection, PLAN, PLAN.experiments[0], nanoseconds(60))


@pytest.mark.parametrize("amount", [math.nan, math.inf, -math.inf, 1e101, "NaN", "a lot", "", True])
def test_a_value_that_is_no_number_counts_as_an_outcome_worth_nothing_and_is_told(
    amount: object, tmp_path: Path
) -> None:
    report = report_of(tmp_path, [*hundred(), outcome(1, 5, amount), outcome(3, 5, 8.0)])

    conversion, revenue = report.metrics
    assert conversion.arms[0].value == 2 / 50
    assert revenue.arms[0].value == pytest.approx(8 / 50)
    detail = check(report, "outcomes_join").detail
    assert "1 of `purchase` have a field `amount` that is no number within 1e100, taken as 0" in detail


@pytest.mark.parametrize("amount", ["8", "8.0", " 8e0", 8])
def test_a_value_as_text_is_the_number_that_it_says(amount: object, tmp_path: Path) -> None:
    report = report_of(tmp_path, [*hundred(), outcome(1, 5, amount)])

    assert report.metrics[1].arms[0].value == pytest.approx(8 / 50)


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "1e101", '"8"', "null", "true"])
def test_over_json_a_value_that_is_no_number_is_refused(amount: str) -> None:
    body = json.dumps(
        {
            "id": "a",
            "unit": {"kind": "header:x-user-id", "value": "1"},
            "name": "purchase",
            "time": nanoseconds(5) / 1e9,
            "values": {"amount": "AMOUNT"},
        }
    ).replace('"AMOUNT"', amount)

    [refused] = to_spans(body.encode(), KEY, nanoseconds(5)).refused

    assert refused.path.startswith("$.values")


def test_what_came_twice_and_in_another_order_changes_nothing(tmp_path: Path) -> None:
    once = hundred() + [outcome(n, n / 100 + 1 + n % 3, float(n % 11)) for n in range(0, 100, 3)]
    first = numbers(report_of(tmp_path / "once", once, segments=2))

    for seed in range(2):
        chance = random.Random(seed)
        again = [*once, *((at + 10**9, request) for at, request in chance.sample(once, 60))]
        chance.shuffle(again)
        assert numbers(report_of(tmp_path / str(seed), again, segments=seed)) == first


def test_exposures_of_1970_and_of_next_year_count_for_nobody_and_are_told(tmp_path: Path) -> None:
    wrong = []
    for number, second in ((200, -1_790_000_000.0), (201, 3e7), (203, 3e7)):
        _, request = exposure(number, second)
        wrong.append((nanoseconds(1), request))

    report = report_of(tmp_path, [*hundred(), *wrong])

    assert [arm.units for arm in report.arms] == [50, 50]
    assert "3 began more than 30 days before their receipt" in check(report, "exposures_counted").detail


def test_a_clear_unit_and_its_pseudonym_are_one_unit(tmp_path: Path) -> None:
    _, request = outcome(1, 5, 8.0)
    attributes = request.resource_spans[0].scope_spans[0].spans[0].attributes
    for attribute in list(attributes):
        if attribute.key == "meshtrial.key.id":
            attributes.remove(attribute)
        elif attribute.key == "feature_flag.context.id":
            attribute.value.string_value = "1"

    report = report_of(tmp_path, [*hundred(), (nanoseconds(5), request)])

    assert report.metrics[1].arms[0].value == pytest.approx(8 / 50)


def test_outcomes_of_another_key_make_it_unhealthy(tmp_path: Path) -> None:
    _, request = outcome(1, 5, 8.0)
    for attribute in request.resource_spans[0].scope_spans[0].spans[0].attributes:
        if attribute.key == "meshtrial.key.id":
            attribute.value.string_value = "another"

    report = report_of(tmp_path, [*hundred(), (nanoseconds(5), request)])

    assert report.verdict.decision == "unhealthy"
    assert check(report, "one_key").passed is False
