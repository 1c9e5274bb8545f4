"""A store -> how many units of each arm have outcomes that no value holds, and when outcomes came."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from meshtrial.analysis.bounds import Bounds
from meshtrial.analysis.cells import Key
from meshtrial.analysis.marks import Asked, asked_of, flags_of, mark_names
from meshtrial.analysis.tallies import Tallies, is_until
from meshtrial.analysis.units import Trial
from meshtrial.store.engine import Engine


class Kept(NamedTuple):
    """Final units of one phase, cohort and arm that have outcomes of some metric."""

    before: int
    """With an outcome before the exposure."""
    between: int
    """With one after the exposure and before the window."""
    within: int
    """With one within the window, late ones included."""
    left_out: int
    """With one within the window that came too late, or lacks what is summed."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of outcomes."""

    kept: Mapping[Asked, Mapping[Key, Kept]]
    """By phase, cohort and arm (the keys' period is 0); of a switchback none."""
    by_period: Mapping[str, Mapping[int, int]]
    """Outcomes of each name the plan asks for, by the start of the period in which they happened."""


def read_outcomes(engine: Engine, trial: Trial, bounds: Bounds, tallies: Tallies) -> Outcomes:
    """What became of units' outcomes, by their marks; needs the tables of `gathered`."""
    asked = asked_of(trial.experiment.decision.metrics())
    if not asked:
        return Outcomes({}, {})
    kept: Mapping[Asked, Mapping[Key, Kept]] = {one: {} for one in asked}
    if trial.experiment.unit.switchback is None:
        kept = _kept(asked, engine.rows(_marks(trial, asked, bounds)))
    return Outcomes(kept, _by_period(asked, bounds, tallies))


def _marks(trial: Trial, asked: Sequence[Asked], bounds: Bounds) -> str:
    """How many final units of a place have the same marks."""
    marks = ", ".join(mark_names(asked))
    return f"""
SELECT p.Phase, p.Cohort, p.Arm, c.Units, {", ".join(f"c.{name}" for name in mark_names(asked))} FROM (
  SELECT Place, {marks}, count(*) AS Units FROM kept_units JOIN unit_values USING ({trial.unit_key})
  WHERE {bounds.first_exposed(trial, "First")} GROUP BY Place, {marks}
) c JOIN places p ON c.Place = p.Place
"""


def _kept(asked: Sequence[Asked], rows: Iterable[tuple[Any, ...]]) -> Mapping[Asked, Mapping[Key, Kept]]:
    found: dict[Asked, dict[Key, Kept]] = {one: {} for one in asked}
    for phase, cohort, arm, units, *marks in sorted(rows):
        for number, one in enumerate(asked):
            key, flags = Key(0, phase, cohort, arm), flags_of(marks, number)
            before = found[one].get(key, Kept(0, 0, 0, 0))
            found[one][key] = Kept(
                *(count + int(units) * flag for count, flag in zip(before, flags, strict=True))
            )
    return found


def _by_period(asked: Sequence[Asked], bounds: Bounds, tallies: Tallies) -> Mapping[str, Mapping[int, int]]:
    names = {one.events.outcome for one in asked}
    found: dict[str, dict[int, int]] = {}
    for row in tallies.outcomes:
        is_asked = row.name in names and row.kind == tallies.kind
        if not is_asked or row.name is None or row.period is None:
            continue
        if is_until(row.received, bounds.cut, is_due=row.is_due):
            own = found.setdefault(row.name, {})
            own[row.period] = own.get(row.period, 0) + row.rows
    return {name: dict(sorted(found[name].items())) for name in sorted(found)}
