"""`meshtrial serve`: the parts of the sidecar put together, started, drained and stopped."""

import gc
import time
from dataclasses import dataclass

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from prometheus_client import CollectorRegistry

from meshtrial.doors.admin import admin_app
from meshtrial.doors.answers import Answers
from meshtrial.doors.counters import Counters
from meshtrial.doors.grpc_transport import GrpcTransport
from meshtrial.doors.session import Desk
from meshtrial.listening import Address, address_of, bind, http_server, stop_signals
from meshtrial.logs import EventLog
from meshtrial.plan.model import Plan
from meshtrial.record.delivery_counts import DeliveryCounts
from meshtrial.record.exporter import SpanRecorder
from meshtrial.record.pseudonym import PseudonymKey

_LOG = EventLog("serve")
_FLUSH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """What `meshtrial serve` is told; see `settings.py` for units and reasons."""

    listen: str
    admin: Address
    collector: str
    """URL of an OTLP/HTTP receiver."""
    collector_token: str | None
    late_after_ms: float
    key: PseudonymKey


async def run(plan: Plan, settings: ServeSettings) -> None:
    """Run until SIGTERM or SIGINT, then drain.

    Raises:
        SettingError: An address cannot be listened on.
    """
    registry = CollectorRegistry()
    counters = Counters(registry)
    counters.took(plan)
    admin = bind(settings.admin)
    recorder = SpanRecorder(_exporter(settings))
    registry.register(DeliveryCounts("meshtrial_exposures", "Exposure spans", recorder.delivery.counts))
    late_after = round(settings.late_after_ms * 1e6)
    desk = Desk(plan, Answers(plan), settings.key, recorder, counters, late_after, time.time_ns)
    transport = GrpcTransport(desk)
    with stop_signals() as stop:
        try:
            listening = await transport.start(settings.listen)
            async with http_server(admin_app(plan, recorder.delivery.counts, registry), admin):
                # What lives now lives on: a full collection need not walk it within a request.
                gc.collect()
                gc.freeze()
                where = f"http://{address_of(admin)}"
                _LOG.info("ready", ext_proc=listening, admin=where, plan=plan.digest)
                await stop.wait()
                _LOG.info("stopping")
                await transport.stop()
        finally:
            recorder.close(_FLUSH_SECONDS)


def _exporter(settings: ServeSettings) -> OTLPSpanExporter:
    token = settings.collector_token
    headers = {"authorization": f"Bearer {token}"} if token else None
    return OTLPSpanExporter(
        endpoint=f"{settings.collector.rstrip('/')}/v1/traces", headers=headers, timeout=10
    )
