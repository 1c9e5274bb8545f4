"""A file -> whether it has to be read again.

Looked at by `stat`, not by inotify: it sees an atomic rename, a write in place and a swap of any symlink
on the way (a Kubernetes ConfigMap's `..data`) alike, on every file system, for 2 us a look.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Look:
    """What tells one state of a file from another."""

    device: int
    inode: int
    """With the device, another after a rename or a symlink's swap."""
    size: int
    modified: int
    """Nanoseconds since 1970."""
    changed: int
    """As `modified`, but for permissions too: a file that may be read again has to be."""

    @classmethod
    def at(cls, path: Path) -> Self | None:
        """The regular file that a path leads to; None where there is none, or a pipe that ends once read."""
        try:
            found = os.stat(path)  # noqa: PTH116 - the plain call: it is made 67 times a second
        except OSError:
            return None
        if not stat.S_ISREG(found.st_mode):
            return None
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class Watch:
    """One path, looked at from one thread every few milliseconds."""

    def __init__(self, path: Path) -> None:
        """Begin before the file is first read, so that no change falls between."""
        self._path = path
        self._last = self._read = Look.at(path)
        self._forgotten = False

    def due(self) -> bool:
        """Look once; True where the file has to be read now.

        That is when it differs from what was read and is as it was at the last look: a file that is
        still being written is left alone, even where the half of it would be a valid plan. It also
        means that no later write can carry the same time stamp, which file systems take from a clock
        that ticks every 1 to 10 ms.
        """
        before, self._last = self._last, Look.at(self._path)
        if self._last != before or (self._last == self._read and not self._forgotten):
            return False
        self._read, self._forgotten = self._last, False
        return True

    def forget(self) -> None:
        """Have the file read again although it did not change; from any thread."""
        self._forgotten = True
