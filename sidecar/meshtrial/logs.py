"""Structured logs: one JSON object a line on stderr.

Every line has `time` (RFC 3339, UTC, milliseconds), `level` and `event`, a fixed word to search for; what
the event is about follows as fields of its own::

    {"time": "2026-03-01T09:30:00.123Z", "level": "info", "event": "ready", "store": "/var/lib/meshtrial"}
"""

import json
import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TextIO

ROOT: Final = "meshtrial"
"""Logger above all of ours; `configure` gives it its one handler."""
QUIET_SECONDS: Final = 60.0
"""How long nothing more is said of what `EventLog.seldom` let through."""


class EventLog:
    """What one part of the program reports; cheap to make, safe in every thread."""

    def __init__(self, part: str, clock: Callable[[], float] = time.monotonic) -> None:
        """`part` names who speaks: `collect`, `store`; `clock` has seconds that only grow."""
        self._logger = logging.getLogger(f"{ROOT}.{part}")
        self._clock = clock
        self._said: dict[tuple[str | int, ...], float] = {}

    def seldom(self, *kind: str | int) -> bool:
        """Whether to speak of what requests may cause by thousands: once, and again when a minute has passed.

        A kind is one of few, each of which is remembered: nothing that a client or a model can vary.
        """
        now = self._clock()
        if now - self._said.get(kind, float("-inf")) < QUIET_SECONDS:
            return False
        self._said[kind] = now
        return True

    def info(self, event: str, **fields: object) -> None:
        """Something went as it should."""
        self._logger.info(event, extra={"fields": fields})

    def warning(self, event: str, **fields: object) -> None:
        """Something is missing or was refused, and the rest goes on."""
        self._logger.warning(event, extra={"fields": fields})

    def error(self, event: str, **fields: object) -> None:
        """Something failed that somebody has to look at."""
        self._logger.error(event, extra={"fields": fields})


class JsonLines(logging.Formatter):
    """A log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end; a value that JSON lacks is written as its text."""
        when = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, object] = {
            "time": when.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def configure(stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send our events to `stream` (stderr) as JSON lines, and keep the web server's own loggers quiet.

    Calling it again replaces the stream and the level.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    ours = logging.getLogger(ROOT)
    ours.handlers[:] = [handler]
    ours.setLevel(level)
    ours.propagate = False
    for name in ("uvicorn", "uvicorn.access", "uvicorn.error"):
        theirs = logging.getLogger(name)
        theirs.handlers[:] = [handler]
        theirs.setLevel(logging.ERROR)
        theirs.propagate = False
