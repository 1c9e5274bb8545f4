"""The SQL that reduces exposures to units: who is in the trial, since when, in which arm.

Randomisation is by unit, so a unit counts once, in the arm, phase and period of its first exposure ever
(reference: intention to treat). Times are nanoseconds since 1970, as 64-bit integers.

An exposure that is received later than a window and the lateness after it was made is left out: by then the
results of its period are final.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from meshtrial.analysis.eligible import Eligible
from meshtrial.plan.model import Experiment
from meshtrial.store.engine import quoted

SECOND: Final = 1_000_000_000
"""In nanoseconds."""
_FOREVER: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Trial:
    """What every query of one experiment needs to know."""

    experiment: Experiment
    period: int
    """Nanoseconds: units are counted and summed by the period of their first exposure."""

    @property
    def closing(self) -> int:
        """Nanoseconds after its first exposure at which a unit is final."""
        return self.experiment.decision.closing() * SECOND

    @property
    def strata(self) -> tuple[str, ...]:
        """Names of the strata that are recorded."""
        return tuple(source.name for source in self.experiment.strata)

    @property
    def unit_key(self) -> str:
        """The columns that are one unit: of a switchback a key in one window."""
        return 'Unit, "Window"' if self.experiment.unit.switchback else "Unit"


def exposures(trial: Trial) -> str:
    """The condition on `spans` that holds for exposures of the experiment, received late or not."""
    return f"""SpanName = 'meshtrial.exposure' AND Experiment = {quoted(trial.experiment.id)}
  AND UnitKind = {quoted(trial.experiment.unit.kind)}
  AND Exposed AND Unit IS NOT NULL AND Arm IS NOT NULL AND Phase IS NOT NULL"""


def places_query(trial: Trial) -> str:
    """Where a first exposure can be: every phase, cohort, arm and strata met, numbered from 1 in `Place`.

    Millions of units are told apart by that number, and by names only where there are few rows.
    """
    columns = ", ".join(place_columns(trial))
    return f"""
SELECT CAST(row_number() OVER (ORDER BY {columns}) AS BIGINT) AS Place, {columns} FROM (
  SELECT DISTINCT {_named(trial)} FROM spans
  WHERE SpanName = 'meshtrial.exposure' AND Experiment = {quoted(trial.experiment.id)}
    AND Arm IS NOT NULL AND Phase IS NOT NULL
) p
"""


def place_columns(trial: Trial) -> list[str]:
    """What a place is made of."""
    return ["Phase", "Cohort", "Arm", *(f"S{i}" for i in range(len(trial.strata)))]


def _named(trial: Trial) -> str:
    """The columns of a place, of an exposure."""
    strata = "".join(f", coalesce(Strata[{quoted(s)}], '') AS S{i}" for i, s in enumerate(trial.strata))
    return f"Phase, coalesce(Cohort, 'default') AS Cohort, Arm{strata}"


BUCKETS: Final = 2**33
"""More than there are buckets: a way is a place times this, plus the bucket, plus 1 where it is known."""
_PLACE: Final = f"CAST((Way - Way % {BUCKETS}) / {BUCKETS} AS BIGINT)"
_BUCKET: Final = f"Way % {BUCKETS} - 1"


def _ways(trial: Trial, columns: str) -> str:
    """Exposures that count, each with its way."""
    same = " AND ".join(f"e.{name} = p.{name}" for name in place_columns(trial))
    return f"""
SELECT e.*, p.Place * {BUCKETS} + coalesce(CAST(e.Bucket AS BIGINT) + 1, 0) AS Way
FROM (
  SELECT {_named(trial)}, {columns}, Bucket, Time FROM spans
  WHERE {exposures(trial)} AND Received - Time <= {trial.closing}
) e JOIN places p ON {same}
"""


def met_query(trial: Trial, key: str) -> str:
    """One row for each key that met the experiment: when it did first, its least way and its largest.

    Args:
        trial: The experiment.
        key: The columns of what is counted: `trial.unit_key`, or the group.
    """
    known = " AND ".join(f"{name} IS NOT NULL" for name in key.split(", "))
    return f"""
SELECT {key}, min(w.Time) AS First, min(w.Way) AS Way, max(w.Way) AS Other
FROM ({_ways(trial, key)}) w WHERE {known} GROUP BY {key}
"""


def resolved_query(trial: Trial, key: str, table: str, *, ties: bool) -> str:
    """The way of the first exposure of keys that went several: a second reading.

    Args:
        trial: The experiment.
        key: As for `met_query`.
        table: Has its rows.
        ties: Some key has two exposures of one time, of which the one of the least ids is taken. To look for
            them always would cost half as much again.
    """
    several = "1 = 1" if has_group(trial, key) else "m.Way <> m.Other"
    group = ', "Group"' if has_group(trial, key) else ""
    ids = ", TraceId, SpanId" if ties else ""
    once = f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY TraceId, SpanId) = 1" if ties else ""
    return f"""
