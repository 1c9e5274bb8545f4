"""Addresses, sockets, and the HTTP server of a process: what `serve` and `collect` share."""

import asyncio
import contextlib
import ipaddress
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette

from meshtrial.errors import SettingError

_BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP address to listen on."""

    host: str
    port: int
    """0 lets the system choose."""

    @classmethod
    def of(cls, text: str) -> "Address":
        """Parse `HOST:PORT`, `[::1]:PORT` for IPv6.

        Raises:
            SettingError: It is neither.
        """
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not colon or not host or not port.isdecimal() or int(port) > 65_535:
            raise SettingError(f"`{text}` is no address: write HOST:PORT, such as 127.0.0.1:9002")
        return cls(host, int(port))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def bind(address: Address) -> socket.socket:
    """A bound and listening TCP socket.

    Raises:
        SettingError: The address is in use, not this machine's, or not allowed.
    """
    try:
        family, *_, where = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        # The protocol by name: asyncio turns Nagle off only on sockets that say they are TCP.
        bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise SettingError(f"cannot listen on {address}: {error.strerror}") from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(where)
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise SettingError(f"cannot listen on {address}: {error.strerror}") from error
    bound.setblocking(False)
    return bound


def address_of(bound: socket.socket) -> Address:
    """Where a socket really listens."""
    host, port, *_ = bound.getsockname()
    return Address(host, port)


class _Server(uvicorn.Server):
    """A server that leaves the process's signals to `stop_signals`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def http_server(app: Starlette, bound: socket.socket) -> AsyncIterator[None]:
    """Serve an application on a bound socket within the running loop; on leaving, requests finish first."""
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=5
    )
    server = _Server(config)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    task = asyncio.create_task(server.serve([bound]))
    try:
        yield  # the socket already listens: what comes before the server is up waits in its backlog
    finally:
        server.should_exit = True
        await task


@contextlib.contextmanager
def stop_signals() -> Iterator[asyncio.Event]:
    """An event that SIGTERM or SIGINT sets, while inside; for the running loop."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    caught = (signal.SIGTERM, signal.SIGINT)
    for number in caught:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in caught:
            loop.remove_signal_handler(number)


@contextlib.contextmanager
def on_hangup(act: Callable[[], object]) -> Iterator[None]:
    """Call a function at each SIGHUP, while inside; for the running loop."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, act)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
