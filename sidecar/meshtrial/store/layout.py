"""Where a store keeps its files, and the lock that gives it one writer.

::

    <store>/lock                                   held by the writing process, with its process id
    <store>/journals/00000007.journal              what was acknowledged and is not yet a segment
    <store>/segments/00000006/otel_traces.parquet  never changed again
    <store>/building/                              segments being written; nothing in it counts
    <store>/forward/                               copies that wait to be passed on, not part of the store
    <store>/aggregates/                            what reports remember (`store.remembered`); may be deleted

Journal N becomes segment N. The segment is renamed into place before the journal is deleted, so a reader that
lists the journals first and the segments second finds everything that was there when it began.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from meshtrial.errors import StoreError, StoreLocked
from meshtrial.store.schema import TABLE

FILE_MODE: Final = 0o640
"""Of journals, segments and the lock: what users did is nobody else's business."""
FOLDER_MODE: Final = 0o750
"""Of the store and its folders."""
_NUMBER: Final = "[0-9]" * 8
"""Only exactly eight digits are ours: people leave copies and backups beside."""


class Segment(NamedTuple):
    """A Parquet file as it was found."""

    path: Path
    number: int
    size: int
    """Bytes."""
    written: int
    """Nanoseconds since 1970."""

    @property
    def mark(self) -> tuple[int, int, int]:
        """What tells it from another: segments never change, so the same are the same content."""
        return self.number, self.size, self.written


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one store; N counts from 1."""

    root: Path

    def journal(self, number: int) -> Path:
        """Journal N."""
        return self.root / "journals" / f"{number:08}.journal"

    def segment(self, number: int) -> Path:
        """The folder of segment N."""
        return self.root / "segments" / f"{number:08}"

    def parquet(self, number: int) -> Path:
        """The table of segment N."""
        return self.segment(number) / f"{TABLE}.parquet"

    def building(self, number: int) -> Path:
        """Where segment N is written before it is renamed into place."""
        return self.root / "building" / f"{number:08}"

    def journals(self) -> list[int]:
        """Numbers of the journals that exist, ascending."""
        return sorted(int(path.stem) for path in (self.root / "journals").glob(_NUMBER + ".journal"))

    def segments(self) -> list[int]:
        """Numbers of the finished segments, ascending."""
        return sorted(int(path.name) for path in (self.root / "segments").glob(_NUMBER))

    def create(self) -> None:
        """Make the folders that are missing.

        Raises:
            StoreError: A folder cannot be made.
        """
        try:
            self.root.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
            for name in ("journals", "segments", "building"):
                (self.root / name).mkdir(FOLDER_MODE, exist_ok=True)
            sync_folder(self.root)
        except OSError as error:
            raise StoreError(f"the store {self.root} cannot be made: {error.strerror}") from error


def found_segment(parquet: Path) -> Segment:
    """The table of a segment as it is.

    Raises:
        OSError: It is not there.
    """
    status = parquet.stat()
    return Segment(parquet, int(parquet.parent.name), status.st_size, status.st_mtime_ns)


def sync_folder(folder: Path) -> None:
    """Make renames, new and deleted files of this folder outlive a power cut: fsync(2), NOTES."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(layout: Layout) -> Iterator[None]:
    """Be the only writer; the lock goes with the process, however it ends: flock(2).

    Raises:
        StoreLocked: Another process writes to this store.
        StoreError: The lock's file cannot be opened.
    """
    try:
        descriptor = os.open(layout.root / "lock", os.O_RDWR | os.O_CREAT, FILE_MODE)
    except OSError as error:
        raise StoreError(f"the store {layout.root} cannot be written: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "unknown"
            raise StoreLocked(f"the store {layout.root} is already written to by process {holder}") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
