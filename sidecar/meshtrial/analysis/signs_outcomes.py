"""How many units of each arm have outcomes that no value holds, and when outcomes came; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import add

from meshtrial.analysis.bounds import Bounds
from meshtrial.analysis.cells import Key
from meshtrial.analysis.gathered import Gathered
from meshtrial.analysis.marks import Asked, Kept, asked_of
from meshtrial.analysis.tallies import Tallies, is_until
from meshtrial.analysis.units import Trial
from meshtrial.plan.inference import Events


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of outcomes."""

    kept: Mapping[Asked, Mapping[Key, Kept]]
    """By phase, cohort and arm (the keys' period is 0); of a switchback none."""
    by_period: Mapping[str, Mapping[int, int]]
    """Outcomes of each name the plan asks for, by the start of the period in which they happened."""
    lacking: Mapping[Events, tuple[int, int]]
    """By what is summed: how many outcomes lack it, and of how many."""


def outcomes_of(trial: Trial, gathered: Gathered, bounds: Bounds, tallies: Tallies) -> Outcomes:
    """What became of the outcomes of units that are final."""
    asked = asked_of(trial.experiment.decision.metrics())
    if trial.experiment.unit.switchback is not None:
        kept: Mapping[Asked, Mapping[Key, Kept]] = {one: {} for one in asked}
    else:
        kept = {one: _final(gathered.kept[one], bounds.final) for one in asked}
    return Outcomes(kept, _by_period(asked, bounds, tallies), _lacking(bounds, tallies))


def _final(kept: Mapping[Key, Kept], final: int) -> Mapping[Key, Kept]:
    """Of units first exposed before, by phase, cohort and arm."""
    found: dict[Key, Kept] = {}
    for key, part in sorted(kept.items()):
        if key.period < final:
            place = Key(0, key.phase, key.cohort, key.arm)
            found[place] = Kept(*map(add, found.get(place, Kept(0, 0, 0, 0)), part))
    return found


def _lacking(bounds: Bounds, tallies: Tallies) -> Mapping[Events, tuple[int, int]]:
    found = {}
    for place, events in enumerate(tallies.summed):
        own = [
            row
            for row in tallies.outcomes
            if row.name == events.outcome
            and row.kind == tallies.kind
            and is_until(row.received, bounds.cut, is_due=row.is_due)
        ]
        found[events] = (sum(row.lacking[place] for row in own), sum(row.rows for row in own))
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
