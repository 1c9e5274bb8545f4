"""The gRPC door: OTLP's TraceService, on raw bytes, since the intake parses them itself.

https://opentelemetry.io/docs/specs/otlp/#otlpgrpc
"""

from typing import Any, Final

import grpc
import grpc.aio

from meshtrial.collect.bearer import demand
from meshtrial.collect.http_door import LARGEST_TRACES
from meshtrial.collect.intake import Intake
from meshtrial.errors import Refused, SettingError
from meshtrial.listening import Address, bind

_SERVICE: Final = "opentelemetry.proto.collector.trace.v1.TraceService"
_CODES: Final = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}
"""UNAVAILABLE asks OTLP's clients to try again; the others don't."""


class GrpcDoor:
    """Turns Export calls into calls of the intake."""

    def __init__(self, intake: Intake, otlp_token: bytes | None) -> None:
        """Open for one intake; clients must show `otlp_token` unless it is None."""
        self._intake, self._otlp_token = intake, otlp_token
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", LARGEST_TRACES),
                ("grpc.so_reuseport", 0),  # else a second collector would share the port in silence
            ]
        )
        export = grpc.unary_unary_rpc_method_handler(self._export)
        self._server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(_SERVICE, {"Export": export})]
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

    async def _export(self, payload: bytes, context: Any) -> bytes:  # noqa: ANN401 - grpc ships no types
        try:
            if self._otlp_token is not None:
                shown = [value for name, value in context.invocation_metadata() if name == "authorization"]
                demand(self._otlp_token, shown[0] if shown else None)
            accepted = await self._intake.take_spans(
                payload, door="grpc", authenticated=self._otlp_token is not None
            )
        except Refused as refusal:
            self._intake.refuse("grpc", refusal)
            await context.abort(_CODES[refusal.status], str(refusal))  # raises
        return accepted.answer()
