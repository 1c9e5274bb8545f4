"""Which exposures were recorded lately: for `exposures: first`."""

from collections.abc import Hashable

from meshtrial.assign.decide import Assignment

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

    Two generations: when the younger is half of `largest`, the older is forgotten and the younger takes its
    place. So at least the last half is always known. Only hashes are kept: with 64 bits two of 200,000
    meetings are taken for one with a probability of 1e-9.
    """

    def __init__(self, largest: int = LARGEST) -> None:
        self._half = largest // 2
        self._young: set[int] = set()
        self._old: set[int] = set()

    def __contains__(self, meeting: Hashable) -> bool:
        """Whether a meeting was added, as far as is remembered."""
        key = hash(meeting)
        return key in self._young or key in self._old

    def add(self, meeting: Hashable) -> None:
        """Remember a meeting."""
        if len(self._young) >= self._half:
            self._old, self._young = self._young, set()
        self._young.add(hash(meeting))
