"""A store -> what went missing between what happened and what is analysed: one reading of each kind."""

from collections.abc import Mapping
from dataclasses import dataclass

from meshtrial.analysis.bounds import Bounds
from meshtrial.analysis.cells import Counts, Key
from meshtrial.analysis.signs_dropped import Dropped, read_dropped
from meshtrial.analysis.signs_outcomes import Outcomes, read_outcomes
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


def read_losses(engine: Engine, trial: Trial, bounds: Bounds, tallies: Tallies) -> Losses:
    """Ask for all; needs the tables of `gathered`."""
    return Losses(
        bounds,
        read_requests(engine, trial, bounds, tallies),
        read_dropped(engine, trial, bounds, tallies),
        read_outcomes(engine, trial, bounds, tallies),
        _strata(engine, trial, bounds),
    )


def _strata(engine: Engine, trial: Trial, bounds: Bounds) -> Mapping[tuple[str, str], Counts]:
    cut = "1 = 1" if bounds.cut is None else f"First < {bounds.cut}"
    found: dict[tuple[str, str], dict[Key, int]] = {}
    for number, name in enumerate(trial.strata):
        column = f"S{number}"
        rows = engine.rows(f"""
WITH largest AS (
  SELECT {column} AS Value FROM units WHERE {cut} GROUP BY {column}
  ORDER BY count(*) DESC, {column} LIMIT {LARGEST_VALUES}
)
SELECT {column}, Phase, Cohort, Arm, count(*) FROM units
WHERE {cut} AND {column} IN (SELECT Value FROM largest)
GROUP BY {column}, Phase, Cohort, Arm ORDER BY {column}, Phase, Cohort, Arm
""")
        for value, phase, cohort, arm, units in rows:
            found.setdefault((name, value), {})[Key(0, phase, cohort, arm)] = int(units)
    return found
