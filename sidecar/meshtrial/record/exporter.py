"""Exposure attributes -> span -> OTLP: the edge where recording leaves the process."""

from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from meshtrial import __version__
from meshtrial.names import TRACEPARENT, SpanName
from meshtrial.record.delivery import Delivery
from meshtrial.record.exposure import Attributes

CAPACITY = 16_384
"""Spans held while the collector is away: about 50 MB."""
BATCH = 512
"""Spans of one request to the collector: about 250 kB."""


class SpanRecorder:
    """Writes each exposure as a span of its request's trace.

    The sampler is always on: a client that sends `traceparent: ...-00` decides what its trace shows,
    not what the trial knows. Spans wait in a queue of our own because the SDK's drops the oldest in
    silence (https://github.com/open-telemetry/opentelemetry-python/issues/4555).
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self.delivery = Delivery(self._send, capacity=CAPACITY, batch=BATCH)
        provider = TracerProvider(
            sampler=ALWAYS_ON, resource=Resource.create({"service.name": "meshtrial"}), shutdown_on_exit=False
        )
        provider.add_span_processor(_Queue(self.delivery))
        self._tracer = provider.get_tracer("meshtrial", __version__)
        self._propagator = TraceContextTextMapPropagator()

    def record(self, attributes: Attributes, traceparent: str, start: int, end: int) -> None:
        """Queue one span, child of `traceparent` (W3C); "" or a malformed one starts a trace of its own."""
        parent = self._propagator.extract({TRACEPARENT: traceparent}, Context())
        span = self._tracer.start_span(SpanName.EXPOSURE, parent, attributes=attributes, start_time=start)
        span.end(end)

    def close(self, timeout: float) -> None:
        """Deliver what is queued, for at most this many seconds."""
        self.delivery.close(timeout)
        self._exporter.shutdown()

    def _send(self, spans: Sequence[ReadableSpan]) -> bool:
        return self._exporter.export(spans) is SpanExportResult.SUCCESS


class _Queue(SpanProcessor):
    def __init__(self, delivery: Delivery[ReadableSpan]) -> None:
        self._delivery = delivery

    def on_end(self, span: ReadableSpan) -> None:
        self._delivery.offer(span)
