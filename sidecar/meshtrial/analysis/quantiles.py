"""Events -> order statistics: the second pass that a quantile needs.

Sorting all events would take as much memory as they have. Instead they are counted in classes of nearby
values, and only the classes that hold the wanted places are sorted: two passes, and little memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from meshtrial.analysis.units import Trial
from meshtrial.analysis.values import amount_of, around, events_of, join_of
from meshtrial.plan.inference import Metric
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.joint import Joint
from meshtrial.stats.quantile import QuantileSample, cluster_inflation, order_ranks, value_rank
from meshtrial.store.engine import Engine, quoted

_CLASS: Final = "CAST(floor(sign(Value) * 256 * ln(1 + abs(Value))) AS BIGINT)"
"""Values within about half a percent are of one class; classes have the order of their values."""


class Group(NamedTuple):
    """Units that are one sample."""

    phase: str
    cohort: str
    arm: str


def keep_events(engine: Engine, trial: Trial, metric: Metric) -> None:
    """Make the table `quantile_events`: every event that counts of the units analysed, with its class."""
    engine.keep(
        "quantile_events",
        f"""
SELECT *, {_CLASS} AS Class FROM (
  SELECT {_together(trial)} AS Together,
    u.Period AS Period, u.Phase AS Phase, u.Cohort AS Cohort, u.Arm AS Arm,
    CAST({amount_of(metric.events)} AS DOUBLE) AS Value
  FROM spans e JOIN analysed u ON {join_of(trial)}
  WHERE {events_of(trial, [metric.events])} AND {around(trial, metric.window.start, metric.window.end)}
) v WHERE Value IS NOT NULL
""",
    )


def quantile_samples(engine: Engine, q: float, cut: int) -> Mapping[Group, QuantileSample | NotEstimable]:
    """One sample for each phase, cohort and arm, from the table `quantile_events`.

    Args:
        engine: Has the table.
        q: Which quantile, in (0, 1).
        cut: Units first exposed before count, nanoseconds since 1970.
    """
    classes: dict[Group, list[tuple[int, int]]] = {}
    for phase, cohort, arm, number, events in engine.rows(f"""
SELECT Phase, Cohort, Arm, Class, count(*) FROM quantile_events WHERE Period < {cut}
GROUP BY Phase, Cohort, Arm, Class ORDER BY Phase, Cohort, Arm, Class
"""):
        classes.setdefault(Group(phase, cohort, arm), []).append((int(number), int(events)))
    return {
        group: _sample(_Events(engine, _condition(group, cut), counts), q)
        for group, counts in classes.items()
    }


def _together(trial: Trial) -> str:
    """Whose events go together: those of what was randomised."""
    return 'u."Group"' if trial.experiment.unit.group_kind is not None else "u.Unit"


def _condition(group: Group, cut: int) -> str:
    return (
        f"Period < {cut} AND Phase = {quoted(group.phase)} AND Cohort = {quoted(group.cohort)}"
        f" AND Arm = {quoted(group.arm)}"
    )


@dataclass(frozen=True, slots=True)
class _Events:
    """The events of one group."""

    engine: Engine
    condition: str
    classes: Sequence[tuple[int, int]]
    """Ascending, each with its number of events."""

    def at(self, rank: float) -> float:
        """The value at a place of the sorted events, from 1 on."""
        before = place = 0
        while before + self.classes[place][1] < rank:
            before += self.classes[place][1]
            place += 1
        found = self.engine.rows(f"""
SELECT min(Value) FROM (
  SELECT Value, row_number() OVER (ORDER BY Value) AS Place
  FROM quantile_events WHERE {self.condition} AND Class = {self.classes[place][0]}
) v WHERE Place = {round(rank) - before}
""")
        return float(found[0][0])

    def below(self, value: float) -> Joint:
        """Of each unit: its events at or below a value, and its events."""
        units, *sums = self.engine.rows(f"""
SELECT count(*), sum(Below), sum(Events), sum(Below * Below), sum(Below * Events), sum(Events * Events)
FROM (
  SELECT sum(CASE WHEN Value <= CAST({value!r} AS DOUBLE) THEN 1.0 ELSE 0.0 END) AS Below,
    CAST(count(*) AS DOUBLE) AS Events
  FROM quantile_events WHERE {self.condition} GROUP BY Together
) u
""")[0]
        return Joint((0.0, 0.0), int(units), tuple(map(float, sums[:2])), tuple(map(float, sums[2:])))


def _sample(events: _Events, q: float) -> QuantileSample | NotEstimable:
    number = sum(count for _, count in events.classes)
    value = events.at(value_rank(number, q))
    counts = events.below(value)
    inflation = cluster_inflation(counts, q)
    if isinstance(inflation, NotEstimable):
        return inflation
    ranks = order_ranks(number, q, inflation)
    if isinstance(ranks, NotEstimable):
        return ranks
    return QuantileSample(value, counts, ranks, events.at(ranks.lower), events.at(ranks.upper))
