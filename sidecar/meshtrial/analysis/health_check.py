"""What a health check is, what it looks at, and the words that several of them share."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from meshtrial.analysis.cells import Clock, Counts, Key
from meshtrial.analysis.gathered import Gathered
from meshtrial.analysis.history import History
from meshtrial.analysis.measured import LookedAt
from meshtrial.analysis.signs import Others, Signs
from meshtrial.analysis.signs_losses import Losses
from meshtrial.plan.model import Experiment

ALARM: Final = 0.001
"""p-value below which arms are told to differ where they must not: a false alarm costs a verdict."""
LEAST: Final = 5
"""Units or requests from which on a share is judged: fewer are chance, whatever their share."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question on the trial's health."""

    check: str
    passed: bool | None
    """None where there is nothing to pass or fail: the detail is a note."""
    p_value: float | None
    detail: str


@dataclass(frozen=True, slots=True)
class Patient:
    """All that the checks look at."""

    experiment: Experiment
    history: History
    gathered: Gathered
    signs: Signs
    losses: Losses
    looks: tuple[LookedAt, ...]
    clock: Clock

    @property
    def exposed(self) -> Counts:
        """Units first exposed before the trial stopped, of every phase."""
        exposed, cut = self.gathered.exposed, self.losses.bounds.cut
        return exposed if cut is None else {key: units for key, units in exposed.items() if key.period < cut}

    @property
    def others(self) -> Mapping[Key, Others]:
        """Of these, the units that met another arm too."""
        others, cut = self.signs.others, self.losses.bounds.cut
        return others if cut is None else {key: met for key, met in others.items() if key.period < cut}

    @property
    def final(self) -> Counts:
        """Units analysed that are final, and first exposed before the trial stopped."""
        final = self.losses.bounds.final
        return {key: units for key, units in self.gathered.analysed.items() if key.period < final}

    @property
    def forms(self) -> Mapping[str, Experiment]:
        """The experiment as each phase that is compared had it: others are another comparison."""
        compared = {key.phase for key in self.gathered.analysed}
        forms = {entry.phase: entry.experiment for entry in self.history.entries if entry.phase in compared}
        return forms | {self.experiment.phase: self.experiment}

    @property
    def arms(self) -> tuple[str, ...]:
        """Ids, in plan order."""
        return tuple(arm.id for arm in self.experiment.arms)


def listed(counts: Iterable[tuple[str, int]]) -> str:
    """`v1 1,200, v2 3`."""
    return ", ".join(f"{name} {count:,}" for name, count in counts)


def shares(parts: Iterable[tuple[str, int, int]]) -> str:
    """`v1 3 of 1,200 (0.25%), v2 0 of 1,190 (0%)`."""
    return ", ".join(f"{name} {part:,} of {whole:,} ({percent(part, whole)})" for name, part, whole in parts)


def percent(part: int, whole: int) -> str:
    """Of a share, three digits."""
    return f"{100 * part / whole:.3g}%" if whole else "0%"


def moment(nanoseconds: int) -> str:
    """A time since 1970 as a person reads it."""
    return f"{datetime.fromtimestamp(nanoseconds / 10**9, UTC):%Y-%m-%d %H:%M:%S} UTC"


def day_name(nanoseconds: int, clock: Clock) -> str:
    """A day's start; with the time where a day is shorter than 24 hours."""
    whole = clock.day >= 86_400 * 10**9
    return moment(nanoseconds)[:10] if whole else moment(nanoseconds)


def by_place(counts: Counts) -> dict[Key, int]:
    """Units by phase, cohort and arm, of all periods."""
    found: dict[Key, int] = {}
    for key, units in counts.items():
        place = Key(0, key.phase, key.cohort, key.arm)
        found[place] = found.get(place, 0) + units
    return found
