"""`meshtrial collect`: store, doors and forwarding, from start to orderly stop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from meshtrial.collect.forward import forward_to
from meshtrial.collect.grpc_door import GrpcDoor
from meshtrial.collect.http_door import HttpDoor
from meshtrial.collect.intake import Intake
from meshtrial.collect.metrics import Metrics
from meshtrial.errors import SettingError
from meshtrial.listening import Address, address_of, bind, http_server, stop_signals
from meshtrial.logs import EventLog
from meshtrial.pseudonym import PseudonymKey
from meshtrial.record.delivery import Delivery
from meshtrial.store.writer import Store, StoreSettings

GRACE: Final = 5.0
"""Seconds that running requests, and then what waits to be forwarded, get at the end."""

_log = EventLog("collect")


@dataclass(frozen=True, slots=True)
class CollectSettings:
    """Everything a collector is told."""

    store: Path
    """Folder of the store; made where it is missing."""
    key: PseudonymKey
    """Makes pseudonyms of clear units; the sidecars' own key."""
    otlp_grpc: Address
    """Where OTLP/gRPC is received."""
    otlp_http: Address
    """Where OTLP/HTTP, outcomes, health and metrics are served."""
    token: bytes = field(repr=False)
    """What clients that send outcomes must show."""
    otlp_token: bytes | None = field(default=None, repr=False)
    """What clients that send spans must show; None for nothing, on loopback only."""
    forward: str | None = None
    """URL of the OTLP/HTTP receiver that gets a copy of what is stored."""
    forward_token: str | None = field(default=None, repr=False)
    """What that receiver must be shown; another collector takes outcomes only with it."""
    storage: StoreSettings = field(default_factory=StoreSettings)
    """When journals are rolled."""


async def run(settings: CollectSettings) -> None:
    """Collect until SIGTERM or SIGINT, then stop in order: doors, forwarding, store.

    When ready it logs one line, with the ports that were chosen::

        {"event": "ready", "otlp_grpc": "127.0.0.1:4317", "otlp_http": "http://127.0.0.1:4318", "store": ...}

    Raises:
        SettingError: An address, the forwarding URL or a token cannot be used, or one is missing.
        StoreError: The store cannot be used, or another process writes to it (`StoreLocked`).
    """
    _check_tokens(settings)
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(Store.open(settings.store, settings.storage))
        metrics.watch_store(store.status)
        forward = await stack.enter_async_context(_forwarding(settings, metrics))
        intake = Intake(store, settings.key, forward, metrics)
        stop = stack.enter_context(stop_signals())
        grpc_at = await stack.enter_async_context(_grpc(intake, settings))
        http_socket = bind(settings.otlp_http)
        door = HttpDoor(intake, settings.token, settings.otlp_token)
        http_at = address_of(http_socket)
        _check_forward(settings, http_at)
        await stack.enter_async_context(http_server(door.app, http_socket))
        _log.info("ready", otlp_grpc=str(grpc_at), otlp_http=f"http://{http_at}", store=str(settings.store))
        await stop.wait()
        _log.info("stopping")
    _log.info("stopped")


def _check_tokens(settings: CollectSettings) -> None:
    if not settings.token:
        raise SettingError("the outcome door's token is empty")
    if settings.otlp_token is not None:
        if not settings.otlp_token:
            raise SettingError("the OTLP doors' token is empty")
        return
    for address in (settings.otlp_grpc, settings.otlp_http):
        if not address.is_loopback:
            raise SettingError(
                f"{address} can be reached from other machines, so it needs a token: "
                f"give --otlp-token-file or MESHTRIAL_OTLP_TOKEN, or listen on 127.0.0.1"
            )


def _check_forward(settings: CollectSettings, own: Address) -> None:
    """A collector that forwards to itself would store every span again and again."""
    if settings.forward is None:
        return
    to = urlsplit(settings.forward)
    here = {own.host, "localhost", "127.0.0.1", "::1", "0.0.0.0"}  # noqa: S104 - compared, not bound
    if to.port == own.port and to.hostname in here:
        raise SettingError(f"--forward {settings.forward} is this collector itself")


@asynccontextmanager
async def _forwarding(settings: CollectSettings, metrics: Metrics) -> AsyncIterator[Delivery | None]:
    if settings.forward is None:
        yield None
        return
    forward = forward_to(settings.forward, settings.forward_token, settings.store)
    metrics.watch_forward(forward.counts)
    try:
        yield forward
    finally:
        if not await asyncio.to_thread(forward.close, GRACE):
            _log.warning("not everything was forwarded", waiting_bytes=forward.counts().waiting_bytes)


@asynccontextmanager
async def _grpc(intake: Intake, settings: CollectSettings) -> AsyncIterator[Address]:
    door = GrpcDoor(intake, settings.token, settings.otlp_token)
    address = await door.start(settings.otlp_grpc)
    try:
        yield address
    finally:
        await door.stop(GRACE)
