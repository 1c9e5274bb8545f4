"""`meshtrial serve`: the parts of the sidecar put together, started, drained and stopped."""

import asyncio
import gc
import time
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry

from meshtrial.doors.admin import admin_app
from meshtrial.doors.counters import Counters
from meshtrial.doors.grpc_transport import GrpcTransport
from meshtrial.doors.in_force import InForce
from meshtrial.doors.session import Desk
from meshtrial.listening import Address, address_of, bind, http_server, stop_signals
from meshtrial.logs import EventLog
from meshtrial.plan.model import Plan
from meshtrial.pseudonym import PseudonymKey
from meshtrial.record.delivery import Delivery
from meshtrial.record.delivery_counts import DeliveryCounts
from meshtrial.record.otlp_http import OtlpHttp
from meshtrial.record.recorder import ExposureRecorder
from meshtrial.record.spool import Spool

_LOG = EventLog("serve")
_FLUSH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """What `meshtrial serve` is told; see `settings.py` for units and reasons."""

    listen: str
    admin: Address
    collector: str
    """URL of an OTLP/HTTP receiver."""
    collector_token: str | None = field(repr=False)
    spool: Path
    late_after_ms: float
    key: PseudonymKey


async def run(plan: Plan, settings: ServeSettings) -> None:
    """Run until SIGTERM or SIGINT, then drain.

    Raises:
        SettingError: An address, the URL or the spool cannot be used.
    """
    registry = CollectorRegistry()
    counters = Counters(registry)
    counters.took(plan)
    receiver = OtlpHttp(settings.collector, settings.collector_token)
    admin = bind(settings.admin)
    delivery = Delivery(Spool(settings.spool), receiver.send)
    registry.register(DeliveryCounts("meshtrial_exposures", "Exposure spans", delivery.counts))
    in_force = InForce.of(plan)
    desk = Desk(
        in_force=lambda: in_force,
        key=settings.key,
        recorder=ExposureRecorder(delivery),
        counters=counters,
        late_after=round(settings.late_after_ms * 1e6),
        now=time.time_ns,
    )
    transport = GrpcTransport(desk)
    with stop_signals() as stop:
        try:
            listening = await transport.start(settings.listen)
            async with http_server(admin_app(plan, delivery.counts, registry), admin):
                # What lives now lives on: a full collection need not walk it within a request.
                gc.collect()
                gc.freeze()
                where = f"http://{address_of(admin)}"
                _LOG.info("ready", ext_proc=listening, admin=where, plan=plan.digest)
                await stop.wait()
                _LOG.info("stopping")
                await transport.stop()
        finally:
            if not await asyncio.to_thread(delivery.close, _FLUSH_SECONDS):
                _LOG.warning("exposures wait in the spool for the next start", spool=str(settings.spool))
    _LOG.info("stopped")
