"""How the commands word what a plan says."""

from fractions import Fraction

from meshtrial.plan.model import DEFAULT_COHORT, Arm, Experiment
from meshtrial.plan.traffic import REQUEST, Source, Unit
from meshtrial.plan.words import match_words, source_words


def who(experiment: Experiment) -> str:
    """Who takes part and how they are told apart: `requests on route recommend, by header x-user-id`."""
    return f"{match_words(experiment.match)}, by {unit_words(experiment.unit)}"


def unit_words(unit: Unit) -> str:
    """A unit: `request`, `cookie sid, minted for 400 days`, `group header x-store of header x-user-id`."""
    if unit.member is not None:
        return f"group {_source(unit.source)} of {_source(unit.member)}"
    words = _source(unit.source)
    if unit.mint is not None:
        words += f", minted for {days(unit.mint)}"
    if unit.switchback is not None:
        window = unit.switchback
        words += f" in windows of {days(window.window)}"
        words += f" from {days(window.offset)}" if window.offset else ""
        words += f", the first {days(window.washout)} not analysed" if window.washout else ""
        words += f", carried over for {days(window.carryover)}" if window.carryover else ""
    return words


def _source(source: Source) -> str:
    return "request" if source == REQUEST else source_words(source)


def share(experiment: Experiment, arm: Arm, cohort: str = DEFAULT_COHORT) -> str:
    """An arm's share of a cohort's units under the present ramp: `12.5%`."""
    return percent(experiment.share(arm, cohort))


def percent(part: Fraction) -> str:
    """A share in percent: `12.5%`."""
    return f"{float(part) * 100:.12g}%"


def days(seconds: int) -> str:
    """A duration above 0 in the longest unit that divides it: `14 days`, `90 seconds`."""
    units = {"day": 86_400, "hour": 3600, "minute": 60, "second": 1}
    unit, length = next((unit, length) for unit, length in units.items() if seconds % length == 0)
    count = seconds // length
    return f"{count:,} {unit}{'s' if count > 1 else ''}"
