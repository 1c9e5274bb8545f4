"""Events -> order statistics: the second pass that a quantile needs.

Sorting all events would take as much memory as they have. Instead they are counted in classes of nearby
values, and only the classes that hold the wanted places are sorted: two passes, and little memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from meshtrial.analysis.events import Kinds, counted, events_needed
from meshtrial.analysis.units import Trial
from meshtrial.plan.inference import Metric
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.joint import Joint
from meshtrial.stats.quantile import (
    QuantileSample,
    cluster_inflation,
    enough_events,
    order_ranks,
    value_rank,
)
from meshtrial.store.engine import Engine

_CLASS: Final = "CAST(floor(sign(Value) * 256 * ln(1 + abs(Value))) AS BIGINT)"
"""Values within about half a percent are of one class; classes have the order of their values."""


class Group(NamedTuple):
    """Units that are one sample."""

    phase: str
    cohort: str
    arm: str


class Part(NamedTuple):
    """The events of a group."""

    sample: QuantileSample | NotEstimable
    enough: bool
    """By the counts of events and units alone, whether they suffice however alike a unit's events are."""


def keep_events(engine: Engine, trial: Trial, metric: Metric) -> None:
    """Make the table `quantile_events`: every event that counts of the units analysed, with its class.

    Needs the tables of `gathered`.
    """
    kinds = Kinds.of(events_needed(trial.experiment.decision.metrics()))
    own = f"{kinds.is_of(metric.events)} AND {counted(metric.window.start, metric.window.end)} AND e.Late = 0"
    together = 'u."Group"' if trial.experiment.unit.group_kind is not None else "u.Unit"
    engine.keep(
        "quantile_events",
        f"""
SELECT *, {_CLASS} AS Class FROM (
  SELECT {together} AS Together, u.First AS First, u.Place AS Place,
    CAST({kinds.amount_of(metric.events)} AS DOUBLE) AS Value
  FROM events e JOIN kept_units u USING ({trial.unit_key}) WHERE {own}
) v WHERE Value IS NOT NULL
""",
    )


def quantile_samples(engine: Engine, q: float, cut: int) -> Mapping[Group, Part]:
    """One for each phase, cohort and arm with events, from the table `quantile_events`.

    Args:
        engine: Has the table, and `places`.
        q: Which quantile, in (0, 1).
        cut: Units first exposed before count, nanoseconds since 1970: the start of a period.
    """
    places: dict[Group, list[int]] = {}
    for place, *names in engine.rows("SELECT Place, Phase, Cohort, Arm FROM places ORDER BY Place"):
        places.setdefault(Group(*names), []).append(int(place))
    classes: dict[int, list[tuple[int, int]]] = {}
    for place, number, events in engine.rows(f"""
SELECT Place, Class, count(*) FROM quantile_events WHERE First < {cut} GROUP BY Place, Class
"""):
        classes.setdefault(int(place), []).append((int(number), int(events)))
    found: dict[Group, Part] = {}
    for group, own in places.items():
        counts: dict[int, int] = {}
        for number, events in (pair for place in own for pair in classes.get(place, ())):
            counts[number] = counts.get(number, 0) + events
        if counts:
            where = f"First < {cut} AND Place IN ({', '.join(map(str, own))})"
            found[group] = _sample(_Events(engine, where, sorted(counts.items())), q)
    return found


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
  SELECT Value, row_number() OVER (ORDER BY Value) AS Number
  FROM quantile_events WHERE {self.condition} AND Class = {self.classes[place][0]}
) v WHERE Number = {round(rank) - before}
""")
        return float(found[0][0])

    def beside(self, value: float) -> tuple[float, float]:
        """The nearest values that events have on either side of a value; that value where there is none."""
        [[below, above]] = self.engine.rows(f"""
SELECT max(CASE WHEN Value < CAST({value!r} AS DOUBLE) THEN Value ELSE NULL END),
  min(CASE WHEN Value > CAST({value!r} AS DOUBLE) THEN Value ELSE NULL END)
FROM quantile_events WHERE {self.condition}
""")
        return value if below is None else float(below), value if above is None else float(above)

    def counted(self, value: float, *, equal: bool) -> Joint:
        """Of each unit: its events below a value, or up to it as well, and its events."""
        is_below = f"Value {'<=' if equal else '<'} CAST({value!r} AS DOUBLE)"
        units, *sums = self.engine.rows(f"""
SELECT count(*), sum(Below), sum(Events), sum(Below * Below), sum(Below * Events), sum(Events * Events)
FROM (
  SELECT sum(CASE WHEN {is_below} THEN 1.0 ELSE 0.0 END) AS Below,
    CAST(count(*) AS DOUBLE) AS Events
  FROM quantile_events WHERE {self.condition} GROUP BY Together
) u
""")[0]
        return Joint((0.0, 0.0), int(units), tuple(map(float, sums[:2])), tuple(map(float, sums[2:])))


def _sample(events: _Events, q: float) -> Part:
    number = sum(count for _, count in events.classes)
    value = events.at(value_rank(number, q))
    counts, beneath = (events.counted(value, equal=equal) for equal in (True, False))
    enough = enough_events(counts, q)
    inflation = cluster_inflation(counts, beneath)
    if isinstance(inflation, NotEstimable):
        return Part(inflation, enough)
    ranks = order_ranks(number, q, inflation)
    if isinstance(ranks, NotEstimable):
        return Part(ranks, enough)
    lower, upper = events.at(ranks.lower), events.at(ranks.upper)
    return Part(QuantileSample(q, value, counts, beneath, *events.beside(value), ranks, lower, upper), enough)
