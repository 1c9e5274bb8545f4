"""OTLP/HTTP: send serialised requests to a receiver.

https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import gzip
import http.client
from typing import Final
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from meshtrial.errors import Refused, SettingError
from meshtrial.logs import EventLog

TIMEOUT: Final = 10.0
"""Seconds to connect, and between two reads: the OTLP exporters' default."""

_RETRY: Final = frozenset({429, 502, 503, 504})
"""https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes"""

_LOG = EventLog("otlp")


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
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise SettingError(f"`{url}` is no URL of an OTLP receiver: {error}") from error
        if (
            parts.scheme not in {"http", "https"}
            or not host
            or parts.query
            or parts.fragment
            or parts.username
        ):
            raise SettingError(f"`{url}` is no URL of an OTLP receiver; write http://127.0.0.1:4318")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(host, port, timeout=TIMEOUT)
        self._path = parts.path.rstrip("/") + "/v1/traces"
        self._headers = {"content-type": "application/x-protobuf", "content-encoding": "gzip"}
        if token:
            self._headers["authorization"] = f"Bearer {token}"

    def send(self, request: bytes) -> bool:
        """Send one serialised ExportTraceServiceRequest; False where it should be tried again later.

        Raises:
            Refused: The receiver will never take it.
        """
        try:
            self._connection.request(
                "POST", self._path, gzip.compress(request, compresslevel=1), self._headers
            )
            response = self._connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return False
        if response.status in _RETRY:
            return False
        if response.status != http.HTTPStatus.OK:
            raise Refused(response.status, f"the receiver answered {response.status} {response.reason}")
        _report_rejected(answer)
        return True


def _report_rejected(answer: bytes) -> None:
    """Log what the receiver says it dropped; sending that again is of no use, says OTLP."""
    try:
        partial = ExportTraceServiceResponse.FromString(answer).partial_success
    except DecodeError:
        return  # it took the request; how it says so is its own affair
    if partial.rejected_spans:
        _LOG.warning("receiver rejected", spans=partial.rejected_spans, reason=partial.error_message)
