"""Exposures and outcomes -> spool: what the doors record with."""

import os

from meshtrial.names import SpanName
from meshtrial.pseudonym import PseudonymKey
from meshtrial.record.delivery import Delivery
from meshtrial.record.exposure import Attributes
from meshtrial.record.outcome import Outcome, outcome_record
from meshtrial.record.span import Timing, span_record


class SpoolRecorder:
    """Writes each exposure as a span of its request's trace, before the request is answered."""

    def __init__(self, delivery: Delivery, key: PseudonymKey) -> None:
        self._delivery, self._key = delivery, key

    def record(self, attributes: Attributes, traceparent: str, timing: Timing) -> bool:
        """Write one span, child of `traceparent` (W3C); False, and counted, where the spool is full."""
        record = span_record(SpanName.EXPOSURE, attributes, traceparent, os.urandom(24), timing)
        return self._delivery.offer(record)

    def outcome(self, outcome: Outcome) -> None:
        """Write one outcome's span; where the spool is full that is counted."""
        self._delivery.offer(outcome_record(outcome, self._key))