SELECT {key}, m.First AS First, w.Way AS Way{group}
FROM ({_ways(trial, f"{key}{group}{ids}")}) w JOIN {table} m USING ({key})
WHERE {several} AND w.Time = m.First {once}
"""


def has_group(trial: Trial, key: str) -> bool:
    """Whether first exposures by this key tell the unit's group as well."""
    return trial.experiment.unit.group_kind is not None and key == trial.unit_key


def firsts_query(trial: Trial, key: str, table: str, resolved: str) -> str:
    """First exposures by a key: when, the place and the bucket, -1 where it is not known.

    Args:
        trial: The experiment.
        key: As for `met_query`.
        table: Has its rows.
        resolved: Table of `resolved_query`'s rows.
    """
    if has_group(trial, key):
        return f'SELECT {key}, First, "Group", {_PLACE} AS Place, {_BUCKET} AS Bucket FROM {resolved}'
    return f"""
SELECT {key}, First, {_PLACE} AS Place, {_BUCKET} AS Bucket FROM (
  SELECT {key}, First, Way FROM {table} WHERE Way = Other
  UNION ALL SELECT {key}, First, Way FROM {resolved}
) f
"""


def spells_query(key: str) -> str:
    """Units of a switchback with the time that is theirs: from ever or First, up to the key's next window."""
    return f"""
SELECT {key}, First, Place, Bucket,
  CASE WHEN row_number() OVER (PARTITION BY Unit ORDER BY First) = 1 THEN 0 ELSE First END AS Begun,
  lead(First, 1, {_FOREVER}) OVER (PARTITION BY Unit ORDER BY First) AS Until
FROM unit_firsts
"""


def named_query(trial: Trial, key: str, table: str, more: str = "") -> str:
    """The rows of a table with the names of their places, and their periods.

    Args:
        trial: The experiment.
        key: As for `met_query`.
        table: Has First and Place.
        more: Further columns of it.
    """
    keys = ", ".join(f"f.{name}" for name in key.split(", "))
    names = ", ".join(f"p.{name}" for name in place_columns(trial))
    return f"""
SELECT {keys}, f.First, f.First - f.First % {trial.period} AS Period, f.Place, {names}{more}
FROM {table} f JOIN places p ON f.Place = p.Place
"""


def kept_query(trial: Trial, eligible: Sequence[Eligible]) -> str:
    """The units whose arm the allocation kept constant until their windows closed."""
    columns = ["First", "Place", *(['"Group"'] if trial.experiment.unit.group_kind else [])]
    columns += ["Begun", "Until"] if trial.experiment.unit.switchback else []
    names = ", ".join(f"u.{name}" for name in [*trial.unit_key.split(", "), *columns])
    return f"""
WITH constant AS (
  SELECT * FROM ({_rows(eligible)}) c
  JOIN places p ON p.Phase = c.InPhase AND p.Cohort = c.InCohort AND p.Arm = c.InArm
)
SELECT {names} FROM {unit_table(trial)} u JOIN constant c ON c.Place = u.Place
WHERE u.First >= c.FirstFrom AND u.First < c.FirstTo AND (
  u.Bucket >= c.BucketFrom AND u.Bucket < c.BucketTo OR u.Bucket < 0 AND c.Foremost = 1
)
"""


def unit_table(trial: Trial) -> str:
    """Which relation has all units, in few bytes."""
    return "unit_spells" if trial.experiment.unit.switchback else "unit_firsts"


def _rows(eligible: Sequence[Eligible]) -> str:
    """The rows as a table; one of each phase, cohort, arm and time is for units whose bucket is not known."""
    rows, foremost = [], set[tuple[object, ...]]()
    for e in eligible:
        group = (e.phase, e.cohort, e.arm, e.first_from)
        bounds = (e.first_from, e.first_to, e.bucket_from, e.bucket_to, int(group not in foremost))
        foremost.add(group)
        rows.append(_row(e.phase, e.cohort, e.arm, bounds))
    return "\nUNION ALL ".join(rows or [_row("", "", "", (0, 0, 0, 0, 0))])


def _row(phase: str, cohort: str, arm: str, bounds: Sequence[int]) -> str:
    names = ("FirstFrom", "FirstTo", "BucketFrom", "BucketTo", "Foremost")
    numbers = ", ".join(
        f"CAST({bound} AS BIGINT) AS {name}" for name, bound in zip(names, bounds, strict=True)
    )
    texts = f"{quoted(phase)} AS InPhase, {quoted(cohort)} AS InCohort, {quoted(arm)} AS InArm"
    return f"SELECT {texts}, {numbers}"


def counts_query(trial: Trial, table: str) -> str:
    """Units of a table with First and Place, by period and place."""
    key = ", ".join(["c.Period", *(f"p.{name}" for name in place_columns(trial))])
    return f"""
SELECT {key}, c.Units FROM (
  SELECT First - First % {trial.period} AS Period, Place, count(*) AS Units FROM {table}
  GROUP BY Period, Place
) c JOIN places p ON c.Place = p.Place ORDER BY {key}
"""
