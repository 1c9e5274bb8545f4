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


def firsts_query(trial: Trial, key: str) -> str:
    """One row for each key that ever met the experiment: when it did so first."""
    return f"SELECT {key}, min(Time) AS First FROM spans WHERE {_in_time(trial)} GROUP BY {key}"


def units_query(trial: Trial, key: str, *, ties: bool) -> str:
    """The rows of `firsts` with all that the first exposure tells.

    Args:
        trial: The experiment.
        key: The columns of what is counted: `trial.unit_key`, or the group.
        ties: Some key has two exposures of one time, of which the one of the least ids is taken. To look for
            them always would cost half as much again.
    """
    strata = "".join(f", coalesce(Strata[{quoted(s)}], '') AS S{i}" for i, s in enumerate(trial.strata))
    group = ', "Group"' if trial.experiment.unit.group_kind and key == trial.unit_key else ""
    once = f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY TraceId, SpanId) = 1" if ties else ""
    return f"""
SELECT {key}, First, First - First % {trial.period} AS Period, Phase,
  coalesce(Cohort, 'default') AS Cohort, Arm, Bucket{group}{strata}
FROM spans JOIN firsts USING ({key})
WHERE {_in_time(trial)} AND Time = First {once}
"""


def _in_time(trial: Trial) -> str:
    return f"{exposures(trial)} AND Received - Time <= {trial.closing}"


def analysed_query(trial: Trial, eligible: Sequence[Eligible]) -> str:
    """The units whose arm the allocation kept constant until their windows closed, of the table `units`."""
    extra = [f"S{i}" for i in range(len(trial.strata))]
    extra += ['"Group"'] if trial.experiment.unit.group_kind else []
    columns = "".join(f", u.{name}" for name in extra)
    key = ", ".join(f"u.{name}" for name in trial.unit_key.split(", "))
    units, until = "units", ""
    if trial.experiment.unit.switchback:
        until = ", u.Until"
        units = f"""(
  SELECT *, lead(First, 1, {_FOREVER}) OVER (PARTITION BY Unit ORDER BY First) AS Until FROM units
)"""
    return f"""
WITH constant AS ({_rows(eligible)})
SELECT {key}, u.First, u.Period, u.Phase, u.Cohort, u.Arm{columns}{until}
FROM {units} u JOIN constant c ON c.InPhase = u.Phase AND c.InCohort = u.Cohort AND c.InArm = u.Arm
WHERE u.First >= c.FirstFrom AND u.First < c.FirstTo AND (
  u.Bucket >= c.BucketFrom AND u.Bucket < c.BucketTo OR u.Bucket IS NULL AND c.Foremost = 1
)
"""


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


COUNTS: Final = "SELECT Period, Phase, Cohort, Arm, count(*) FROM {table} GROUP BY Period, Phase, Cohort, Arm"
"""Units of a table by period, phase, cohort and arm."""
