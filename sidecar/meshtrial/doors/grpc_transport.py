"""grpc.aio under the sessions: one bidirectional stream is one `Session`."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from meshtrial.doors.desk import Desk
from meshtrial.doors.session import Session
from meshtrial.errors import SettingError
from meshtrial.listening import Address, bind
from meshtrial.names import EXT_PROC_SERVICE, TRACEPARENT

_OPTIONS = (
    ("grpc.so_reuseport", 0),  # a second sidecar on the same port is an error, not half the traffic
    ("grpc.max_concurrent_streams", 2**31 - 1),  # one stream a request: the proxy's limits are the limit
)
DRAIN_SECONDS = 5.0
"""How long streams may finish after a stop; the proxy answers for them after its 50 ms anyway."""


class GrpcTransport:
    """The ext_proc service and gRPC's health service on one address."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._server = aio.server(options=_OPTIONS)
        self._health = health.aio.HealthServicer()
        handlers = {"Process": grpc.stream_stream_rpc_method_handler(self._process)}
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(EXT_PROC_SERVICE, handlers),)
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)

    async def start(self, address: str) -> str:
        """Listen on `HOST:PORT` or `unix:/path`; returns the address with the port that was chosen.

        Raises:
            SettingError: It cannot be listened on.
        """
        if not address.startswith("unix:"):
            bind(Address.of(address)).close()  # gRPC would only say that it failed, not why
        elif not Path(address.removeprefix("unix:")).parent.is_dir() or address == "unix:":
            raise SettingError(f"cannot listen on {address}: write unix:/path in a directory that exists")
        try:
            port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise SettingError(f"cannot listen on {address}: it is in use, or may not be written") from error
        await self._server.start()
        for service in ("", EXT_PROC_SERVICE):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        return address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{port}"

    async def stop(self) -> None:
        """Tell the proxy to look elsewhere, let running streams finish, stop."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(DRAIN_SECONDS)

    async def _process(
        self, messages: AsyncIterator[bytes], context: aio.ServicerContext
    ) -> AsyncIterator[bytes]:
        session = Session(self._desk, _traceparent(context))
        async for message in messages:
            yield session.receive(message)


def _traceparent(context: aio.ServicerContext) -> str:
    """The proxy puts the request's trace parent into the stream's metadata, not among its headers."""
    for name, value in context.invocation_metadata() or ():
        if name == TRACEPARENT:
            return str(value)
    return ""
