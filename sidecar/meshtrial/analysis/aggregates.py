"""What the units of a store add up to, whatever each of them did; pure.

All of it is sums over units of functions of a unit's own rows. So the aggregates of two parts of a store that
share no unit add up to those of both; and where some units have further rows, what these units were is taken
away, and what they are now added.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from operator import add, sub
from typing import TypeAlias, TypeVar

from meshtrial.analysis.cells import Key

Numbers: TypeAlias = tuple[float, ...]

_Name = TypeVar("_Name", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Aggregates:
    """Sums over units; a name that is in none of the mappings has zeros."""

    exposed: Mapping[Key, Numbers]
    """Units first exposed."""
    analysed: Mapping[Key, Numbers]
    """Of these, the units whose arm stayed theirs: their number; the sums of their variables about the
    shifts, and of products of two; and how many have each flag of `analysis.marks`."""
    strays: Numbers
    """Outcomes of units, five counts for each metric of outcomes (`analysis.strays`)."""
    other_arms: Mapping[Key, Numbers]
    """By the cell of their first exposure, without strata, units that met another arm: in the same cohort,
    in another, and by a tester's signed header."""

    def plus(self, other: "Aggregates") -> "Aggregates":
        """Those of both."""
        return self._with(other, add)

    def minus(self, other: "Aggregates") -> "Aggregates":
        """Without those of the other, which are among these."""
        return self._with(other, sub)

    def _with(self, other: "Aggregates", how: Callable[[float, float], float]) -> "Aggregates":
        return Aggregates(
            _with_units(_joined(self.exposed, other.exposed, how)),
            _with_units(_joined(self.analysed, other.analysed, how)),
            _numbers(self.strays, other.strays, how),
            _joined(self.other_arms, other.other_arms, how),
        )


NOTHING = Aggregates({}, {}, (), {})


def _joined(
    one: Mapping[_Name, Numbers], other: Mapping[_Name, Numbers], how: Callable[[float, float], float]
) -> Mapping[_Name, Numbers]:
    return {
        name: _numbers(one.get(name, ()), other.get(name, ()), how) for name in dict.fromkeys([*one, *other])
    }


def _with_units(numbers: Mapping[Key, Numbers]) -> Mapping[Key, Numbers]:
    """Where no unit is left, rounding may have left something of their sums."""
    return {key: own for key, own in numbers.items() if own[0]}


def _numbers(one: Numbers, other: Numbers, how: Callable[[float, float], float]) -> Numbers:
    zeros = (0,) * max(len(one), len(other))
    return tuple(map(how, one or zeros, other or zeros))


@dataclass(frozen=True, slots=True)
class Scale:
    """What a unit's values are measured by, the same for all units that are added up."""

    shifts: tuple[float, ...]
    """Of each variable a constant near it: sums about it keep their digits (`stats.moments`)."""
    limits: tuple[float | None, ...]
    """What each variable counts as at most; None for no limit."""
    settled: int
    """A unit first exposed up to here may change a limit that is a share, nanoseconds since 1970."""
