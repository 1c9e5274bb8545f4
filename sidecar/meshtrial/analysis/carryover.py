"""Arms that units had in experiments before this one -> whether those left something behind.

The factor is the last arm that a unit was exposed to in another experiment of the layer, before its first
exposure here. A main effect says that the former experiment still acts, on both arms here alike; only an
interaction, or a former arm that the arms here have unequal shares of, biases the effect.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import chdtrc

from meshtrial.analysis.breakdown import Breakdown
from meshtrial.analysis.cells import Cells, Key
from meshtrial.analysis.shown import Shown
from meshtrial.analysis.values import summed_columns
from meshtrial.plan.inference import Metric
from meshtrial.stats.balance import strata_balance
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.joint import Joint
from meshtrial.store.engine import quoted

FORMER: Final = "coalesce(Former, '')"
"""In a query with the table `formers`: "" of a unit that had no arm before."""
WITH_FORMERS: Final = "LEFT JOIN formers USING (Unit)"


@dataclass(frozen=True, slots=True)
class Carryover:
    """What is known of the experiments before."""

    experiments: tuple[str, ...]
    """Other experiments of the layer, now or formerly."""
    units: int
    """Units that one of them had before."""
    balance: float | NotEstimable
    """p-value of the arms here having the same mix of former arms."""
    breakdowns: tuple[Breakdown, ...]
    """By the former arm, as `experiment/arm`; of each primary and arm."""


def keep_former_arms(shown: Shown, mates: Sequence[str]) -> None:
    """Make the table `formers`: units of the table `analysed` with the arm they had before, if any."""
    named = ", ".join(quoted(mate) for mate in mates)
    exposed = f"""{{e}}.SpanName = 'meshtrial.exposure' AND {{e}}.Experiment IN ({named})
  AND {{e}}.UnitKind = {quoted(shown.experiment.unit.kind)} AND {{e}}.Exposed AND {{e}}.Arm IS NOT NULL"""
    shown.engine.keep(
        "former_times",
        f"""
SELECT e.Unit AS Unit, max(e.Time) AS Last FROM spans e JOIN kept_units u ON e.Unit = u.Unit
WHERE {exposed.format(e="e")} AND e.Time < u.First GROUP BY e.Unit
""",
    )
    shown.engine.keep(
        "formers",
        f"""
SELECT e.Unit AS Unit, min(e.Experiment || '/' || e.Arm) AS Former
FROM spans e JOIN former_times t ON e.Unit = t.Unit AND e.Time = t.Last
WHERE {exposed.format(e="e")} GROUP BY e.Unit
""",
    )


def former_counts(shown: Shown) -> Mapping[str, Mapping[str, int]]:
    """Units by former arm and arm."""
    counts: dict[str, dict[str, int]] = {}
    for former, arm, units in shown.engine.rows(f"""
SELECT {FORMER} AS Before, Arm, count(*)
FROM analysed {WITH_FORMERS} WHERE Period < {shown.cut} GROUP BY {FORMER}, Arm
"""):
        counts.setdefault(former, {})[arm] = int(units)
    return counts


def former_balance(counts: Mapping[str, Mapping[str, int]]) -> float | NotEstimable:
    """p-value of the arms having the same mix of former arms, by Pearson's test."""
    arms = sorted({arm for of_former in counts.values() for arm in of_former})
    table = np.array([[counts[former].get(arm, 0) for arm in arms] for former in sorted(counts)], np.int64)
    found = strata_balance(table.reshape(len(counts), len(arms)))
    return found if isinstance(found, NotEstimable) else float(chdtrc(found.freedom, found.statistic))


def former_cells(shown: Shown, metric: Metric) -> Cells:
    """Cells of whole days by former arm, which takes the place of their strata."""
    columns = shown.columns(metric)
    shifts = next(iter(shown.days[metric.id].values())).shifts
    p = len(columns)
    pairs = [(i, j) for i in range(p) for j in range(i, p)]
    sums = ", ".join(summed_columns(columns, shifts, pairs))
    rows = shown.engine.rows(f"""
SELECT Period - Period % {shown.clock.day} AS Came, Phase, Cohort, Arm, {FORMER} AS Before, count(*), {sums}
FROM analysed LEFT JOIN unit_values USING ({shown.trial.unit_key}) {WITH_FORMERS}
WHERE Period < {shown.cut} GROUP BY Came, Phase, Cohort, Arm, {FORMER}
""")
    cells: dict[Key, Joint] = {}
    for came, phase, cohort, arm, former, units, *numbers in rows:
        totals, products = tuple(map(float, numbers[:p])), tuple(map(float, numbers[p:]))
        cells[Key(int(came), phase, cohort, arm, (former,))] = Joint(shifts, int(units), totals, products)
    return cells
