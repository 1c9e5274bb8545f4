"""Events, each placed by its unit's first exposure: read once for all that is made of them; pure.

::

    events: Unit (and "Window"), Kind, Since, Late, A0, A1, ...

Since is nanoseconds from the unit's first exposure to the event; Late is 1 where it was received after the
unit was final. Kinds are numbers in the place of names. An outcome's or a request's fields are in A0 and
further, in the order met: few plans need a second.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from meshtrial.analysis.units import SECOND, Trial, unit_table
from meshtrial.analysis.values import amount_of, events_of, is_of, summed
from meshtrial.analysis.variables import Variable
from meshtrial.plan.inference import Events, Metric


@dataclass(frozen=True, slots=True)
class Kinds:
    """The events that some metrics are made of."""

    fields: tuple[tuple[str | None, tuple[str, ...]], ...]
    """Of each kind, by its number: the outcome's name, None of requests; the fields that are summed."""

    @classmethod
    def of(cls, wanted: Iterable[Events]) -> "Kinds":
        """All kinds among these."""
        fields: dict[str | None, dict[str, None]] = {}
        for events in wanted:
            own = fields.setdefault(events.outcome, {})
            if events.field is not None:
                own[events.field] = None
        return cls(tuple((outcome, tuple(own)) for outcome, own in fields.items()))

    @property
    def names(self) -> tuple[str | None, ...]:
        """Names of the outcomes, None of requests, by number."""
        return tuple(outcome for outcome, _ in self.fields)

    @property
    def amounts(self) -> list[str]:
        """The columns that hold fields."""
        return [f"A{i}" for i in range(max((len(fields) for _, fields in self.fields), default=0))]

    def is_of(self, events: Events) -> str:
        """The condition that a row `e` is one of these."""
        return f"e.Kind = {self.names.index(events.outcome)}"

    def amount_of(self, events: Events) -> str:
        """What a row `e` adds to a sum: its field, or 1; null where an outcome lacks the field."""
        if events.field is None:
            return "1.0"
        fields = next(fields for outcome, fields in self.fields if outcome == events.outcome)
        return f"e.A{fields.index(events.field)}"


def events_needed(metrics: Iterable[Metric]) -> list[Events]:
    """All events that metrics are made of, those of their covariates too."""
    return [
        events
        for metric in metrics
        for events in (metric.events, metric.denominator, *(c.events for c in metric.covariates))
        if events is not None
    ]


def events_query(trial: Trial, kinds: Kinds) -> str:
    """Every event of every unit, whenever it came.

    Fields are read before units are looked up: to read them from what a join gives costs several times that.
    """
    wanted = [Events(outcome, None) for outcome in kinds.names]
    kind = " ".join(f"WHEN {is_of(events)} THEN {number}" for number, events in enumerate(wanted))
    fields = "".join(f", {_field(kinds, place)} AS {name}" for place, name in enumerate(kinds.amounts))
    key = ", ".join(f"u.{name} AS {name}" for name in trial.unit_key.split(", "))
    own = " AND e.Time >= u.Begun AND e.Time < u.Until" if trial.experiment.unit.switchback else ""
    amounts = "".join(f", e.{name} AS {name}" for name in kinds.amounts)
    return f"""
SELECT {key}, e.Kind AS Kind, e.Time - u.First AS Since,
  CAST(CASE WHEN e.Received - u.First <= {trial.closing} THEN 0 ELSE 1 END AS TINYINT) AS Late{amounts}
FROM (
  SELECT e.Unit AS Unit, e.Time AS Time, e.Received AS Received,
    CAST(CASE {kind} END AS SMALLINT) AS Kind{fields}
  FROM spans e WHERE {events_of(trial, wanted)} AND e.Time IS NOT NULL
) e JOIN {unit_table(trial)} u ON e.Unit = u.Unit{own}
"""


def values_of_events(
    trial: Trial, variables: Sequence[Variable], kinds: Kinds, more: Sequence[str] = ()
) -> str:
    """One row for each unit of the table `events`: its variables V0, V1, ... and further columns."""
    sums = [
        f"{summed(v, _counts(v, kinds), f'coalesce({kinds.amount_of(v.events)}, 0.0)')} AS V{i}"
        for i, v in enumerate(variables)
    ]
    return f"SELECT {', '.join([trial.unit_key, *sums, *more])} FROM events e GROUP BY {trial.unit_key}"


def _counts(variable: Variable, kinds: Kinds) -> str:
    return f"{kinds.is_of(variable.events)} AND {counted(variable.start, variable.end)} AND e.Late = 0"


def counted(start: int, end: int) -> str:
    """The condition that a row `e` happened so many seconds after its unit's first exposure."""
    return f"e.Since >= {start * SECOND} AND e.Since < {end * SECOND}"


def _field(kinds: Kinds, place: int) -> str:
    """What an event `e` of any kind has in its field of this place; null where it has none."""
    own = [Events(outcome, fields[place]) for outcome, fields in kinds.fields if place < len(fields)]
    return f"CASE {' '.join(f'WHEN {is_of(events)} THEN {amount_of(events)}' for events in own)} END"
