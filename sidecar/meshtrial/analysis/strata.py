"""Cells of two arms -> the strata within which they are compared, and how much each counts; pure.

Arms are compared within days of one phase and cohort: the arms' shares may change from day to day, where
units are left out around a change of the ramp, and so may what units do. Weights come from counts alone, so
they favour no arm:

- days of one cohort, and phases, by n1 n0 / (n1 + n0): of least variance where all units are alike;
- cohorts within a phase by their share of its units, of all arms: cohorts have other shares and effects.

Days with too few units join the next one of their phase and cohort; a cohort that still has too few in some
arm is left out and listed. Its weight is that of all its units, so one arm's few would count for many, with
a variance that is a guess: 0 of 10 says that there is none.

Where every cohort of every phase is so thin, none is left out that has a variance, and all weigh by
n1 n0 / (n1 + n0), so that few count for few.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from meshtrial.analysis.cells import Clock, Counts, Key
from meshtrial.stats.contrast import LEAST_UNITS

LEAST_OF_A_DAY = 50
"""Units in each arm from which on a day is a stratum of its own: with fewer, its variance is a guess.

So many a cohort needs too.
"""

Day: TypeAlias = tuple[str, str, int]
"""Phase, cohort, start of the day."""
Pair: TypeAlias = tuple[int, int]
"""Units of control and treatment."""


@dataclass(frozen=True, slots=True)
class Strata:
    """What two arms are compared within."""

    of_day: Mapping[Day, int]
    """Stratum of each day that counts."""
    weights: tuple[float, ...]
    """Of each stratum, above 0; they add up to 1."""
    left_out: tuple[tuple[str, str], ...]
    """Phases and cohorts with too few units in an arm, in order."""

    def of_cohort(self) -> Mapping[tuple[str, str], float]:
        """Weight of each phase and cohort, all days together."""
        numbers = {(day[:2], number) for day, number in self.of_day.items()}
        weights: dict[tuple[str, str], float] = {}
        for cohort, number in sorted(numbers):
            weights[cohort] = weights.get(cohort, 0.0) + self.weights[number]
        return weights

    def of(self, key: Key, clock: Clock) -> int | None:
        """A cell's stratum; None where it is left out."""
        return self.of_day.get((key.phase, key.cohort, clock.day_of(key)))


def strata_of(counts: Counts, control: str, treatment: str, clock: Clock) -> Strata:
    """Divide units into strata.

    Args:
        counts: Units that are compared, of all arms.
        control: Id of the arm compared with.
        treatment: Id of the arm compared.
        clock: Tells days.
    """
    days: dict[Day, Pair] = {}
    sizes: dict[tuple[str, str], int] = {}
    for key, units in sorted(counts.items()):
        day = (key.phase, key.cohort, clock.day_of(key))
        n0, n1 = days.get(day, (0, 0))
        days[day] = (n0 + units * (key.arm == control), n1 + units * (key.arm == treatment))
        sizes[day[:2]] = sizes.get(day[:2], 0) + units
    least = _least(days)
    of_day: dict[Day, int] = {}
    merged: dict[tuple[str, str], dict[int, Pair]] = {}
    left_out = []
    number = 0
    for cohort in sorted(sizes):
        own = {day: pair for day, pair in days.items() if day[:2] == cohort}
        strata = _merged(own, least)
        if not strata:
            left_out.append(cohort)
            continue
        merged[cohort] = {}
        for members in strata:
            pair = (sum(own[day][0] for day in members), sum(own[day][1] for day in members))
            merged[cohort][number] = pair
            of_day.update(dict.fromkeys(members, number))
            number += 1
    thin = least < LEAST_OF_A_DAY
    shares = {c: sum(map(_precision, merged[c].values())) if thin else sizes[c] for c in merged}
    return Strata(of_day, _weights(merged, shares), tuple(left_out))


def _least(days: Mapping[Day, Pair]) -> int:
    """Units in each arm that a cohort needs: as many as a day, unless no cohort has them."""
    pairs: dict[tuple[str, str], Pair] = {}
    for day, (n0, n1) in days.items():
        m0, m1 = pairs.get(day[:2], (0, 0))
        pairs[day[:2]] = (m0 + n0, m1 + n1)
    return LEAST_OF_A_DAY if any(min(pair) >= LEAST_OF_A_DAY for pair in pairs.values()) else LEAST_UNITS


def _merged(days: Mapping[Day, Pair], least: int) -> list[list[Day]]:
    """Neighbouring days together until each arm has enough units; what is left over joins the last.

    None where all of them together have under `least` in an arm.
    """
    strata: list[list[Day]] = []
    open_days: list[Day] = []
    n0 = n1 = 0
    for day in sorted(days):
        open_days.append(day)
        n0, n1 = n0 + days[day][0], n1 + days[day][1]
        if min(n0, n1) >= LEAST_OF_A_DAY:
            strata.append(open_days)
            open_days, n0, n1 = [], 0, 0
    if strata:
        strata[-1] += open_days
    elif min(n0, n1) >= least:
        strata.append(open_days)
    return strata


def _weights(
    merged: Mapping[tuple[str, str], Mapping[int, Pair]], sizes: Mapping[tuple[str, str], float]
) -> tuple[float, ...]:
    of_phase: dict[str, float] = {}
    of_cohort: dict[tuple[str, str], float] = {}
    counted: dict[str, float] = {}
    for cohort, strata in merged.items():
        of_cohort[cohort] = sum(_precision(pair) for pair in strata.values())
        of_phase[cohort[0]] = of_phase.get(cohort[0], 0.0) + of_cohort[cohort]
        counted[cohort[0]] = counted.get(cohort[0], 0.0) + sizes[cohort]
    whole = sum(of_phase.values())
    weights: dict[int, float] = {}
    for cohort, strata in merged.items():
        share = of_phase[cohort[0]] / whole * sizes[cohort] / counted[cohort[0]]
        weights.update({n: share * _precision(pair) / of_cohort[cohort] for n, pair in strata.items()})
    return tuple(weights[number] for number in sorted(weights))


def _precision(pair: Pair) -> float:
    n0, n1 = pair
    return n0 * n1 / (n0 + n1)
