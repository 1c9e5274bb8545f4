"""`meshtrial serve`: the parts of the sidecar put together, started, drained and stopped."""

import asyncio
import gc
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry

from meshtrial.doors.admin import admin_app
from meshtrial.doors.counters import Counters, PlanMetrics, StickyMetrics
from meshtrial.doors.desk import Desk
from meshtrial.doors.explaining import explaining
from meshtrial.doors.grpc_transport import GrpcTransport
from meshtrial.doors.history import PlanHistory
from meshtrial.doors.live import Live, PlanSource
from meshtrial.listening import Address, address_of, bind, http_server, on_hangup, stop_signals
from meshtrial.logs import EventLog
from meshtrial.plan.model import Plan
from meshtrial.pseudonym import PseudonymKey
from meshtrial.record.delivery import Delivery
from meshtrial.record.delivery_counts import DeliveryCounts
from meshtrial.record.otlp_http import OtlpHttp
from meshtrial.record.recent import Recent
from meshtrial.record.recorder import SpoolRecorder
from meshtrial.record.spool import Spool
from meshtrial.state.sticky import StickyFile, StickyMemory

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
    sticky: Path | None
    """File of sticky assignments, None to keep them in memory."""
    key: PseudonymKey


async def run(source: PlanSource, settings: ServeSettings) -> None:
    """Run until SIGTERM or SIGINT, then drain; follow the plan, SIGHUP reads it at once.

    Raises:
        PlanError: The plan breaks at least one rule.
        SettingError: The plan's file, an address, the URL or the spool cannot be used.
    """
    live = Live(source, lambda plan: _warn_of_memory(plan, settings.sticky))
    registry = CollectorRegistry()
    counters = Counters(registry)
    registry.register(PlanMetrics(live.state))
    receiver = OtlpHttp(settings.collector, settings.collector_token)
    admin = bind(settings.admin)
    sticky = StickyFile(settings.sticky) if settings.sticky else StickyMemory()
    delivery = Delivery(Spool(settings.spool), receiver.send)
    registry.register(StickyMetrics(sticky))
    registry.register(DeliveryCounts("meshtrial_exposures", "Exposure spans", delivery.counts))
    desk = Desk(
        in_force=live.in_force,
        key=settings.key,
        recorder=SpoolRecorder(delivery, settings.key),
        counters=counters,
        late_after=round(settings.late_after_ms * 1e6),
        now=time.time_ns,
        chance=os.urandom,
        sticky=sticky,
        recent=Recent(),
    )
    history = PlanHistory(delivery, settings.key, registry)
    transport = GrpcTransport(desk)
    with stop_signals() as stop, on_hangup(live.reload):
        try:
            listening = await transport.start(settings.listen)
            app = admin_app(live.state, delivery.counts, sticky, registry, explaining(desk))
            async with http_server(app, admin):
                # What lives now lives on: a full collection need not walk it within a request. A plan that
                # comes later is walked, 3 us an experiment: to freeze it too would mean one long collection
                # among requests. The first plan is freed all the same, since nothing in a plan is a cycle.
                gc.collect()
                gc.freeze()
                where, digest = f"http://{address_of(admin)}", live.in_force().plan.digest
                _LOG.info("ready", ext_proc=listening, admin=where, plan=digest)
                with live.following(history.record):
                    await stop.wait()
                _LOG.info("stopping")
                await transport.stop()
        finally:
            if not await asyncio.to_thread(delivery.close, _FLUSH_SECONDS):
                _LOG.warning("exposures wait in the spool for the next start", spool=str(settings.spool))
            sticky.close()
    _LOG.info("stopped")


def _warn_of_memory(plan: Plan, file: Path | None) -> None:
    sticky = [experiment.id for experiment in plan.experiments if experiment.sticky]
    if sticky and file is None:
        _LOG.warning(
            "sticky arms last as long as this process, and several processes may disagree: "
            "--sticky FILE keeps them for all of this machine",
            experiments=sticky,
        )
