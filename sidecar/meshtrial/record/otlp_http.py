"""OTLP/HTTP: send serialised requests to a receiver.

https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import gzip
import http.client
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from meshtrial.connecting import connection_to
from meshtrial.errors import Refused

TIMEOUT: Final = 10.0
"""Seconds to connect, and between two reads: the OTLP exporters' default."""

_PROTOBUF: Final = "application/x-protobuf"
_OWN_FAULT: Final = frozenset({http.HTTPStatus.BAD_REQUEST, http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE})
"""What only another request would mend. OTLP gives up on more: a missing token or a wrong path, for instance.
Those are mistakes of a person, who can mend them while the spans wait."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one request."""

    again: str = ""
    """Why it should be tried again later; "" where it was taken."""
    rejected: int = 0
    """Spans that the receiver dropped: sending them again is of no use, says OTLP."""
    reason: str = ""
    """Why it dropped them, in its words."""


class OtlpHttp:
    """One receiver, over one connection that is kept."""

    def __init__(self, url: str, token: str | None = None) -> None:
        """Prepare for a receiver; it need not be there yet.

        Args:
            url: `http://host:4318` or `https://...`; `/v1/traces` is added to its path.
            token: Shown as a bearer token.

        Raises:
            SettingError: The URL is not of that kind.
        """
        self._connection, base = connection_to(url, "the URL of an OTLP receiver", TIMEOUT)
        self._url, self._path = url, f"{base}/v1/traces"
        self._headers = {"content-type": _PROTOBUF, "content-encoding": "gzip"}
        if token:
            self._headers["authorization"] = f"Bearer {token}"

    def send(self, request: bytes) -> Sent:
        """Send one serialised ExportTraceServiceRequest.

        Raises:
            Refused: The receiver will never take it.
        """
        body = gzip.compress(request, compresslevel=1)
        kept = self._connection.sock is not None
        try:
            status, kind, answer = self._posted(body)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            if not kept:
                return Sent(again=f"{self._url}: {error}")
            try:  # a receiver may close a connection that was idle: that says nothing about it
                status, kind, answer = self._posted(body)
            except (OSError, http.client.HTTPException) as second:
                self._connection.close()
                return Sent(again=f"{self._url}: {second}")
        if status in _OWN_FAULT:
            raise Refused(status, f"{self._url} answered {status}")
        if status != http.HTTPStatus.OK:
            return Sent(again=f"{self._url} answered {status}")
        return _taken(kind, answer) or Sent(again=f"{self._url} is no OTLP receiver: it answered with {kind}")

    def _posted(self, body: bytes) -> tuple[int, str, bytes]:
        self._connection.request("POST", self._path, body, self._headers)
        response = self._connection.getresponse()
        return response.status, response.headers.get_content_type(), response.read()


def _taken(kind: str, answer: bytes) -> Sent | None:
    """What a receiver says of a request that it took; None where it is none that would know."""
    if answer and kind != _PROTOBUF:
        return None
    try:
        partial = ExportTraceServiceResponse.FromString(answer).partial_success
    except DecodeError:
        return None
    return Sent(rejected=partial.rejected_spans, reason=partial.error_message)
