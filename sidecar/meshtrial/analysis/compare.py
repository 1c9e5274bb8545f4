"""Samples by cohort and arm -> values and comparisons, so that weights by cohort fake no effect; pure.

A cohort counts where the plan gives each arm a share of it, and each arm has enough units there to tell a
spread: both are known from the plan and from counts, never from outcomes, so the choice favours no arm.
"""

from collections.abc import Mapping

from meshtrial.analysis.evidence import Compared, Measured, Sample
from meshtrial.plan.inference import Primary
from meshtrial.plan.model import Arm, Experiment
from meshtrial.stats.contrast import LEAST_UNITS, Contrast, combine
from meshtrial.stats.estimate import Comparison, NotEstimable
from meshtrial.stats.fixed import fixed
from meshtrial.stats.moments import Moments, mean_contrast
from meshtrial.stats.proportion import Proportion, compare_proportions
from meshtrial.stats.stratified import Stratum, compare_stratified_proportions


def shared_cohorts(experiment: Experiment) -> tuple[str, ...]:
    """Ids of the cohorts of which every arm gets a share at present; of a single split, always that one."""
    splits = experiment.splits
    if len(splits) == 1:
        return (splits[0].id,)
    return tuple(s.id for s in splits if all(experiment.share(arm, s.id) for arm in experiment.arms))


def counted(measured: Measured) -> Mapping[str, Mapping[str, Sample]]:
    """The cohorts that values and comparisons are made of."""
    if len(measured.samples) < 2:
        return measured.samples
    return {
        cohort: arms
        for cohort, arms in measured.samples.items()
        if all(sample.units >= LEAST_UNITS for sample in arms.values())
    }


def units_of(measured: Measured, arm_id: str) -> int:
    """Units that the arm's value is of."""
    return sum(arms[arm_id].units for arms in counted(measured).values())


def value_of(measured: Measured, arm_id: str) -> float | NotEstimable:
    """The arm's value, in the metric's unit; of several cohorts, with the weights of the comparison."""
    parts = [(_size(arms), arms[arm_id]) for arms in counted(measured).values()]
    whole = sum(size for size, _ in parts)
    total = 0.0
    for size, sample in parts:
        value = sample.value() if isinstance(sample, Proportion) else sample.mean()
        if isinstance(value, NotEstimable):
            return value
        total += size / whole * value
    return total if parts else NotEstimable("there is no cohort with units of all arms")


def compare(primary: Primary, measured: Measured, arm: Arm, experiment: Experiment, alpha: float) -> Compared:
    """One arm against control, within cohorts where there are several."""
    strata = [(_size(arms), arms[experiment.control.id], arms[arm.id]) for arms in counted(measured).values()]
    base = value_of(measured, experiment.control.id)
    value = None if isinstance(base, NotEstimable) else base
    return Compared(primary, arm, value, _comparison(strata, alpha, stratified=len(measured.samples) > 1))


def _comparison(strata: list[tuple[int, Sample, Sample]], alpha: float, *, stratified: bool) -> Comparison:
    proportions: list[Stratum] = []
    means: list[tuple[float, Contrast]] = []
    for size, control, treatment in strata:
        if isinstance(control, Proportion) and isinstance(treatment, Proportion):
            proportions.append(Stratum(size, control, treatment))
        elif isinstance(control, Moments) and isinstance(treatment, Moments):
            contrast = mean_contrast(control, treatment)
            if isinstance(contrast, NotEstimable):
                return contrast
            means.append((size, contrast))
        else:
            raise TypeError("one metric has one kind of sample")
    if means:
        return fixed(combine(means), alpha)
    if stratified:
        return compare_stratified_proportions(proportions, alpha)
    return compare_proportions(proportions[0].control, proportions[0].treatment, alpha)


def _size(arms: Mapping[str, Sample]) -> int:
    return sum(sample.units for sample in arms.values())
