"""What a sidecar records of the plans that it takes into force."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client import CollectorRegistry

from meshtrial.doors import history
from meshtrial.doors.history import PlanHistory
from meshtrial.doors.in_force import InForce
from meshtrial.doors.live import PlanState
from meshtrial.plan.model import Plan
from meshtrial.pseudonym import PseudonymKey
from meshtrial.record import experiment as record
from meshtrial.record.delivery import Delivery
from meshtrial.record.otlp_http import Sent
from meshtrial.record.spool import Spool
from plan_values import on, plan_of

PLAN = plan_of({"rank-v2": on("/rank/"), "other": on("/other/")})


class Sidecar:
    """The recording alone; what was sent is told by `close`."""

    def __init__(self, directory: Path, limit: int) -> None:
        self.registry = CollectorRegistry()
        self.sent = b""
        self.delivery = Delivery(Spool(directory, limit), self._send, linger=0.01)
        key = PseudonymKey.of(b"sixteen bytes ok")
        self.history = PlanHistory(self.delivery, key, self.registry)

    def _send(self, request: bytes) -> Sent:
        self.sent += request
        return Sent()

    def takes(self, plan: Plan) -> None:
        self.history.record(PlanState(InForce.of(plan), datetime(2026, 3, 1, tzinfo=UTC)))

    def recorded(self) -> list[str]:
        assert self.delivery.close(10)
        request = ExportTraceServiceRequest.FromString(self.sent)
        spans = [scope.spans[0] for resource in request.resource_spans for scope in resource.scope_spans]
        return [a.value.string_value for s in spans for a in s.attributes if a.key == "feature_flag.key"]

    def left_out(self) -> dict[str, float]:
        name = "meshtrial_experiments_left_out_total"
        whys = ("too_large", "no_room")
        return {why: self.registry.get_sample_value(name, {"why": why}) or 0 for why in whys}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def test_every_experiment_of_every_plan_is_recorded(directory: Path) -> None:
    sidecar = Sidecar(directory, 10**6)

    sidecar.takes(PLAN)
    sidecar.takes(plan_of({"rank-v2": on("/rank/")}))

    assert sidecar.recorded() == ["other", "rank-v2", "rank-v2"]
    assert sidecar.left_out() == {"too_large": 0, "no_room": 0}


def test_a_document_that_is_too_large_is_left_out_and_counted_alone(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = on("/rank/", audience=[{"header": "x-shop", "in": ["s" * 60 + str(n) for n in range(50)]}])
    monkeypatch.setattr(record, "LARGEST_DOCUMENT", 2000)
    sidecar = Sidecar(directory, 10**6)

    sidecar.takes(plan_of({"rank-v2": large, "other": on("/other/")}))

    assert sidecar.recorded() == ["other"]
    assert sidecar.left_out() == {"too_large": 1, "no_room": 0}


def test_a_spool_that_fills_up_is_left_to_exposures(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_WAITING", -1)
    sidecar = Sidecar(directory, 10**6)

    sidecar.takes(PLAN)

    assert sidecar.left_out() == {"too_large": 0, "no_room": 2}
    assert sidecar.delivery.counts().overflowed == 0
    assert sidecar.recorded() == []
