"""What a reader of a store remembers for its next time, in files that nobody has to keep.

::

    <store>/aggregates/<name>    lengths and sums of both parts, a text (MessagePack), 64-bit words

A file is written under another name and renamed into place, so that readers at the same time see a whole one
or none. One that cannot be read or was damaged is as good as none, and where nothing can be written only time
is lost. The folder is bounded: `MOST` files of `MOST_WORDS` at most, those not written for longest go first.
"""

import hashlib
import os
import struct
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from meshtrial.store.layout import FILE_MODE, FOLDER_MODE

MOST: Final = 16
"""Files."""
MOST_WORDS: Final = 2**26
"""Words of one file: half a GiB. With more nothing is remembered."""
_HEADER: Final = struct.Struct("<16sQQQ")
"""Digest of the text; bytes of text; words; their sum modulo 2^64, which costs less than to read them."""

Words = npt.NDArray[np.uint64]


class Memory(NamedTuple):
    """The content of one file."""

    text: bytes
    words: Words


@dataclass(frozen=True, slots=True)
class Remembered:
    """The folder of one store."""

    store: Path

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self.store / "aggregates"

    def load(self, name: str) -> Memory | None:
        """What was remembered under a name of letters, digits and hyphens, or None."""
        with suppress(OSError, ValueError, struct.error):
            path = self.folder / name
            with path.open("rb") as file:
                digest, length, count, total = _HEADER.unpack(file.read(_HEADER.size))
                size = os.fstat(file.fileno()).st_size
                if size != _HEADER.size + length + 8 * count:
                    return None
                text = file.read(length)
                words = np.fromfile(file, np.dtype("<u8"), count)
            if _digest(text) == digest and _total(words) == total:
                return Memory(text, words)
        return None

    def save(self, name: str, memory: Memory) -> None:
        """Remember something under a name, in the place of what was there."""
        text, words = memory
        if len(words) > MOST_WORDS:
            return
        with suppress(OSError):
            self.folder.mkdir(FOLDER_MODE, exist_ok=True)
            descriptor, new_name = tempfile.mkstemp(prefix="new-", dir=self.folder)
            new = Path(new_name)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    os.fchmod(descriptor, FILE_MODE)
                    file.write(_HEADER.pack(_digest(text), len(text), len(words), _total(words)) + text)
                    words.astype("<u8", copy=False).tofile(file)
                new.rename(self.folder / name)
            except OSError:
                new.unlink(missing_ok=True)
                raise
            self._tidy()

    def _tidy(self) -> None:
        oldest_first = sorted(self.folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        for path in oldest_first[:-MOST]:
            path.unlink(missing_ok=True)


def common(some: Words, ordered: Words) -> Words:
    """Those of some that are among the ordered ones, each once and in order."""
    if not len(ordered):
        return ordered
    places = np.minimum(np.searchsorted(ordered, some), len(ordered) - 1)
    return np.unique(some[ordered[places] == some])


def digest_of(*parts: str) -> str:
    """A name for what depends on all of these, and on what counts and hashes."""
    versions = [version("meshtrial"), version("duckdb")]
    return _digest("\n".join([*versions, *parts]).encode()).hex()


def _digest(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=16).digest()


def _total(words: Words) -> int:
    return int(np.add.reduce(words, dtype=np.uint64))
