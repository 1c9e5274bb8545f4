"""A store -> what went missing between what happened and what is analysed: one reading of each kind."""

from collections.abc import Mapping
from dataclasses import dataclass

from meshtrial.analysis.bounds import Bounds
from meshtrial.analysis.cells import Counts, Key
from meshtrial.analysis.gathered import Gathered
from meshtrial.analysis.signs_dropped import Dropped, read_dropped
from meshtrial.analysis.signs_outcomes import Outcomes, outcomes_of
from meshtrial.analysis.signs_requests import Requests, read_requests
from meshtrial.analysis.tallies import Tallies
from meshtrial.analysis.units import Trial
from meshtrial.store.engine import Engine

LARGEST_VALUES = 20
"""Values of a stratum that are told apart, the ones with most units."""


@dataclass(frozen=True, slots=True)
class Losses:
    """What health is judged by, beside `signs.Signs`."""

    bounds: Bounds
    requests: Requests
    dropped: Dropped
    outcomes: Outcomes
    strata: Mapping[tuple[str, str], Counts]
    """Units first exposed, by name and value of a stratum of the plan."""


def read_losses(engine: Engine, trial: Trial, gathered: Gathered, bounds: Bounds, tallies: Tallies) -> Losses:
    """Ask for all; needs the table `units`."""
    return Losses(
        bounds,
        read_requests(engine, trial, bounds, tallies),
        read_dropped(engine, trial, bounds, tallies),
        outcomes_of(trial, gathered, bounds, tallies),
        _strata(trial, gathered, bounds.cut),
    )


def _strata(trial: Trial, gathered: Gathered, cut: int | None) -> Mapping[tuple[str, str], Counts]:
    found: dict[tuple[str, str], dict[Key, int]] = {}
    for number, name in enumerate(trial.strata):
        counts: dict[str, dict[Key, int]] = {}
        for key, units in gathered.by_strata.items():
            if cut is None or key.period < cut:
                own = counts.setdefault(key.strata[number], {})
                place = Key(0, key.phase, key.cohort, key.arm)
                own[place] = own.get(place, 0) + units
        largest = sorted(counts, key=lambda value: (-sum(counts[value].values()), value))[:LARGEST_VALUES]
        for value in sorted(largest):
            found[name, value] = dict(sorted(counts[value].items()))
    return found
