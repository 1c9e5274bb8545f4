"""The small notations of a plan: percentages, durations, effects."""

import re
from decimal import Decimal

from meshtrial.plan.cursor import Cursor
from meshtrial.plan.inference import Margin, Scale
from meshtrial.plan.problems import Rule

_NUMBER = r"((?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,12})?)"
_PERCENTAGE = re.compile(rf"{_NUMBER} *%")
_DURATION = re.compile(r"([1-9][0-9]{0,8}) *([smhdw])")
_NO_TIME = re.compile(r"0 *[smhdw]?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_EFFECT = re.compile(rf"{_NUMBER}(?: *(pp)| *% +(relative))?")

MAX_DURATION = 3650 * 86_400
"""Seconds of ten years: in nanoseconds it is far within 64 bits, in which stores keep time."""
DURATION_FORM = "a duration such as 90s, 30m, 12h, 7d or 2w, above 0 and at most 3650d"
DURATION_OR_0_FORM = "0, or a duration such as 90s, 30m, 12h, 7d or 2w, at most 3650d"
EFFECT_FORM = (
    "an effect above 0 such as `2pp` (percentage points), `5% relative`, or a plain number in the "
    "metric's own unit"
)


def percentage(text: str) -> Decimal | None:
    """`12.5%` -> 0.125, exactly; None where it is no percentage."""
    found = _PERCENTAGE.fullmatch(text)
    return Decimal(found[1]) / 100 if found else None


def duration(text: str) -> int | None:
    """`7d` -> seconds, above 0 and at most ten years; None where it is no duration."""
    found = _DURATION.fullmatch(text)
    seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
    return seconds if 0 < seconds <= MAX_DURATION else None


def read_duration(cursor: Cursor) -> int | None:
    """The duration at a place of the plan, in seconds; None, with the problem noted, where it is none."""
    return cursor.parsed(duration, Rule.DURATION, DURATION_FORM)


def read_duration_or_0(cursor: Cursor) -> int | None:
    """As `read_duration`, where no time at all has a meaning too: `0`, `0s`."""
    return cursor.parsed(_duration_or_0, Rule.DURATION, DURATION_OR_0_FORM)


def _duration_or_0(text: str) -> int | None:
    return 0 if _NO_TIME.fullmatch(text) else duration(text)


def effect(text: str) -> tuple[Margin, bool] | None:
    """`2pp`, `5% relative` or a plain number -> the effect, above 0; None where it is none.

    The second value is True where the text is in percentage points, which only a share can be.
    """
    found = _EFFECT.fullmatch(text)
    if found is None:
        return None
    number = Decimal(found[1])
    if number == 0:
        return None
    points, relative = bool(found[2]), bool(found[3])
    value = float(number / 100) if points or relative else float(number)
    return Margin(value, Scale.RELATIVE if relative else Scale.ABSOLUTE), points
