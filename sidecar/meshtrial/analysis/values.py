"""The SQL that reduces events to values of units, and values to sums: one pass for all metrics.

An event counts for a unit where it falls into the variable's span of time around the unit's first exposure,
and was received before the unit was final: not later than `Trial.closing` after that exposure.
"""

from collections.abc import Iterable, Sequence

from meshtrial.analysis.units import SECOND, Trial, place_columns
from meshtrial.analysis.variables import Variable, all_variables, variables_of
from meshtrial.plan.inference import Events, Metric, RequestField
from meshtrial.store.engine import quoted

_REQUEST_FIELDS = {
    RequestField.ERROR: (
        "CASE WHEN coalesce(e.Status, 0) >= 500 OR coalesce(e.Status, 0) = 0 THEN 1.0 ELSE 0.0 END"
    ),
    RequestField.DURATION_MS: "e.Duration / 1000000.0",
    RequestField.GRPC_ERROR: "CASE WHEN coalesce(e.GrpcStatus, 0) <> 0 THEN 1.0 ELSE 0.0 END",
}
"""What a request of the access log adds. A status of 0 is a request that got no answer:
https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage"""


def events_of(trial: Trial, wanted: Iterable[Events]) -> str:
    """The condition on `spans e` that holds for events of these kinds, of units of the experiment's kind."""
    wanted = list(wanted)
    outcomes = sorted({events.outcome for events in wanted if events.outcome is not None})
    kind = f"e.UnitKind = {quoted(trial.experiment.unit.kind)}"
    either = []
    if outcomes:
        named = ", ".join(quoted(name) for name in outcomes)
        either.append(f"(e.SpanName = 'meshtrial.outcome' AND e.Outcome IN ({named}))")
    if any(events.outcome is None for events in wanted):
        experiment = quoted(trial.experiment.id)
        # A later hop's request is a part of the first one's; a tester's is nobody's.
        own = "coalesce(e.Reason, '') NOT IN ('carried', 'targeting_match')"
        either.append(f"(e.SpanName = 'meshtrial.request' AND e.Experiment = {experiment} AND {own})")
    return f"{kind} AND ({' OR '.join(either)})"


def is_of(events: Events) -> str:
    """The condition on an event `e` that it is one of these, given that it is one of some."""
    if events.outcome is None:
        return "e.SpanName = 'meshtrial.request'"
    return f"e.SpanName = 'meshtrial.outcome' AND e.Outcome = {quoted(events.outcome)}"


def amount_of(events: Events) -> str:
    """What an event `e` adds to a sum: its field, or 1; null where an outcome lacks the field."""
    if events.field is None:
        return "1.0"
    if events.outcome is None:
        return _REQUEST_FIELDS[RequestField(events.field)]
    return f"e.OutcomeValues[{quoted(events.field)}]"


def around(trial: Trial, start: int, end: int) -> str:
    """The condition that an event `e` of a unit `u` counts: when it happened, and when it was received."""
    return f"{within(start, end)} AND e.Received - u.First <= {trial.closing}"


def within(start: int, end: int) -> str:
    """The condition that an event `e` happened so many seconds after a unit `u` was first exposed.

    By differences: a clock that is centuries ahead makes no sum that is too large for 64 bits.
    """
    return f"e.Time - u.First >= {start * SECOND} AND e.Time - u.First < {end * SECOND}"


def join_of(trial: Trial) -> str:
    """How an event `e` belongs to a unit `u`: of a switchback to the key's latest window begun before."""
    return "e.Unit = u.Unit" + (" AND e.Time < u.Until" if trial.experiment.unit.switchback else "")


