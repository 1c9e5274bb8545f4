"""The first arm of each unit of a sticky experiment, kept for the experiment's life."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from meshtrial.assign.context import Kept
from meshtrial.errors import SettingError
from meshtrial.logs import EventLog
from meshtrial.memory import BoundedMemory

LARGEST = 200_000
"""Units that a memory holds at most, some 60 MB."""


class Sticky(Protocol):
    """Units are named by their pseudonyms: no store holds a unit in clear."""

    @property
    def failures(self) -> int:
        """Times that it could not be asked or written."""

    def kept(self, experiment: str, pseudonym: str) -> Kept | None:
        """The unit's first assignment; None before it has one, and where that cannot be known now."""

    def keep(self, experiment: str, pseudonym: str, first: Kept) -> None:
        """Keep an assignment, as far as possible, unless the unit has one already."""

    def health(self) -> dict[str, str | None]:
        """As a component of /healthz."""

    def close(self) -> None:
        """Let go of what it holds."""


class StickyMemory:
    """In this process alone and of a bounded number of units: those longest away are forgotten."""

    failures = 0

    def __init__(self, largest: int = LARGEST) -> None:
        self._first = BoundedMemory[tuple[str, str], Kept](largest)

    def kept(self, experiment: str, pseudonym: str) -> Kept | None:
        """The unit's first assignment, None before it has one."""
        return self._first.get((experiment, pseudonym))

    def keep(self, experiment: str, pseudonym: str, first: Kept) -> None:
        """Keep an assignment, unless the unit has one already."""
        if self.kept(experiment, pseudonym) is None:
            self._first.put((experiment, pseudonym), first)

    def health(self) -> dict[str, str | None]:
        """As a component of /healthz."""
        return {"status": "ok", "reason": None}

    def close(self) -> None:
        """There is nothing to let go of."""


class StickyFile:
    """In an SQLite file, which the processes of one machine share and which outlives them.

    Written without waiting for the disk (WAL, synchronous=NORMAL: https://sqlite.org/wal.html): a crash of
    the machine may lose the last assignments, whose units then get the arm of their bucket again. So do new
    units while the file cannot be written, as on a full disk, and all units while it cannot be read.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Open, or create.

        Args:
            path: The file.
            clock: Seconds that only grow.

        Raises:
            SettingError: The file cannot be used.
        """
        self.failures = 0
        self._clock = clock
        self._again = dict.fromkeys((_SELECT, _INSERT), float("-inf"))
        self._reason, self._failed = "", float("-inf")
        self._log = EventLog("sticky", clock)
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
        """The unit's first assignment; None before it has one, and where the file cannot be read now."""
        row = self._asked(_SELECT, (experiment, pseudonym))
        return Kept(*row) if row else None

    def keep(self, experiment: str, pseudonym: str, first: Kept) -> None:
        """Keep an assignment, unless the unit has one already or the file cannot be written now."""
        self._asked(_INSERT, (experiment, pseudonym, first.arm, first.phase))

    def _asked(self, statement: str, values: tuple[str, ...]) -> tuple[str, ...] | None:
        """The first row; trouble is counted, and the statement is not tried for a while: decisions go on.

        Each statement for itself: what cannot be written can often be read still.
        """
        if self._clock() >= self._again[statement]:
            try:
                row: tuple[str, ...] | None = self._connection.execute(statement, values).fetchone()
            except sqlite3.Error as error:
                self._tell(str(error))
                self._failed = self._clock()
                self._again[statement] = self._failed + _PAUSE_SECONDS
            else:
                return row
        self.failures += 1
        return None

    def _tell(self, reason: str) -> None:
        self._reason = reason
        if self._log.seldom(reason):
            self._log.error("sticky file in trouble", reason=reason)

    def health(self) -> dict[str, str | None]:
        """As a component of /healthz: `degraded` for a minute after the last trouble."""
        if self._clock() - self._failed > _SHOWN_SECONDS:
            return {"status": "ok", "reason": None}
        return {"status": "degraded", "reason": self._reason}

    def close(self) -> None:
        """Let go of what it holds."""
        self._connection.close()


_BUSY_SECONDS = 0.005
"""Wait for another process that writes: all decisions of this one wait too."""
_PAUSE_SECONDS = 0.1
"""How long what failed is not tried again."""
_SHOWN_SECONDS = 60.0
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
