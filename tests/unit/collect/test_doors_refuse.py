"""What the doors answer when the store takes nothing or clients stall, which takes a real collector long."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # it ships no marker

from collecting import BEARER, EXPORT, PROTOBUF, SECRET, TOKEN, trace_request
from meshtrial.collect import http_door
from meshtrial.collect.grpc_door import GrpcDoor
from meshtrial.collect.http_door import HttpDoor
from meshtrial.collect.intake import Intake
from meshtrial.collect.metrics import Metrics
from meshtrial.listening import Address
from meshtrial.pseudonym import PseudonymKey
from meshtrial.store.writer import Store, StoreSettings

SPANS = trace_request({}).SerializeToString()
OUTCOME = json.dumps(
    {"id": "a", "unit": {"kind": "request", "value": "x"}, "name": "purchase", "time": 1}
).encode()
BUSY = "the store is busy: 0 bytes already wait for the disk"


@contextlib.asynccontextmanager
async def full_intake(path: Path) -> AsyncIterator[Intake]:
    """An intake whose store has room for 10 bytes."""
    async with Store.open(path, StoreSettings(max_pending=10)) as store:
        yield Intake(store, PseudonymKey.of(SECRET), None, Metrics())


@contextlib.asynccontextmanager
async def open_door(path: Path) -> AsyncIterator[HttpDoor]:
    """A door with a store that takes everything."""
    async with Store.open(path, StoreSettings()) as store:
        yield HttpDoor(Intake(store, PseudonymKey.of(SECRET), None, Metrics()), TOKEN.encode(), None)


async def call(
    door: HttpDoor,
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    until: asyncio.Event | None = None,
) -> tuple[int, bytes, dict[str, str]]:
    """One request through ASGI: https://asgi.readthedocs.io/en/latest/specs/www.html.

    With `until`, the body's end comes only then.
    """
    sent: list[Any] = []
    parts = [body]

    async def receive() -> dict[str, Any]:
        if parts:
            return {"type": "http.request", "body": parts.pop(), "more_body": until is not None}
        assert until is not None
        await until.wait()
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
    }
    await door.app(scope, receive, send)
    start, *bodies = sent
    return (
        start["status"],
        b"".join(message["body"] for message in bodies),
        {name.decode(): value.decode() for name, value in start["headers"]},
    )


def test_a_full_journal_is_503_with_a_time_to_come_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with full_intake(tmp_path) as intake:
            door = HttpDoor(intake, TOKEN.encode(), None)

            status, body, headers = await call(door, "POST", "/v1/traces", SPANS, PROTOBUF)
            assert (status, headers["retry-after"]) == (503, "1")
            assert Status.FromString(body).message == BUSY

            status, body, headers = await call(door, "POST", "/v1/outcomes", OUTCOME, BEARER)
            assert (status, headers["retry-after"]) == (503, "1")
            assert json.loads(body) == {"error": BUSY}

            status, body, _ = await call(door, "GET", "/healthz")
            assert status == 503
            assert json.loads(body) == {
                "status": "failing",
                "components": {"store": {"status": "failing", "reason": BUSY}},
            }
            metrics = (await call(door, "GET", "/metrics"))[1].decode()
            assert 'requests_refused_total{door="http",status="503"} 1.0' in metrics
            assert 'requests_refused_total{door="outcomes",status="503"} 1.0' in metrics

    asyncio.run(main())


def test_a_full_journal_is_unavailable_over_grpc(tmp_path: Path) -> None:
    async def main() -> None:
        async with full_intake(tmp_path) as intake:
            door = GrpcDoor(intake, TOKEN.encode(), None)
            address = await door.start(Address("127.0.0.1", 0))
            async with grpc.aio.insecure_channel(str(address)) as channel:
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await channel.unary_unary(EXPORT)(SPANS)
            await door.stop(1)
            assert grpc.StatusCode.UNAVAILABLE is refused.value.code()
            assert refused.value.details() == BUSY

    asyncio.run(main())


def test_a_body_that_stalls_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_door, "READING_SECONDS", 0.05)

    async def main() -> None:
        async with open_door(tmp_path) as door:
            status, body, _ = await call(door, "POST", "/v1/traces", SPANS, PROTOBUF, asyncio.Event())
            assert (status, Status.FromString(body).message) == (
                408,
                "the body did not come within 0.05 seconds",
            )
            assert (await call(door, "POST", "/v1/traces", SPANS, PROTOBUF))[0] == 200

    asyncio.run(main())


def test_bodies_that_are_read_at_once_share_64_mib(tmp_path: Path) -> None:
    megabytes = b"\xff" * (15 * 2**20)

    async def main() -> None:
        async with open_door(tmp_path) as door:
            end = asyncio.Event()
            stalled = [
                asyncio.create_task(call(door, "POST", "/v1/traces", megabytes, PROTOBUF, end))
                for _ in range(4)
            ]
            await asyncio.sleep(0.05)

            status, body, headers = await call(door, "POST", "/v1/traces", megabytes, PROTOBUF)
            assert (status, headers["retry-after"]) == (503, "1")
            assert Status.FromString(body).message == "67108864 bytes of other requests are being read"
            assert (await call(door, "POST", "/v1/traces", SPANS, PROTOBUF))[0] == 200

            end.set()
            assert {400} == {status for status, _, _ in await asyncio.gather(*stalled)}
            assert (await call(door, "POST", "/v1/traces", megabytes, PROTOBUF))[0] == 400

    asyncio.run(main())


def test_a_read_that_the_server_cancels_as_it_stops_is_answered(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_door(tmp_path) as door:
            reading = asyncio.create_task(call(door, "POST", "/v1/traces", SPANS, PROTOBUF, asyncio.Event()))
            await asyncio.sleep(0.05)
            reading.cancel()

            status, body, _ = await reading

            assert (status, Status.FromString(body).message) == (503, "the collector is stopping")

    asyncio.run(main())
