"""From requests to the report: weights by cohort are decided, recorded, stored and analysed as one thing."""

import random

import duckdb
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from meshtrial.analysis.report import make_report
from meshtrial.assign.decide import decide
from meshtrial.assign.request import Request
from meshtrial.names import Plane, SpanName
from meshtrial.plan.load import load
from meshtrial.pseudonym import PseudonymKey
from meshtrial.record.exposure import Attributes, exposure_attributes, unit_pseudonym
from meshtrial.record.span import Timing, span_record
from meshtrial.store.rows import to_table
from plan_texts import RANK

START = 1_790_000_000 * 10**9
PLAN = load(
    RANK.replace("experiments:", "cohorts: {enterprise: [{header: x-plan, in: [enterprise]}]}\nexperiments:")
    .replace("v2: {weight: 50", "v2: {weight: {default: 50, enterprise: 10}")
    .replace("v1: {weight: 50", "v1: {weight: {default: 50, enterprise: 90}"),
    "plan.yaml",
)
KEY = PseudonymKey.of(b"sixteen bytes ok")
RATES = {"enterprise": 0.4, "free": 0.1}
"""Of buyers, whatever model serves them."""


def test_users_of_two_cohorts_whom_no_model_moves_show_no_effect() -> None:
    chance = random.Random(11)
    spans: list[tuple[int, ExportTraceServiceRequest]] = []
    bought: dict[str, list[bool]] = {"v1": [], "v2": []}

    def add(name: SpanName, attributes: Attributes, at: int) -> None:
        record = span_record(name, attributes, "", chance.randbytes(24), Timing(at, at))
        spans.append((at, ExportTraceServiceRequest.FromString(record)))

    for user in range(4_000):
        cohort = "enterprise" if user % 4 == 0 else "free"
        headers = {"x-user-id": [f"user-{user}".encode()], "x-plan": [cohort.encode()]}
        [assignment] = decide(Request("/recommend", "", headers), PLAN)
        unit = unit_pseudonym(assignment, KEY)
        add(SpanName.EXPOSURE, exposure_attributes(assignment, unit, PLAN, Plane.EXT_PROC, KEY), START)
        buys = chance.random() < RATES[cohort]
        bought[assignment.arm.id].append(buys)
        if buys:
            outcome: Attributes = {
                "feature_flag.context.id": unit or "",
                "meshtrial.unit.kind": "header:x-user-id",
                "meshtrial.key.id": KEY.id,
                "meshtrial.outcome.name": "purchase",
                "meshtrial.outcome.values.amount": chance.uniform(1, 9),
            }
            add(SpanName.OUTCOME, outcome, START + 10**9)

    with duckdb.connect() as connection:
        connection.register("otel_traces", to_table(spans))
        report = make_report(connection, PLAN, PLAN.experiments[0], START + 60 * 10**9)

    v1, v2 = (sum(bought[arm]) / len(bought[arm]) for arm in ("v1", "v2"))
    assert v2 - v1 < -0.06  # what the arms as wholes show
    assert all(check.passed is not False for check in report.health)
    assert report.verdict.decision == "keep_control"
    for metric in report.metrics:
        [told] = metric.comparisons
        assert told.interval is not None
        assert told.interval[0] < 0 < told.interval[1]
    assert report.metrics[0].comparisons[0].effect == pytest.approx(0, abs=0.03)
    assert sum(arm.units for arm in report.arms) == 4_000
