"""The smallest parts that the analysis adds up: units of one period, phase, cohort, arm and stratum; pure.

A cell never changes once its period is closed, and no unit is in two, so cells add up to whatever is asked:
the trial up to a look, a day, a stratum. (Merging is valid over disjoint units, not over rows.)
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import NamedTuple, TypeAlias, TypeVar

from meshtrial.stats.joint import Joint


class Key(NamedTuple):
    """Which units."""

    period: int
    """Start of the period of their first exposure, nanoseconds since 1970."""
    phase: str
    """Allocation that their first exposure was under."""
    cohort: str
    """`default` where the experiment has one split."""
    arm: str
    strata: tuple[str, ...] = ()
    """Value of each stratum of the plan, in its order; "" where none was recorded."""


Cells: TypeAlias = Mapping[Key, Joint]
Counts: TypeAlias = Mapping[Key, int]
"""Units by cell, without strata."""

_Group = TypeVar("_Group", bound=Hashable)
_Part = TypeVar("_Part", Joint, int)


def summed(parts: Iterable[tuple[Key, _Part]], group: Callable[[Key], _Group | None]) -> dict[_Group, _Part]:
    """Parts added up by a group of their keys; those of group None are left out."""
    grouped: dict[_Group, list[_Part]] = {}
    for key, part in parts:
        if (of := group(key)) is not None:
            grouped.setdefault(of, []).append(part)
    return {of: reduce(add, together) for of, together in grouped.items()}


@dataclass(frozen=True, slots=True)
class Clock:
    """How time is divided."""

    period: int
    """Nanoseconds of a period: cells are of one, and every cut falls between two."""

    @property
    def day(self) -> int:
        """Nanoseconds of 24 periods: what is compared within, and shown by; less in short trials."""
        return 24 * self.period

    def day_of(self, key: Key) -> int:
        """Start of a cell's day, nanoseconds since 1970."""
        return key.period - key.period % self.day


HOUR = 3600 * 10**9


def clock_of(minimum_duration: int) -> Clock:
    """Hours; 24ths of the minimum duration (in seconds) where that is less than a day."""
    return Clock(min(HOUR, minimum_duration * 10**9 // 24))
