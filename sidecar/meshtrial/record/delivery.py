"""From the spool to a receiver: a thread that sends, tries again and counts, and slows nobody down.

What comes in while the spool is full is refused and counted, never waited for; what the receiver will never
take is counted, never dropped in silence.
"""

import itertools
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from meshtrial.errors import Refused
from meshtrial.logs import EventLog
from meshtrial.record.otlp_http import Sent
from meshtrial.record.spool import Batch, Spool

LINGER = 0.5
"""Seconds: what a report may lag behind, and two small requests a second."""
BATCH_BYTES = 2**20
"""One request, before compression: some 1,300 exposures."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait after a failed attempt: `first` seconds, doubled each time, up to `most`."""

    first: float = 0.1
    most: float = 5.0

    def wait(self, attempt: int) -> float:
        """Seconds before the next attempt; `attempt` counts from 0.

        A random half of it keeps many senders from coming back at the same moment, as OTLP asks for:
        https://opentelemetry.io/docs/specs/otlp/#otlphttp-throttling
        """
        longest = min(self.most, self.first * 2.0 ** min(attempt, 32))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, hides nothing


@dataclass(frozen=True, slots=True)
class Counts:
    """Records of this process; an earlier one's are among the delivered and the failed only.

    A record is a span group: an exposure is one, a request that is forwarded may hold several.
    """

    accepted: int
    """Written to the spool."""
    delivered: int
    """Taken by the receiver."""
    overflowed: int
    """Requests refused because the spool was full or the disk did not take them; not among the accepted."""
    failed: int
    """Given up: the receiver will never take them; a damaged place of the spool counts as one."""
    rejected: int
    """Spans that the receiver took and dropped."""
    waiting_bytes: int
    """In the spool."""
    failing: str
    """Why the last attempt to send did not succeed; "" where it did."""

    @property
    def lost(self) -> int:
        """What this process knows to be lost."""
        return self.overflowed + self.failed + self.rejected

    def health(self) -> dict[str, str | int | None]:
        """As a component of /healthz."""
        status = "degraded" if self.failing or self.lost else "ok"
        return {
            "status": status,
            "reason": self.failing or None,
            "waiting_bytes": self.waiting_bytes,
            "lost": self.lost,
        }


class Delivery:
    """Delivers a spool's records in order, in batches, from a thread of its own.

    `send` gets a serialised OTLP request and says what became of it. It raises `Refused` when trying again
    is of no use; the batch is then given up. While a batch is tried again the following wait behind it.
    """

    def __init__(
        self,
        spool: Spool,
        send: Callable[[bytes], Sent],
        linger: float = LINGER,
        backoff: Backoff = Backoff(),
    ) -> None:
        """Start the thread.

        Args:
            spool: Closed by `close`.
            send: Called in the delivery's thread only.
            linger: Seconds between batches that are not full: each costs the doors' thread a fight for
                Python's lock, whatever its size.
            backoff: Waits between attempts.
        """
        self._spool, self._send, self._linger, self._backoff = spool, send, linger, backoff
        self._log = EventLog("delivery")
        self._accepted = self._delivered = self._overflowed = self._failed = self._rejected = 0
        self._failing = ""
        self._offering = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._deadline = float("inf")
        self._worker = threading.Thread(target=self._work, name="delivery", daemon=True)
        if spool.waiting:
            self._wake.set()
        self._worker.start()

    def offer(self, request: bytes) -> bool:
        """Write an OTLP request to the spool, from any thread; False, and counted, where it does not take it.

        Raises:
            ValueError: It is no OTLP request.
        """
        records = self._spool.append(request)
        with self._offering:
            self._overflowed += not records
            self._accepted += records
        if not records:
            return False
        if not self._wake.is_set():
            self._wake.set()
        return True

    def counts(self) -> Counts:
        """What happened so far."""
        return Counts(
            accepted=self._accepted,
            delivered=self._delivered,
            overflowed=self._overflowed,
            failed=self._failed,
            rejected=self._rejected,
            waiting_bytes=self._spool.waiting,
            failing=self._failing,
        )

    def close(self, timeout: float) -> bool:
        """Deliver what waits within `timeout` seconds; True where nothing is left for the next process."""
        self._deadline = time.monotonic() + timeout
        self._closing.set()
        self._wake.set()
        self._worker.join(timeout + 1)
        done = self._spool.waiting == 0
        self._spool.close()
        return done

    def _work(self) -> None:
        turns = itertools.count()
        while True:
            self._wake.wait()
            self._closing.wait(self._linger)
            self._wake.clear()
            try:
                emptied = self._empty()
            except Exception as error:  # noqa: BLE001 - whatever fails here fails again later, and is told
                # Only its kind: an error's text may hold what it failed on, a token for instance.
                self._failing = f"{type(error).__name__} in the delivery"
                self._log.error("failed", reason=self._failing)
                self._closing.wait(self._backoff.wait(next(turns)))
                self._wake.set()
                emptied = time.monotonic() < self._deadline
            if not emptied or (self._closing.is_set() and not self._wake.is_set()):
                return

    def _empty(self) -> bool:
        """Deliver until less than a full batch waits, which lingers; False when the time to close is over."""
        full = True
        while full or self._closing.is_set():
            batch = self._spool.read(BATCH_BYTES)
            if batch.unreadable:
                self._failed += 1
                self._log.error("unreadable in the spool", bytes=batch.unreadable)
            if not batch.records:
                return True
            if not self._deliver(batch):
                return False
            self._spool.delivered(len(batch.data))
            full = self._spool.waiting >= BATCH_BYTES
        if self._spool.waiting:
            self._wake.set()
        return True

    def _deliver(self, batch: Batch) -> bool:
        """Send until it is taken or given up; False when the time to close is over."""
        for attempt in itertools.count():
            if self._sent(batch):
                return True
            if attempt == 0:
                self._log.warning("retrying", records=batch.records, reason=self._failing)
            left = self._deadline - time.monotonic()
            if left <= 0:
                return False
            wait = min(self._backoff.wait(attempt), left)
            if not self._closing.is_set():
                self._closing.wait(wait)  # a stop ends the wait, for another attempt at once
            else:
                time.sleep(wait)
        return False

    def _sent(self, batch: Batch) -> bool:
        """Try once; True where the batch is done with."""
        try:
            sent = self._send(batch.data)
        except Refused as refusal:
            self._failing = str(refusal)
            self._failed += batch.records
            self._log.error("given up", records=batch.records, reason=self._failing)
            return True
        self._failing = sent.again
        if sent.again:
            return False
        self._delivered += batch.records
        if sent.rejected:
            self._rejected += sent.rejected
            self._log.warning("receiver dropped spans", spans=sent.rejected, reason=sent.reason)
        return True
