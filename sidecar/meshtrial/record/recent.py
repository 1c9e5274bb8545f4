"""Which exposures were recorded lately: for `exposures: first`."""

from collections.abc import Hashable

from meshtrial.assign.decide import Assignment
from meshtrial.memory import BoundedMemory

HOUR = 3_600_000_000_000
"""Nanoseconds."""
LARGEST = 200_000
"""Exposures remembered at most, some 18 MB."""


def meeting(assignment: Assignment, pseudonym: str | None, time: int) -> Hashable:
    """What is recorded once: a unit, its group, its arm, why it has it, the hour; `time` is ns since 1970.

    With its group, because groups are what is randomised: each has to be counted that a member came with.
    """
    a, subject = assignment, assignment.subject
    group = subject.hashed if a.experiment.unit.member is not None else None
    return a.experiment.id, a.phase, a.arm.id, a.reason, group, subject.window, pseudonym, time // HOUR


class Recent:
    """A bounded memory of meetings; what it forgets is recorded once more, which changes no analysis.

    Only hashes are kept: with 64 bits two of 200,000 meetings are taken for one with a probability of 1e-9.
    """

    def __init__(self, largest: int = LARGEST) -> None:
        self._known = BoundedMemory[int, bool](largest)

    def __contains__(self, meeting: Hashable) -> bool:
        """Whether a meeting was added, as far as is remembered."""
        return self._known.get(hash(meeting)) is not None

    def add(self, meeting: Hashable) -> None:
        """Remember a meeting."""
        self._known.put(hash(meeting), True)