def values_query(trial: Trial, variables: Sequence[Variable], units: str) -> str:
    """One row for each unit of a table that has any event: its variables V0, V1, ..."""
    start, end = min(v.start for v in variables), max(v.end for v in variables)
    names = trial.unit_key.split(", ")
    key, named = ", ".join(f"u.{n}" for n in names), ", ".join(f"u.{n} AS {n}" for n in names)
    sums = ", ".join(
        summed(
            v,
            f"{is_of(v.events)} AND {around(trial, v.start, v.end)}",
            f"coalesce({amount_of(v.events)}, 0.0)",
        )
        + f" AS V{i}"
        for i, v in enumerate(variables)
    )
    return f"""
SELECT {named}, {sums}
FROM spans e JOIN {units} u ON {join_of(trial)}
WHERE {events_of(trial, (v.events for v in variables))} AND {around(trial, start, end)}
GROUP BY {key}
"""


def summed(variable: Variable, counts: str, amount: str) -> str:
    """A variable of a unit's events, given which of them count, and what each of those adds."""
    if variable.binary:
        had = f" AND {amount} <> 0" if variable.events.field is not None else ""
        return f"max(CASE WHEN {counts}{had} THEN 1.0 ELSE 0.0 END)"
    return f"sum(CASE WHEN {counts} THEN {amount} ELSE 0.0 END)"


def capped(variables: Sequence[Variable], caps: Sequence[float | None]) -> list[str]:
    """Each variable of `unit_values` with its cap: 0 for a unit without events."""
    return [
        f"coalesce(V{i}, 0.0)" if cap is None else f"least(coalesce(V{i}, 0.0), CAST({cap!r} AS DOUBLE))"
        for i, (_, cap) in enumerate(zip(variables, caps, strict=True))
    ]


def shifts_query(columns: Sequence[str]) -> str:
    """A constant near each variable: sums about it keep their digits (`stats.moments`).

    The mean of the units that have events lies as near to all units' values as their spread is wide.
    """
    return f"SELECT {', '.join(f'coalesce(avg({column}), 0.0)' for column in columns)} FROM unit_values"


def summed_columns(
    columns: Sequence[str], shifts: Sequence[float], pairs: Sequence[tuple[int, int]]
) -> list[str]:
    """Sums about the shifts, then sums of products; arguments as in `sums_query`."""
    gaps = [f"({c} - CAST({s!r} AS DOUBLE))" for c, s in zip(columns, shifts, strict=True)]
    return [f"sum({gap})" for gap in gaps] + [f"sum({gaps[i]} * {gaps[j]})" for i, j in pairs]


def pairs_of(metrics: Sequence[Metric]) -> list[tuple[int, int]]:
    """Indices of the variables of one metric whose product is summed, the first not above the second."""
    index = {variable: i for i, variable in enumerate(all_variables(metrics))}
    numbers = [[index[variable] for variable in variables_of(metric)] for metric in metrics]
    return sorted({pair for own in numbers for pair in pairs_among(own)})


def pairs_among(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """All pairs of them, in the order of `stats.joint.Joint`, each the least first."""
    return [(min(i, j), max(i, j)) for at, i in enumerate(numbers) for j in numbers[at:]]


def sums_query(
    trial: Trial,
    columns: Sequence[str],
    shifts: Sequence[float],
    pairs: Sequence[tuple[int, int]],
    more: Sequence[str],
) -> str:
    """Cells of all units analysed: the key, the number of units, sums about the shifts, sums of products.

    Args:
        trial: The experiment.
        columns: Each variable as `capped` has it.
        shifts: Of each variable.
        pairs: Indices of the variables whose product is summed.
        more: Further sums.
    """
    sums = [*summed_columns(columns, shifts, pairs), *more]
    named = "".join(f", {column} AS T{i}" for i, column in enumerate(sums))
    key = ", ".join(["c.Period", *(f"p.{name}" for name in place_columns(trial))])
    return f"""
SELECT {key}, {", ".join(["c.Units", *(f"c.T{i}" for i in range(len(sums)))])} FROM (
  SELECT First - First % {trial.period} AS Period, Place, count(*) AS Units{named}
  FROM kept_units LEFT JOIN unit_values USING ({trial.unit_key}) GROUP BY Period, Place
) c JOIN places p ON c.Place = p.Place ORDER BY {key}
"""
