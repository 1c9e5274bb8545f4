"""What units are divided by: one value for each, at its first exposure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Generic

from meshtrial.analysis.blocks import Block
from meshtrial.analysis.carryover import FORMER, WITH_FORMERS, former_cells
from meshtrial.analysis.cells import Clock, Key
from meshtrial.analysis.shown import Shown
from meshtrial.analysis.slices import GroupSlices, Slices, Value, sliced
from meshtrial.plan.inference import Metric
from meshtrial.plan.model import Experiment


@dataclass(frozen=True, slots=True)
class Property(Generic[Value]):
    """How a value is told."""

    name: str
    of: Callable[[Key], Value]
    """From a cell's key."""
    sql: str
    """From the table `analysed`."""
    join: str = ""
    """A further table that it is in."""


def day_of_exposure(clock: Clock) -> Property[int]:
    """The start of the day, nanoseconds since 1970."""
    return Property("day", clock.day_of, f"Period - Period % {clock.day}")


def fields_of(experiment: Experiment) -> tuple[Property[str], ...]:
    """What a plan divides units by: its strata, and cohorts if there are several."""
    fields = [
        Property(source.name, _stratum(number), f"S{number}")
        for number, source in enumerate(experiment.strata)
    ]
    if len(experiment.splits) > 1:
        fields.append(Property("cohort", lambda key: key.cohort, "Cohort"))
    return tuple(fields)


def _stratum(number: int) -> Callable[[Key], str]:
    return lambda key: key.strata[number]


FORMER_ARM: Final = Property("former arm", _stratum(0), FORMER, WITH_FORMERS)
"""Needs the table `formers`."""


def divide(shown: Shown, metric: Metric, by: Property[Value]) -> Mapping[str, Slices[Value]]:
    """A metric that is no quantile, of each arm by its id."""
    experiment = shown.experiment
    pairs = {arm.id: (experiment.control.id, arm.id) for arm in experiment.treatments()}
    if experiment.unit.group_kind is not None:
        blocks = _blocks(shown, metric, by)
        return {arm: GroupSlices(metric, blocks, pair) for arm, pair in pairs.items()}
    cells = former_cells(shown, metric) if by.join else shown.days[metric.id]
    units = sliced(metric, cells, by.of, (experiment.control.id, ""), shown.clock)
    return {arm: replace(units, arms=pair) for arm, pair in pairs.items()}


def _blocks(shown: Shown, metric: Metric, by: Property[Value]) -> Mapping[Value, Sequence[Block]]:
    """Of each value the groups that have units of it."""
    sums = ", ".join(f"sum({column})" for column in shown.columns(metric))
    rows = shown.engine.rows(f"""
SELECT {by.sql} AS Value, "Group", Cohort, Arm, count(*), {sums}
FROM analysed LEFT JOIN unit_values USING ({shown.trial.unit_key}) {by.join}
WHERE Period < {shown.cut} GROUP BY {by.sql}, "Group", Cohort, Arm
""")
    found: dict[Value, list[Block]] = {}
    for value, key, cohort, arm, units, *totals in rows:
        block = Block(int(key), 0, cohort, arm, int(units), tuple(map(float, totals)))
        found.setdefault(value, []).append(block)
    return found
