"""What the doors answer when the store takes nothing, which no real collector does at will."""

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
from meshtrial.collect.grpc_door import GrpcDoor
from meshtrial.collect.http_door import HttpDoor
from meshtrial.collect.intake import Intake
from meshtrial.collect.metrics import Metrics
from meshtrial.listening import Address
from meshtrial.record.pseudonym import PseudonymKey
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


async def call(
    door: HttpDoor, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> tuple[int, bytes, dict[str, str]]:
    """One request through ASGI: https://asgi.readthedocs.io/en/latest/specs/www.html."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

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
            door = GrpcDoor(intake, None)
            address = await door.start(Address("127.0.0.1", 0))
            async with grpc.aio.insecure_channel(str(address)) as channel:
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await channel.unary_unary(EXPORT)(SPANS)
            await door.stop(1)
            assert grpc.StatusCode.UNAVAILABLE is refused.value.code()
            assert refused.value.details() == BUSY

    asyncio.run(main())
