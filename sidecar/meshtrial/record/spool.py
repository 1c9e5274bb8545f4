"""Records on disk until they are delivered: what was written outlives the process that wrote it.

A record is a serialised OTLP request. Requests one after the other are one request with all their spans
(https://protobuf.dev/programming-guides/encoding/#last-one-wins), so a spool file is a growing OTLP request
and needs no format of its own; the length before each span group tells where a record cut off begins.

Records are written, not synced: they survive the death of the process, kill -9 included, and not that of the
machine. A file is deleted when all of it was delivered; after a crash its last file is delivered again, and
whoever reads drops spans that come twice.
"""

import fcntl
import os
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from meshtrial.errors import SettingError

FILE_BYTES: Final = 4 * 2**20
"""Size from which the next record opens a new file: what a crash may deliver twice, some 5,000 spans."""
LIMIT_BYTES: Final = 256 * 2**20
"""What may wait: half a million exposures, or some minutes of a very busy proxy."""
_SPAN_GROUP: Final = 0x0A
"""Tag of the field `resource_spans`, the only one of a request."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Records that lie one after the other."""

    data: bytes
    """One serialised OTLP request."""
    records: int
    """Span groups in it; an exposure is one."""
    unreadable: int = 0
    """Bytes before it that were passed over."""


@dataclass(slots=True)
class _File:
    path: Path
    size: int
    delivered: int = 0


class Spool:
    """A queue of records in one directory of one process: any thread may write, one reads."""

    def __init__(self, directory: Path, limit: int = LIMIT_BYTES, file_bytes: int = FILE_BYTES) -> None:
        """Take over a directory, with what an earlier process left.

        Args:
            directory: Made where it is missing.
            limit: Bytes that may wait.
            file_bytes: Size of a file from which on a new one is begun.

        Raises:
            SettingError: It cannot be written, or another process has it.
        """
        self._limit, self._file_bytes = limit, file_bytes
        self._lock = threading.Lock()
        self._descriptor = -1
        try:
            directory.mkdir(mode=0o750, parents=True, exist_ok=True)
            self._held = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left = sorted(directory.glob("[0-9]" * 8 + ".otlp"))
            self._files = deque(_File(path, path.stat().st_size) for path in left)
            self._waiting = sum(file.size for file in self._files)
            self._directory, self._next = directory, int(left[-1].stem) + 1 if left else 1
            self._open()
        except BlockingIOError as error:
            raise SettingError(f"the spool {directory} is in use by another process") from error
        except OSError as error:
            raise SettingError(f"the spool {directory} cannot be written: {error.strerror}") from error

    @property
    def waiting(self) -> int:
        """Bytes not yet delivered."""
        return self._waiting

    def append(self, request: bytes) -> int:
        """Write an OTLP request; its records, 0 where the limit is reached or the disk does not take it.

        Raises:
            ValueError: It holds anything but span groups: what came behind it could not be read any more.
        """
        whole = _whole(request)
        if len(whole.data) != len(request):
            raise ValueError("a spool takes OTLP requests of span groups only")
        with self._lock:
            if self._waiting + len(request) > self._limit:
                return 0
            try:
                if self._files[-1].size >= self._file_bytes:
                    self._open()
                return whole.records if self._written(request) else 0
            except OSError:
                return 0

    def read(self, most: int) -> Batch:
        """The next whole records: `most` bytes at most, but one at least; empty where none waits.

        What cannot be read is passed over to the end of its file, and told: the tail that a killed process
        left, on which nobody was answered, or a file that was damaged or taken away.
        """
        unreadable = 0
        while True:
            file, start, end = self._oldest()
            if start >= end:
                return Batch(b"", 0, unreadable)
            data = _content(file.path, start, min(end - start, most))
            batch = _whole(data)
            if not batch.records and len(data) < end - start:
                batch = _whole(_content(file.path, start, end - start), most_records=1)
            if batch.records:
                return Batch(batch.data, batch.records, unreadable)
            unreadable += end - start
            self.delivered(end - start)

    def delivered(self, length: int) -> None:
        """The next `length` bytes need not be kept."""
        with self._lock:
            self._files[0].delivered += length
            self._waiting -= length

    def close(self) -> None:
        """Let the directory go: what was delivered is deleted, what was not waits for the next process."""
        with self._lock:
            for file in self._files:
                if file.delivered >= file.size:
                    file.path.unlink(missing_ok=True)
            os.close(self._descriptor)
            os.close(self._held)

    def _oldest(self) -> tuple[_File, int, int]:
        """The file to read from, and which of its bytes wait; files that are done with are deleted."""
        with self._lock:
            while len(self._files) > 1 and self._files[0].delivered >= self._files[0].size:
                self._files.popleft().path.unlink(missing_ok=True)
            file = self._files[0]
            if file.delivered and file.delivered >= file.size and not file.path.exists():
                self._open()  # taken away from outside: go on in a new one
                file = self._files[0]
            return file, file.delivered, file.size

    def _open(self) -> None:
        path = self._directory / f"{self._next:08}.otlp"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = descriptor
        self._files.append(_File(path, 0))
        self._next += 1

    def _written(self, request: bytes) -> bool:
        # At a place of its own: what a full disk took of an earlier request is written over.
        file = self._files[-1]
        if os.pwrite(self._descriptor, request, file.size) < len(request):
            return False
        file.size += len(request)
        self._waiting += len(request)
        return True


def _content(path: Path, start: int, length: int) -> bytes:
    try:
        with path.open("rb") as source:
            source.seek(start)
            return source.read(length)
    except OSError:
        return b""


def _whole(data: bytes, most_records: int = 2**31) -> Batch:
    """The whole records at the beginning of some bytes."""
    end = records = 0
    while records < most_records and end < len(data) and data[end] == _SPAN_GROUP:
        length = shift = 0
        at = end + 1
        while at < len(data):
            byte = data[at]
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        else:
            break
        if at + length > len(data):
            break
        end, records = at + length, records + 1
    return Batch(data[:end], records)
