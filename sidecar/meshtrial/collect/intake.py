"""The one way in behind all doors: check, store, then pass on.

Stage: door -> **intake** -> store, forward.
"""

import time

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from meshtrial.collect import exposures, log_records, outcomes, spans
from meshtrial.collect.items import Batch
from meshtrial.collect.metrics import Metrics
from meshtrial.errors import Refused
from meshtrial.logs import EventLog
from meshtrial.pseudonym import PseudonymKey
from meshtrial.record.delivery import Delivery
from meshtrial.store.writer import Store


class Intake:
    """Shared by the doors; what it returns from is on disk."""

    def __init__(self, store: Store, key: PseudonymKey, forward: Delivery | None, metrics: Metrics) -> None:
        self.store, self.forward, self.metrics = store, forward, metrics
        self._key = key
        self._log = EventLog("collect")

    def refuse(self, door: str, refusal: Refused) -> None:
        """Count a refused request; those of one kind at a door are logged once a minute."""
        self.metrics.refused.labels(door, str(refusal.status)).inc()
        if self._log.seldom(door, refusal.status):
            self._log.warning("refused", door=door, status=refusal.status, reason=str(refusal))

    async def take_spans(
        self, payload: bytes, *, door: str, authenticated: bool
    ) -> ExportTraceServiceResponse:
        """Take an OTLP request of spans; `authenticated` when the client showed a token.

        Raises:
            Refused: 400, it is malformed; 413, it has too many spans; 503, it cannot be stored now.
        """
        return (await self._accept(payload, door, authenticated=authenticated)).answer()

    async def take_logs(self, payload: bytes, *, door: str, authenticated: bool) -> ExportLogsServiceResponse:
        """Take an OTLP request of log records; `authenticated` when the client showed a token.

        Raises:
            Refused: 400, it is malformed; 413, it has too many records; 503, it cannot be stored now.
        """
        converted = log_records.to_spans(payload, self._key)
        for why, count in converted.dropped.items():
            self.metrics.logs_dropped.labels(door, why.value).inc(count)
        return converted.answer(await self._accept(converted.payload, door, authenticated=authenticated))

    async def _accept(self, payload: bytes, door: str, *, authenticated: bool) -> spans.Accepted:
        received_ns = time.time_ns()
        accepted = spans.accept(payload, self._key, received_ns, authenticated=authenticated)
        self.metrics.units_hidden.inc(accepted.units_hidden)
        self.metrics.exposures_implausible.inc(accepted.implausible)
        if accepted.without_id:
            self.metrics.spans_dropped.labels(door, "without_id").inc(accepted.without_id)
        if accepted.forged:
            self.metrics.spans_dropped.labels(door, "outcome_without_token").inc(accepted.forged)
        await self._store(accepted.payload, accepted.spans, door, received_ns)
        return accepted

    async def take_outcomes(self, body: bytes, *, imported: bool) -> Batch:
        """Take outcomes as JSON; `imported` where they are of a file.

        Raises:
            Refused: 400 or 413, nothing in it can be taken; 503, it cannot be stored now.
        """
        received_ns = time.time_ns()
        batch = outcomes.to_spans(body, self._key, received_ns, imported=imported)
        self.metrics.outcomes_refused.inc(len(batch.refused))
        await self._store(batch.payload, batch.accepted, "outcomes", received_ns)
        return batch

    async def take_exposures(self, body: bytes) -> Batch:
        """Take exposures that were recorded elsewhere, as JSON.

        Raises:
            Refused: 400 or 413, nothing in it can be taken; 503, it cannot be stored now.
        """
        received_ns = time.time_ns()
        batch = exposures.to_spans(body, self._key, received_ns)
        self.metrics.exposures_refused.inc(len(batch.refused))
        await self._store(batch.payload, batch.accepted, "exposures", received_ns)
        return batch

    async def _store(self, payload: bytes, count: int, door: str, received_ns: int) -> None:
        if not count:
            return
        with self.metrics.append_seconds.time():
            await self.store.append(payload, received_ns)
        self.metrics.spans.labels(door).inc(count)
        if self.forward is not None:
            self.forward.offer(payload)
