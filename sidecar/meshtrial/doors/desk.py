"""What the sessions of one process share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from meshtrial.doors.counters import Counters
from meshtrial.doors.in_force import InForce
from meshtrial.logs import EventLog
from meshtrial.pseudonym import PseudonymKey
from meshtrial.record.exposure import Attributes
from meshtrial.record.outcome import Outcome
from meshtrial.record.recent import Recent
from meshtrial.record.span import Timing
from meshtrial.state.sticky import Sticky


class Recorder(Protocol):
    """Where exposures and outcomes go."""

    def record(self, attributes: Attributes, traceparent: str, timing: Timing) -> bool:
        """Keep one exposure, before it is answered on; whether it was kept."""

    def outcome(self, outcome: Outcome) -> None:
        """Keep one outcome."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What every session of one process works with."""

    in_force: Callable[[], InForce]
    """What a session that begins now decides with."""
    key: PseudonymKey
    recorder: Recorder
    counters: Counters
    late_after: int
    """Nanoseconds after which a request is not decided any more, 0 for never.

    A sidecar that wakes after a hang finds requests that the proxy has long sent to control. An
    answer that might come too late decides nothing, so nothing false is recorded.
    """
    now: Callable[[], int]
    """Nanoseconds since 1970."""
    chance: Callable[[int], bytes]
    """So many random bytes: what minted cookies are made of."""
    sticky: Sticky
    """First arms of units that keep theirs."""
    recent: Recent
    """What need not be recorded again."""
    events: EventLog = field(default_factory=lambda: EventLog("ext_proc"))
    """What the process reports of requests."""
