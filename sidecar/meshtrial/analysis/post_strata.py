"""Cells by the plan's strata -> the effect, less what arms differ by in their mix of strata; pure.

Post-stratification as a regression on indicators of strata, each arm with its own coefficients, within the
days, phases and cohorts that arms are compared within anyway. Without days it is the textbook's estimate: the
sum over strata of their share of both arms' units times their difference of means. The metric's covariates
go into the same regression.

The strata are those of a unit's first exposure, which the request brought with it, so that no arm can have
changed them; shares and merging are of counts of both arms.

It is shown beside the plan's estimate and decides nothing. A header more or less that is recorded must not
change a verdict, which it could be added for once the results are seen; and proportions are decided on by
exact counts, which a regression has none of.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from meshtrial.analysis.cells import Cells, Clock, summed
from meshtrial.analysis.contrasts import measured_of
from meshtrial.analysis.measured import Measured
from meshtrial.analysis.strata import strata_of
from meshtrial.plan.inference import Covariate, Metric, MetricKind
from meshtrial.stats.adjust import variance_removed
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.joint import Joint

METHOD: Final = "post-stratified Welch t"
LEAST_OF_A_STRATUM: Final = 50
"""Units in each arm from which on a stratum has an indicator; the others are one stratum together."""
MOST_STRATA: Final = 20
"""Strata with an indicator, those with most units: each costs degrees of freedom."""

_Strata = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PostStratified:
    """One metric of one arm."""

    measured: Measured
    strata: int
    """How many there are, the merged ones counting as one."""
    removed: float | None
    """Share of the variance of the plan's estimate that strata removed, at most 1."""


def post_stratified(
    metric: Metric, cells: Cells, arms: tuple[str, str], clock: Clock
) -> PostStratified | NotEstimable:
    """One metric of one arm.

    Args:
        metric: Any but a quantile.
        cells: Of the units that are compared, with their strata; of whole days.
        arms: Ids of control and treatment.
        clock: Tells days.
    """
    if metric.kind is MetricKind.RATIO:
        return NotEstimable("a ratio is not post-stratified")
    chosen = _chosen(cells, arms)
    others = any(key.strata not in chosen for key in cells if key.arm in arms)
    count = len(chosen) + others
    if count < 2:
        return NotEstimable("there are no two strata with units enough")
    strata = strata_of({key: cell.units for key, cell in cells.items()}, *arms, clock)
    # An indicator is a covariate: one whose events nobody asks for, since its sums are known.
    covariates = (*metric.covariates, *[Covariate(metric.events, 0)] * count)
    indicated = {
        key: _indicated(cell, chosen.index(key.strata) if key.strata in chosen else count - 1, count)
        for key, cell in cells.items()
    }
    regressed = replace(metric, kind=MetricKind.MEAN, covariates=covariates)
    found = measured_of(regressed, indicated, strata, arms, clock)
    plain = measured_of(metric, cells, strata, arms, clock).contrast
    if isinstance(found.removed, NotEstimable):
        return found.removed
    if isinstance(found.contrast, NotEstimable) or isinstance(plain, NotEstimable):
        return PostStratified(found, count, None)
    contrast = replace(found.contrast, method=METHOD)
    return PostStratified(replace(found, contrast=contrast), count, variance_removed(plain, contrast))


def _chosen(cells: Cells, arms: tuple[str, str]) -> Sequence[_Strata]:
    """The strata with an indicator, by units of both arms."""
    counts = summed(
        ((key, cell.units) for key, cell in cells.items() if key.arm in arms),
        lambda key: (key.strata, key.arm),
    )
    sizes: dict[_Strata, list[int]] = {}
    for (strata, arm), units in counts.items():
        sizes.setdefault(strata, [0, 0])[arms.index(arm)] += units
    enough = [strata for strata, units in sizes.items() if min(units) >= LEAST_OF_A_STRATUM]
    return sorted(enough, key=lambda strata: (-sum(sizes[strata]), strata))[:MOST_STRATA]


def _indicated(cell: Joint, own: int, count: int) -> Joint:
    """The cell's variables and an indicator of each stratum, of which its own is 1 for all units."""
    own += cell.variables
    variables = cell.variables + count
    squares = [[0.0] * variables for _ in range(variables)]
    for i, row in enumerate(cell.squares().tolist()):
        squares[i][: cell.variables] = row
        squares[i][own] = cell.totals[i]
    squares[own][own] = float(cell.units)
    totals = [*cell.totals, *[0.0] * count]
    totals[own] = float(cell.units)
    upper = tuple(value for i, row in enumerate(squares) for value in row[i:])
    return Joint((*cell.shifts, *[0.0] * count), cell.units, tuple(totals), upper)
