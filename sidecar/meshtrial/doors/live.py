"""A watched file -> the Plan in force, swapped whole between two requests."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from meshtrial.doors.in_force import InForce
from meshtrial.doors.watch import Watch
from meshtrial.errors import MeshtrialError, PlanError
from meshtrial.logs import EventLog
from meshtrial.plan.model import Plan

_LOG = EventLog("plan")
_POLL_SECONDS = 0.015
"""A change is read at the second look: 15 to 30 ms after it."""
_TURN_SECONDS = 0.0002
"""How long a reading keeps Python's lock while a request waits for it.

Python's own 5 ms, several times a request, would make decisions late as long as a large plan compiles.
"""
_CLOSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class PlanSource:
    """Where a plan comes from."""

    path: Path
    """The file whose changes count."""
    read: Callable[[], Plan]
    """Reads and compiles it; raises a MeshtrialError where it is not to be used."""


@dataclass(frozen=True, slots=True)
class PlanState:
    """What is in force, and what became of newer files."""

    in_force: InForce
    loaded_at: datetime
    """When it came into force, UTC."""
    refused: str = ""
    """First line of what is wrong with the newest file; "" where nothing is."""
    taken: int = 0
    """Readings since the start that brought another plan into force."""
    refusals: int = 0
    """Readings that failed."""
    unchanged: int = 0
    """Readings that found the plan in force."""

    def reloads(self) -> dict[str, int]:
        """Readings since the start, by their results' names."""
        return {"taken": self.taken, "refused": self.refusals, "unchanged": self.unchanged}

    def health(self) -> dict[str, str | None]:
        """As a component of /healthz."""
        return {
            "status": "refused" if self.refused else "ok",
            "digest": self.in_force.plan.digest,
            "loaded_at": self.loaded_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "error": self.refused or None,
        }


class Live:
    """Keeps a process's plan as its file says.

    A thread of its own looks, reads and compiles: neither a large plan nor a file system that hangs
    stops decisions. What it sets is one reference, so no request meets half of a change.
    """

    def __init__(self, source: PlanSource, taken: Callable[[Plan], None] = lambda _: None) -> None:
        """Read the first plan.

        Args:
            source: Where it comes from.
            taken: Told of each plan that came into force, the first one too; must not raise or wait.

        Raises:
            MeshtrialError: It is not to be used.
        """
        self._source, self._taken = source, taken
        self._watch = Watch(source.path)
        self._state = PlanState(InForce.of(source.read()), datetime.now(UTC))
        self._closing = threading.Event()
        taken(self._state.in_force.plan)

    @contextmanager
    def following(self, record: Callable[[PlanState], None] = lambda _: None) -> Iterator[None]:
        """Follow the file while inside; a reading that hangs at the end is left behind.

        Args:
            record: Told of the plan in force now and of each that comes, in the thread that reads plans: it
                may take its time, which delays nothing but the next change. Must not raise.
        """
        worker = threading.Thread(target=self._work, args=[record], name="plan", daemon=True)
        worker.start()
        try:
            yield
        finally:
            self._closing.set()
            worker.join(_CLOSE_SECONDS)

    def in_force(self) -> InForce:
        """For a request that begins now."""
        return self._state.in_force

    def state(self) -> PlanState:
        """For those who look from outside."""
        return self._state

    def reload(self) -> None:
        """Read the file soon, although it did not change; from any thread."""
        self._watch.forget()

    def _work(self, record: Callable[[PlanState], None]) -> None:
        recorded: InForce | None = None
        while not self._closing.is_set():
            if self._state.in_force is not recorded:
                recorded = self._state.in_force
                with _short_turns():
                    record(self._state)
            if not self._closing.wait(_POLL_SECONDS) and self._watch.due():
                with _short_turns():
                    self._read()

    def _read(self) -> None:
        before, start = self._state, time.monotonic()
        digest = before.in_force.plan.digest
        try:
            plan = self._source.read()
            found = before.in_force if plan.digest == digest else InForce.of(plan)
        except Exception as error:  # noqa: BLE001 - whatever a file does, the last good plan stays
            problems = _problems(error)
            self._state = replace(before, refused=problems[0], refusals=before.refusals + 1)
            _LOG.error("plan refused", problems=problems, in_force=digest)
            return
        if found is before.in_force:
            self._state = replace(before, refused="", unchanged=before.unchanged + 1)
            _LOG.info("plan unchanged", plan=digest)
            return
        self._state = PlanState(
            found,
            datetime.now(UTC),
            taken=before.taken + 1,
            refusals=before.refusals,
            unchanged=before.unchanged,
        )
        took = round((time.monotonic() - start) * 1000, 1)
        _LOG.info("plan taken", plan=plan.digest, before=digest, milliseconds=took)
        self._taken(plan)


@contextmanager
def _short_turns() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def _problems(error: Exception) -> list[str]:
    """What is wrong, each on a line; of a mistake of our own only its kind, which holds nobody's data."""
    if isinstance(error, PlanError):
        return str(error).splitlines()
    if isinstance(error, MeshtrialError):
        return [str(error)]
    return [f"{type(error).__name__} while the plan was read"]
