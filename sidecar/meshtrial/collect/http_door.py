"""The HTTP door: OTLP/HTTP, outcomes, exposures, health and metrics.

==================== ========================================================================================
`POST /v1/traces`    OTLP/HTTP, protobuf or JSON, gzip too: https://opentelemetry.io/docs/specs/otlp/#otlphttp
`POST /v1/logs`      the same for log records
`POST /v1/outcomes`  JSON (`meshtrial.collect.outcomes`), always with a token; `?imported=true` for a file's
`POST /v1/exposures` JSON (`meshtrial.collect.exposures`), imported, always with a token
`GET /healthz`       JSON, one entry a component; 503 while the store cannot be written
`GET /metrics`       Prometheus' text format
==================== ========================================================================================

A request of outcomes or exposures is answered `{"accepted": n, "refused": [{index, path, error}]}` with 200,
or with 422 when every one of them was refused; with `{"error": sentence}` when nothing in it could be read.
"""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from google.protobuf.message import Message
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # it ships no marker
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from meshtrial.collect import otlp_json
from meshtrial.collect.bearer import demand, may_report
from meshtrial.collect.intake import Intake
from meshtrial.collect.items import Batch
from meshtrial.errors import Refused

LARGEST_TRACES: Final = 16 * 2**20
"""Bytes of an OTLP request, before and after decompression; gRPC's is the same."""
LARGEST_ITEMS: Final = 4 * 2**20
"""Bytes of a request of outcomes or exposures, before and after decompression: room for 10,000."""
LINGER: Final = 32 * 2**20
"""Bytes of a body over the limit that are still read, and thrown away: a client that is still sending would
see a reset connection where the answer should be (RFC 9112, section 9.6)."""
READING_SECONDS: Final = 10.0
"""That a client has to send its body: one that stalls must not be waited for."""
LARGEST_READING: Final = 64 * 2**20
"""Bytes of all the bodies that are being read at once; more are refused until some are whole."""
RETRY_AFTER: Final = "1"
"""Seconds; a journal that was full has been written by then."""

_PROTOBUF: Final = "application/x-protobuf"
_JSON: Final = "application/json"


