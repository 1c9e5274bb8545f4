"""The first arm of each unit of a sticky experiment, kept for the experiment's life."""

import sqlite3
from pathlib import Path
from typing import Protocol

from meshtrial.assign.context import Kept
from meshtrial.errors import SettingError


class Sticky(Protocol):
    """Units are named by their pseudonyms: no store holds a unit in clear."""

    def kept(self, experiment: str, pseudonym: str) -> Kept | None:
        """The unit's first assignment, None before it has one."""

    def keep(self, experiment: str, pseudonym: str, first: Kept) -> None:
        """Keep an assignment, unless the unit has one already."""

    def close(self) -> None:
        """Let go of what it holds."""


class StickyMemory:
    """In this process alone, until it ends."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Kept] = {}

    def kept(self, experiment: str, pseudonym: str) -> Kept | None:
        """The unit's first assignment, None before it has one."""
        return self._kept.get((experiment, pseudonym))

    def keep(self, experiment: str, pseudonym: str, first: Kept) -> None:
        """Keep an assignment, unless the unit has one already."""
        self._kept.setdefault((experiment, pseudonym), first)

    def close(self) -> None:
        """Let go of what it holds."""
        self._kept.clear()


class StickyFile:
    """In an SQLite file, which the processes of one machine share and which outlives them.

    Written without waiting for the disk (WAL, synchronous=NORMAL: https://sqlite.org/wal.html): a crash of
    the machine may lose the last assignments, whose units then get the arm of their bucket again.
    """

    def __init__(self, path: Path) -> None:
        """Open, or create.

        Raises:
            SettingError: The file cannot be used.
        """
        try:
            path.touch(mode=0o640)  # for its owner and group alone, as store and spool are
            # `GET /v1/explain` reads in another thread: SQLite itself lets in one at a time.
            self._connection = sqlite3.connect(
                path, isolation_level=None, timeout=_BUSY_SECONDS, check_same_thread=False
            )
            for statement in _SCHEMA:
                self._connection.execute(statement)
        except (sqlite3.Error, OSError) as error:
            raise SettingError(f"the file of sticky assignments {path} cannot be used: {error}") from error

    def kept(self, experiment: str, pseudonym: str) -> Kept | None:
        """The unit's first assignment, None before it has one."""
        row = self._connection.execute(_SELECT, (experiment, pseudonym)).fetchone()
        return Kept(*row) if row else None

    def keep(self, experiment: str, pseudonym: str, first: Kept) -> None:
        """Keep an assignment, unless the unit has one already."""
        self._connection.execute(_INSERT, (experiment, pseudonym, first.arm, first.phase))

    def close(self) -> None:
        """Let go of what it holds."""
        self._connection.close()


_BUSY_SECONDS = 0.02
"""Wait for another process that writes: within the proxy's patience."""
_SCHEMA = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    """
    CREATE TABLE IF NOT EXISTS first (
      experiment TEXT NOT NULL, unit TEXT NOT NULL, arm TEXT NOT NULL, phase TEXT NOT NULL,
      PRIMARY KEY (experiment, unit)
    ) WITHOUT ROWID, STRICT
    """,
)
_SELECT = "SELECT arm, phase FROM first WHERE experiment = ? AND unit = ?"
_INSERT = "INSERT OR IGNORE INTO first VALUES (?, ?, ?, ?)"
