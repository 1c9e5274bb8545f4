"""ProcessingRequest -> Request."""

from datetime import datetime

from meshtrial.assign.request import Request
from meshtrial.doors.ext_proc_pb2 import ProcessingRequest
from meshtrial.names import EXT_PROC_FILTER

ROUTE_NAME = "xds.route_name"
REQUEST_TIME = "request.time"
"""Envoy's names of request attributes:
https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/attributes"""


def read_request(message: ProcessingRequest) -> tuple[Request, int | None]:
    """The request, and when the proxy received it in nanoseconds since 1970, None where unknown."""
    headers: dict[str, list[bytes]] = {}
    for header in message.request_headers.headers.headers:
        headers.setdefault(header.key.lower(), []).append(header.raw_value or header.value.encode())
    path = headers.get(":path", [b""])[0].decode("latin-1")
    fields = message.attributes[EXT_PROC_FILTER].fields if EXT_PROC_FILTER in message.attributes else {}
    route = fields[ROUTE_NAME].string_value if ROUTE_NAME in fields else ""
    received = _nanoseconds(fields[REQUEST_TIME].string_value) if REQUEST_TIME in fields else None
    return Request(path, route, headers), received


def _nanoseconds(rfc3339: str) -> int | None:
    try:
        moment = datetime.fromisoformat(rfc3339)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return int(moment.timestamp() * 1_000_000) * 1000
