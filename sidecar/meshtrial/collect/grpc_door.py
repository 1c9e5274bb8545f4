"""The gRPC door: OTLP's services for spans and logs, on raw bytes, since the intake parses them itself.

https://opentelemetry.io/docs/specs/otlp/#otlpgrpc
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.message import Message

from meshtrial.collect.bearer import may_report
from meshtrial.collect.http_door import LARGEST_TRACES
from meshtrial.collect.intake import Intake
from meshtrial.errors import Refused, SettingError
from meshtrial.listening import Address, bind

_TRACES: Final = "opentelemetry.proto.collector.trace.v1.TraceService"
_LOGS: Final = "opentelemetry.proto.collector.logs.v1.LogsService"
_CODES: Final = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}
"""UNAVAILABLE asks OTLP's clients to try again; the others don't."""


class GrpcDoor:
    """Turns Export calls into calls of the intake."""

    def __init__(self, intake: Intake, token: bytes, otlp_token: bytes | None) -> None:
        """Open for one intake.

        Args:
            intake: Takes what comes in.
            token: What clients that send outcomes must show, where the door asks for no other.
            otlp_token: What all clients must show, None for nothing.
        """
        self._intake, self._token, self._otlp_token = intake, token, otlp_token
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", LARGEST_TRACES),
                ("grpc.so_reuseport", 0),  # else a second collector would share the port in silence
            ]
        )
        self._server.add_generic_rpc_handlers(
            [self._service(_TRACES, intake.take_spans), self._service(_LOGS, intake.take_logs)]
        )

    async def start(self, address: Address) -> Address:
        """Listen; the address with the port that was chosen.

        Raises:
            SettingError: The address cannot be listened on.
        """
        bind(address).close()  # gRPC would only say that it failed, not why
        try:
            port = self._server.add_insecure_port(str(address))
        except RuntimeError as error:
            raise SettingError(f"cannot listen on {address}: {error}") from error
        await self._server.start()
        return Address(address.host, port)

    async def stop(self, grace: float) -> None:
        """Take no new calls, and end those that run after `grace` seconds."""
        await self._server.stop(grace)

    def _service(self, name: str, take: Callable[..., Awaitable[Message]]) -> Any:  # noqa: ANN401 - grpc ships no types
        async def export(payload: bytes, context: Any) -> bytes:  # noqa: ANN401 - grpc ships no types
            try:
                shown = [value for name, value in context.invocation_metadata() if name == "authorization"]
                authenticated = may_report(self._otlp_token, self._token, shown[0] if shown else None)
                answer = await take(payload, door="grpc", authenticated=authenticated)
            except Refused as refusal:
                self._intake.refuse("grpc", refusal)
                await context.abort(_CODES[refusal.status], str(refusal))  # raises
            return answer.SerializeToString()

        handler = grpc.unary_unary_rpc_method_handler(export)
        return grpc.method_handlers_generic_handler(name, {"Export": handler})