class HttpDoor:
    """Turns HTTP requests into calls of the intake, and its answers into HTTP."""

    def __init__(self, intake: Intake, token: bytes, otlp_token: bytes | None) -> None:
        """Open for one intake.

        Args:
            intake: Takes what comes in.
            token: What clients that send outcomes or exposures must show.
            otlp_token: What clients that send spans must show, None for nothing.
        """
        self._intake, self._token, self._otlp_token = intake, token, otlp_token
        self._reading = 0
        self._one_json = asyncio.Lock()  # read, a body of JSON takes ten times its space
        self.app = Starlette(
            routes=[
                Route("/v1/traces", self._traces, methods=["POST"]),
                Route("/v1/logs", self._logs, methods=["POST"]),
                Route("/v1/outcomes", self._outcomes, methods=["POST"]),
                Route("/v1/exposures", self._exposures, methods=["POST"]),
                Route("/healthz", self._health),
                Route("/metrics", self._metrics),
            ]
        )
        """The ASGI application."""

    async def _traces(self, request: Request) -> Response:
        return await self._otlp(request, ExportTraceServiceRequest, self._intake.take_spans)

    async def _logs(self, request: Request) -> Response:
        return await self._otlp(request, ExportLogsServiceRequest, self._intake.take_logs)

    async def _otlp(
        self, request: Request, kind: type[Message], take: Callable[..., Awaitable[Message]]
    ) -> Response:
        encoding = _encoding(request)
        try:
            authorization = request.headers.get("authorization")
            authenticated = may_report(self._otlp_token, self._token, authorization)
            payload = await self._payload(request, encoding, kind)
            answer = await take(payload, door="http", authenticated=authenticated)
        except Refused as refusal:
            status = Status(message=str(refusal))
            return _answered(status, encoding, refusal.status, self._refuse("http", refusal))
        return _answered(answer, encoding)

    async def _payload(self, request: Request, encoding: str, kind: type[Message]) -> bytes:
        """The serialised message that the body holds."""
        if encoding not in (_PROTOBUF, _JSON):
            raise Refused(415, f"the body must be {_PROTOBUF} or {_JSON}, not `{encoding}`")
        body = await self._body(request, LARGEST_TRACES)
        if encoding == _PROTOBUF:
            return body
        self._reading += len(body)
        try:
            async with self._one_json:
                return await asyncio.to_thread(otlp_json.to_protobuf, body, kind)
        finally:
            self._reading -= len(body)

    async def _outcomes(self, request: Request) -> Response:
        imported = request.query_params.get("imported") == "true"
        return await self._items(
            request, "outcomes", lambda body: self._intake.take_outcomes(body, imported=imported)
        )

    async def _exposures(self, request: Request) -> Response:
        return await self._items(request, "exposures", self._intake.take_exposures)

    async def _items(
        self, request: Request, door: str, take: Callable[[bytes], Awaitable[Batch]]
    ) -> Response:
        try:
            demand(self._token, request.headers.get("authorization"))
            batch = await take(await self._body(request, LARGEST_ITEMS))
        except Refused as refusal:
            return JSONResponse({"error": str(refusal)}, refusal.status, self._refuse(door, refusal))
        refused = [item.as_json() for item in batch.refused]
        status = 422 if refused and not batch.accepted else 200
        return JSONResponse({"accepted": batch.accepted, "refused": refused}, status)

    async def _health(self, _: Request) -> Response:
        store = self._intake.store.status()
        components: dict[str, Mapping[str, object]] = {
            "store": {
                "status": "failing" if store.write_failure else "degraded" if store.roll_failure else "ok",
                "reason": store.write_failure or store.roll_failure,
            }
        }
        if self._intake.forward is not None:
            components["forward"] = self._intake.forward.counts().health()
        worst = max((str(c["status"]) for c in components.values()), key=["ok", "degraded", "failing"].index)
        return JSONResponse({"status": worst, "components": components}, 503 if worst == "failing" else 200)

    async def _metrics(self, _: Request) -> Response:
        return Response(self._intake.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    async def _body(self, request: Request, limit: int) -> bytes:
        """The body, decompressed; what is over the limit is never held.

        Raises:
            Refused: 400, not what its encoding says, or cut short; 408, it did not come in time; 413,
                over the limit; 415, an encoding that is not taken; 503, too much is being read, or the
                server stops.
        """
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip"):
            raise Refused(415, f"content-encoding `{encoding}` is not taken; send gzip or none")
        try:
            async with asyncio.timeout(READING_SECONDS):
                body = await self._read(request, limit)
        except ClientDisconnect as error:
            raise Refused(400, "the client went away within the body") from error
        except TimeoutError as error:
            raise Refused(408, f"the body did not come within {READING_SECONDS:g} seconds") from error
        except asyncio.CancelledError as error:  # by the server, when it stops and clients still send
            raise Refused(503, "the collector is stopping") from error
        return _gunzip(body, limit) if encoding == "gzip" else body

    async def _read(self, request: Request, limit: int) -> bytes:
        chunks: list[bytes] = []
        size = held = 0
        crowded = False
        try:
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit + LINGER:
                    break
                crowded = crowded or self._reading + len(chunk) > LARGEST_READING
                if size > limit or crowded:
                    chunks.clear()
                    self._reading, held = self._reading - held, 0
                else:
                    chunks.append(chunk)
                    self._reading, held = self._reading + len(chunk), held + len(chunk)
        finally:
            self._reading -= held
        if size > limit:
            raise Refused(413, f"the body is larger than {limit} bytes")
        if crowded:
            raise Refused(503, f"{LARGEST_READING} bytes of other requests are being read")
        return b"".join(chunks)

    def _refuse(self, door: str, refusal: Refused) -> dict[str, str]:
        """Count a refused request; the headers of its answer."""
        self._intake.refuse(door, refusal)
        match refusal.status:
            case 401:
                return {"www-authenticate": "Bearer"}
            case 503:
                return {"retry-after": RETRY_AFTER}
            case _:
                return {}


def _encoding(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _answered(
    message: Message, encoding: str, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """In the request's encoding, as OTLP asks; in protobuf where that is unknown."""
    if encoding == _JSON:
        return Response(otlp_json.to_json(message), status, headers, _JSON)
    return Response(message.SerializeToString(), status, headers, _PROTOBUF)


def _gunzip(data: bytes, limit: int) -> bytes:
    """One gzip member after the other (RFC 1952, section 2.2), without ever holding more than the limit."""
    body = b""
    while data:
        member = zlib.decompressobj(wbits=31)
        try:
            body += member.decompress(data, limit + 1 - len(body))
        except zlib.error as error:
            raise Refused(400, f"the body is not gzip: {error}") from error
        if len(body) > limit:
            raise Refused(413, f"the body is larger than {limit} bytes when decompressed")
        if not member.eof:
            raise Refused(400, "the gzip body is cut short")
        data = member.unused_data
    return body
