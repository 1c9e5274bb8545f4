"""ProcessingRequest -> Request."""

from collections.abc import Mapping
from datetime import datetime

from google.protobuf.struct_pb2 import Struct, Value

from meshtrial.assign.request import NOTHING, Request
from meshtrial.doors.ext_proc_pb2 import HttpHeaders, ProcessingRequest
from meshtrial.names import EXT_PROC_FILTER, REQUEST_TIME, ROUTE_NAME
from meshtrial.plan.needs import Needs
from meshtrial.plan.sources import MAX_PATH


def read_request(message: ProcessingRequest, needs: Needs) -> tuple[Request, int | None]:
    """The request, and when the proxy received it in nanoseconds since 1970, None where unknown."""
    headers = read_headers(message.request_headers)
    path = headers.get(":path", [b""])[0].decode("latin-1")
    fields = message.attributes[EXT_PROC_FILTER].fields if EXT_PROC_FILTER in message.attributes else {}
    route = fields[ROUTE_NAME].string_value if ROUTE_NAME in fields else ""
    received = _nanoseconds(fields[REQUEST_TIME].string_value) if REQUEST_TIME in fields else None
    metadata = _metadata(message, needs) if needs.metadata else NOTHING
    return Request(path, route, headers, metadata), received


def read_headers(message: HttpHeaders) -> dict[str, list[bytes]]:
    """All values of each header in order of arrival, by lower-case name."""
    headers: dict[str, list[bytes]] = {}
    for header in message.headers.headers:
        headers.setdefault(header.key.lower(), []).append(header.raw_value or header.value.encode())
    return headers


def _metadata(message: ProcessingRequest, needs: Needs) -> Mapping[str, Mapping[str, object]]:
    """The namespaces that the plan reads, and no others."""
    sent = message.metadata_context.filter_metadata
    return {namespace: _mapping(sent[namespace]) for namespace in needs.metadata if namespace in sent}


def _mapping(struct: Struct, depth: int = MAX_PATH) -> dict[str, object]:
    return {key: _value(value, depth) for key, value in struct.fields.items()}


def _value(value: Value, depth: int) -> object:
    match value.WhichOneof("kind"):
        case "string_value":
            return value.string_value
        case "struct_value" if depth > 1:
            return _mapping(value.struct_value, depth - 1)
        case "null_value":
            return None
        case _:
            return False  # a number, truth value, list or what is deeper than any path: present, and no text


def _nanoseconds(rfc3339: str) -> int | None:
    try:
        moment = datetime.fromisoformat(rfc3339)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return int(moment.timestamp() * 1_000_000) * 1000
