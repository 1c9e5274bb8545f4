"""Append-only journal with group commit: what is acknowledged is on disk.

A record is little-endian `u32 length, u32 crc32, i64 received_ns`, then `length` bytes of payload; the CRC is
over `received_ns` and the payload. A writer that was killed leaves a torn tail at most, never acknowledged.
"""

import asyncio
import os
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from meshtrial.errors import Refused, StoreError
from meshtrial.store.layout import FILE_MODE, sync_folder

_HEADER: Final = struct.Struct("<IIq")
_CHECKED: Final = struct.Struct("<q")


@dataclass(frozen=True, slots=True)
class Contents:
    """A journal's readable part."""

    records: tuple[tuple[int, bytes], ...]
    """(received_ns, payload) in the order appended."""
    unreadable: int
    """Bytes after the last whole record: 0 unless its writer was killed, or the file is damaged."""


def read_journal(path: Path) -> Contents:
    """Everything up to the first record that is cut off or fails its checksum.

    A journal that is being written to may be read: the record that is being written is then unreadable.

    Raises:
        FileNotFoundError: There is no such journal (any more).
    """
    data = path.read_bytes()
    records: list[tuple[int, bytes]] = []
    at = 0
    while at + _HEADER.size <= len(data):
        length, crc, received_ns = _HEADER.unpack_from(data, at)
        payload = data[at + _HEADER.size : at + _HEADER.size + length]
        if len(payload) < length or _checksum(received_ns, payload) != crc:
            break
        records.append((received_ns, payload))
        at += _HEADER.size + length
    return Contents(tuple(records), len(data) - at)


def _checksum(received_ns: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(_CHECKED.pack(received_ns)))


@dataclass(frozen=True, slots=True)
class _Waiting:
    record: bytes
    done: "asyncio.Future[None]"


class Journal:
    """Writes one journal from one event loop.

    Appends that wait together share one write and one fsync, which run in a thread. When writing fails, the
    file is cut back to what was acknowledged; the appends concerned are refused and later ones may succeed.
    """

    def __init__(self, path: Path, max_pending: int) -> None:
        """Create the file.

        Args:
            path: Must not exist.
            max_pending: Bytes that may wait for the disk; more are refused.

        Raises:
            StoreError: The file cannot be made.
        """
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
            sync_folder(path.parent)
        except OSError as error:
            raise StoreError(f"the journal {path} cannot be made: {error.strerror}") from error
        self.path = path
        self.size = 0
        """Bytes acknowledged."""
        self.pending = 0
        """Bytes that wait for the disk."""
        self.broken = False
        """The file could not be cut back after a failure; nothing can be appended any more."""
        self._max_pending = max_pending
        self._queue: list[_Waiting] = []
        self._committing: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")

    async def append(self, payload: bytes, received_ns: int) -> None:
        """Return when the payload is on disk.

        Raises:
            Refused: 503; too much is waiting, or the disk did not take it. It was not stored.
        """
        record = _HEADER.pack(len(payload), _checksum(received_ns, payload), received_ns) + payload
        if self.pending + len(record) > self._max_pending:
            raise Refused(503, f"the store is busy: {self.pending} bytes already wait for the disk")
        waiting = _Waiting(record, asyncio.get_running_loop().create_future())
        self.pending += len(record)
        self._queue.append(waiting)
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all())
        await waiting.done

    async def close(self) -> None:
        """Commit what waits, then close the file; no append may follow."""
        if self._committing is not None:
            await self._committing
        self._thread.shutdown()
        os.close(self._descriptor)

    async def _commit_all(self) -> None:
        try:
            while self._queue:
                batch, self._queue = self._queue, []
                _settle(batch, await self._commit(batch))
        finally:
            self._committing = None

    async def _commit(self, batch: list[_Waiting]) -> str | None:
        """Write one batch; why it failed, None if it did not."""
        size = sum(len(waiting.record) for waiting in batch)
        try:
            data = b"".join(waiting.record for waiting in batch)
            await asyncio.get_running_loop().run_in_executor(self._thread, self._write, data)
            self.size += size
        except OSError as error:
            return f"the store cannot be written: {error.strerror}"
        except Exception as error:  # noqa: BLE001 - whatever it was, those that wait must be answered
            return f"the store cannot be written: {error!r}"
        finally:
            self.pending -= size
        return None

    def _write(self, data: bytes) -> None:
        """Put the data behind what is acknowledged, wholly or not at all."""
        if self.broken:
            raise OSError(0, "an earlier failed write could not be undone")
        try:
            rest = memoryview(data)
            at = self.size
            while rest:
                written = os.pwrite(self._descriptor, rest, at)
                rest, at = rest[written:], at + written
            os.fsync(self._descriptor)
        except BaseException:
            try:
                os.ftruncate(self._descriptor, self.size)
            except OSError:
                self.broken = True
            raise


def _settle(batch: list[_Waiting], failure: str | None) -> None:
    for waiting in batch:
        if waiting.done.cancelled():  # its client went away; what it sent is stored all the same
            continue
        if failure is None:
            waiting.done.set_result(None)
        else:
            waiting.done.set_exception(Refused(503, failure))
