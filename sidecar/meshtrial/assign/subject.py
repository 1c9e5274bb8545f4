"""Request and experiment -> who is randomised, and who is analysed."""

from dataclasses import dataclass

from meshtrial.assign.context import Context
from meshtrial.assign.request import Request
from meshtrial.assign.unit import NoUnit, minted, unit_of
from meshtrial.plan.model import Experiment
from meshtrial.plan.traffic import Switchback


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is randomised and who is analysed: the same, but for groups and switchbacks."""

    hashed: bytes | NoUnit
    """The unit, the group, or the switchback's key and window: what the bucket is of."""
    unit: bytes | NoUnit
    """The unit that is recorded; a group's member."""
    minted: bool = False
    """The request had no such cookie, and its answer is to bring one."""
    window: int | None = None
    """Of a switchback: number of the window since 1970."""

    @property
    def lacking(self) -> NoUnit | None:
        """Why nobody can be assigned by a bucket; None where somebody can."""
        return next((value for value in (self.hashed, self.unit) if isinstance(value, NoUnit)), None)

    @property
    def who(self) -> bytes | NoUnit:
        """Whom a percentage of an audience is of: the unit, the group, or a switchback's key."""
        return self.hashed if self.window is None else self.unit


def subject_of(request: Request, experiment: Experiment, context: Context) -> Subject:
    """Who is randomised and who is analysed."""
    unit = experiment.unit
    value = unit_of(request, unit.source)
    if unit.mint is not None and value in {NoUnit.MISSING, NoUnit.EMPTY}:
        value = minted(unit, context.chance)
        return Subject(value, value, minted=True)
    if unit.switchback is not None and not isinstance(value, NoUnit):
        window = window_of(unit.switchback, context.now)
        return Subject(value + b"@%d" % window, value, window=window)
    if unit.member is not None:
        return Subject(value, unit_of(request, unit.member))
    return Subject(value, value)


def window_of(switchback: Switchback, now: int) -> int:
    """Number of the window that a time in nanoseconds since 1970 falls into."""
    return (now // 1_000_000_000 - switchback.offset) // switchback.window


def in_washout(switchback: Switchback, now: int) -> bool:
    """Whether a time falls into the part of its window that is not analysed."""
    return (now // 1_000_000_000 - switchback.offset) % switchback.window < switchback.washout
