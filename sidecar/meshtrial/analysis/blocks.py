"""The SQL of designs that randomise more than single units: tables by group, and by key and window."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from meshtrial.analysis.units import Trial
from meshtrial.store.engine import Engine


class Block(NamedTuple):
    """What was randomised as one: a group, or a key in one window."""

    key: int
    """Pseudonym of the group, or of the switchback's key."""
    window: int
    """Number of the window; 0 of a group."""
    cohort: str
    arm: str
    units: int
    """Units of the group; 1 for a key in one window."""
    totals: tuple[float, ...]
    """Sum over its units of each variable."""


_OF_GROUP: Final = '"Group", 0'
_OF_WINDOW: Final = 'Unit, "Window"'


def blocks_of(engine: Engine, trial: Trial, columns: Sequence[str], cut: int) -> tuple[Block, ...]:
    """All blocks of the units analysed, from the tables `analysed` and `unit_values`; in order of their keys.

    Args:
        engine: Has the tables.
        trial: An experiment by groups or windows.
        columns: The variables wanted, as `values.capped` has them.
        cut: Units first exposed before count, nanoseconds since 1970.
    """
    key = _OF_WINDOW if trial.experiment.unit.switchback else _OF_GROUP
    sums = ", ".join(f"sum({column})" for column in columns)
    grouped = '"Group"' if key == _OF_GROUP else key
    rows = engine.rows(f"""
SELECT {key}, Cohort, Arm, count(*), {sums}
FROM analysed LEFT JOIN unit_values USING ({trial.unit_key})
WHERE Period < {cut} GROUP BY {grouped}, Cohort, Arm ORDER BY 1, 2, 3, 4
""")
    return tuple(
        Block(int(key), int(window), cohort, arm, int(units), tuple(map(float, totals)))
        for key, window, cohort, arm, units, *totals in rows
    )
