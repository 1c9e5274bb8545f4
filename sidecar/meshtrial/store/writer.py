"""The store as its one writer sees it: lock, journal and rolling together.

::

    async with Store.open(path, StoreSettings()) as store:
        await store.append(payload, time.time_ns())    # on disk when this returns
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from meshtrial.errors import Refused, StoreError
from meshtrial.logs import EventLog
from meshtrial.store.journal import Journal
from meshtrial.store.layout import Layout, locked
from meshtrial.store.segments import roll

_log = EventLog("store")

_FAILURE_SHOWN: Final = 10.0
"""Seconds: who is taken out of service for a failure must be found well again without an append."""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """When a journal becomes a segment, and how much may wait."""

    roll_bytes: int = 32 * 2**20
    """A journal this large is rolled: some 60,000 exposures, a segment of about 1 MB."""
    roll_seconds: float = 300.0
    """No span stays longer in a journal: reports read segments much faster."""
    max_pending: int = 64 * 2**20
    """Bytes that may wait for the disk before more is refused."""


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """How the store is doing now."""

    journal_bytes: int
    """Acknowledged and in the journal being written."""
    pending_bytes: int
    """Waiting for the disk."""
    write_failure: str | None
    """Why an append was refused in the last 10 seconds; None when a later one succeeded."""
    roll_failure: str | None
    """Why the last roll failed; it is tried again, and readers read the journal meanwhile."""


class Store:
    """Made by `Store.open`; belongs to the event loop it was opened in."""

    def __init__(self, layout: Layout, settings: StoreSettings) -> None:
        self._layout, self._settings = layout, settings
        self._number = max(layout.journals() + layout.segments(), default=0) + 1
        self._journal = Journal(layout.journal(self._number), settings.max_pending)
        self._write_failure = ("", -math.inf)  # what and when
        self._roll_failure: str | None = None
        self._converter = ThreadPoolExecutor(1, thread_name_prefix="segments")
        self._converter.submit(self._convert, self._number)  # what an earlier process left
        self._rolling: asyncio.Task[None] | None = None
        self._watching = asyncio.create_task(self._watch())

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, settings: StoreSettings) -> AsyncIterator[Self]:
        """Be this store's one writer; at the end everything is rolled into segments.

        Raises:
            StoreLocked: Another process writes to it.
            StoreError: It cannot be made or written.
        """
        layout = Layout(path)
        layout.create()
        with locked(layout):
            store = cls(layout, settings)
            try:
                yield store
            finally:
                await store._close()

    async def append(self, payload: bytes, received_ns: int) -> None:
        """Return when the payload is on disk.

        Args:
            payload: A serialised ExportTraceServiceRequest, checked by the caller.
            received_ns: When it came, ns since 1970.

        Raises:
            Refused: 503; it was not stored and may be sent again.
        """
        journal = self._journal
        try:
            await journal.append(payload, received_ns)
        except Refused as refusal:
            self._write_failure = (str(refusal), time.monotonic())
            raise
        else:
            self._write_failure = ("", -math.inf)
        finally:
            if journal is self._journal and (journal.broken or journal.size >= self._settings.roll_bytes):
                self._start_roll()

    def status(self) -> StoreStatus:
        """How it is doing, for /healthz and /metrics."""
        reason, when = self._write_failure
        write_failure = reason if time.monotonic() - when < _FAILURE_SHOWN else None
        return StoreStatus(self._journal.size, self._journal.pending, write_failure, self._roll_failure)

    def _start_roll(self) -> asyncio.Task[None]:
        if self._rolling is None or self._rolling.done():
            self._rolling = asyncio.create_task(self._roll())
        return self._rolling

    async def _roll(self) -> None:
        """Write on in a new journal; the one before is converted beside."""
        number = self._number + 1
        if self._journal.size or self._journal.broken:
            try:
                path = self._layout.journal(number)
                journal = await asyncio.to_thread(Journal, path, self._settings.max_pending)
            except StoreError as error:
                self._report_roll(str(error))
                return
            before, self._journal, self._number = self._journal, journal, number
            await before.close()
        self._converter.submit(self._convert, self._number)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._settings.roll_seconds)
            await self._start_roll()

    def _convert(self, before: int) -> None:
        """In the converter's thread: roll all closed journals, also those that failed earlier."""
        failure = None
        for number in self._layout.journals():
            if number >= before:
                break
            try:
                rolled = roll(self._layout, number)
            except Exception as error:  # noqa: BLE001 - one bad journal must not keep the others
                failure = str(error)
                continue
            if rolled.unreadable:
                _log.warning("unreadable tail", journal=number, bytes=rolled.unreadable)
            if rolled.spans:
                _log.info("rolled", journal=number, spans=rolled.spans)
        self._report_roll(failure)

    def _report_roll(self, failure: str | None) -> None:
        if failure and failure != self._roll_failure:
            _log.error("roll failed", reason=failure)
        self._roll_failure = failure

    async def _close(self) -> None:
        self._watching.cancel()
        with suppress(asyncio.CancelledError):
            await self._watching
        if self._rolling is not None:
            await self._rolling
        await self._journal.close()
        self._converter.submit(self._convert, self._number + 1)
        await asyncio.to_thread(self._converter.shutdown)
