"""What units had of each metric's outcomes: flags, as bits of one number a unit; the text of the SQL."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from meshtrial.analysis.events import Kinds
from meshtrial.analysis.units import SECOND
from meshtrial.plan.inference import Events, Metric

_FLAGS: Final = 4
"""Flags of one metric's outcomes."""
_TOGETHER: Final = 15
"""Metrics in one number of 64 bits with a sign."""


class Kept(NamedTuple):
    """Units that have outcomes of some metric, by their flags."""

    before: int
    """With an outcome before the exposure."""
    between: int
    """With one after the exposure and before the window."""
    within: int
    """With one within the window, late ones included."""
    left_out: int
    """With one within the window that came too late, or lacks what is summed."""


class Asked(NamedTuple):
    """What a metric takes of outcomes."""

    metric: str
    """Id."""
    events: Events
    start: int
    """Of the window, seconds after the exposure."""
    end: int
    uses_before: bool
    """Outcomes before the exposure are for a covariate."""


def asked_of(metrics: Sequence[Metric]) -> tuple[Asked, ...]:
    """What the metrics take of outcomes, of a ratio twice."""
    return tuple(
        dict.fromkeys(
            Asked(metric.id, events, metric.window.start, metric.window.end, bool(metric.covariates))
            for metric in metrics
            for events in (metric.events, metric.denominator)
            if events is not None and events.outcome is not None
        )
    )


def mark_columns(asked: Sequence[Asked], kinds: Kinds) -> list[str]:
    """Columns Marks0 and further of `unit_values`, made of a unit's rows `e` of `events`."""
    columns = []
    for number in range(-(-len(asked) // _TOGETHER)):
        bits: dict[str, list[str]] = {}
        for place, one in enumerate(asked[number * _TOGETHER : (number + 1) * _TOGETHER]):
            bits.setdefault(kinds.is_of(one.events), []).append(_bits(one, kinds, place * _FLAGS))
        cases = " ".join(f"WHEN {own} THEN {' + '.join(of_kind)}" for own, of_kind in bits.items())
        columns.append(f"bit_or(CAST(CASE {cases} ELSE 0 END AS BIGINT)) AS Marks{number}")
    return columns


def _bits(one: Asked, kinds: Kinds, place: int) -> str:
    start, end = one.start * SECOND, one.end * SECOND
    lacks = f" OR {kinds.amount_of(one.events)} IS NULL" if one.events.field is not None else ""
    between = f"WHEN e.Since < {start} THEN {2 << place} " if start > 0 else ""
    return (
        f"CASE WHEN e.Since < 0 THEN {1 << place} {between}WHEN e.Since < {start} OR e.Since >= {end} THEN 0 "
        f"WHEN e.Late = 1{lacks} THEN {(4 | 8) << place} ELSE {4 << place} END"
    )


def flag_columns(asked: Sequence[Asked]) -> list[str]:
    """How many units have each flag, from `unit_values`; of each that is asked the fields of `Kept`."""
    return [
        f"sum(CASE WHEN Marks{number // _TOGETHER} % {2 << bit} >= {1 << bit} THEN 1 ELSE 0 END)"
        for number in range(len(asked))
        for bit in range(number % _TOGETHER * _FLAGS, (number % _TOGETHER + 1) * _FLAGS)
    ]
