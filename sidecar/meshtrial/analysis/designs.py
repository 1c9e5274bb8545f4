"""Groups and switchbacks of a look -> one metric of each arm beside control."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from meshtrial.analysis.blocks import Block, blocks_of
from meshtrial.analysis.gathered import Gathered
from meshtrial.analysis.measured import Key, Measured
from meshtrial.analysis.timeline import Look
from meshtrial.analysis.units import Trial
from meshtrial.analysis.variables import variables_of
from meshtrial.plan.inference import Metric, MetricKind
from meshtrial.plan.model import Arm, Experiment
from meshtrial.stats.burn_in import burn_in
from meshtrial.stats.clusters import Clusters, cluster_contrast
from meshtrial.stats.contrast import Contrast, combine
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.proportion import Proportion
from meshtrial.stats.switchback import (
    Windows,
    carried_windows,
    randomisation_p_value,
    switchback_contrast,
)
from meshtrial.store.engine import Engine


def measured_groups(
    engine: Engine, trial: Trial, gathered: Gathered, metric: Metric, look: Look
) -> Mapping[Key, Measured]:
    """Groups as clusters, within cohorts that have weights of their own."""
    experiment = trial.experiment
    columns = [gathered.columns[variable] for variable in variables_of(metric)]
    blocks = blocks_of(engine, trial, columns, look.cut) if columns else ()
    return {
        (metric.id, arm.id): measured_clusters(metric, blocks, experiment.control.id, arm.id)
        for arm in experiment.treatments()
    }


def measured_clusters(metric: Metric, blocks: Sequence[Block], control: str, treatment: str) -> Measured:
    """One metric of one arm, each block being a group."""
    own = [block for block in blocks if block.arm in {control, treatment}]
    n0, n1 = (sum(block.units for block in own if block.arm == arm) for arm in (control, treatment))
    time = n0 * n1 / (n0 + n1) if n0 and n1 else 0.0
    plain: list[tuple[float, Contrast]] = []
    adjusted: list[tuple[float, Contrast]] = []
    for cohort in sorted({block.cohort for block in own}):
        of_arm = [[b for b in own if b.cohort == cohort and b.arm == arm] for arm in (control, treatment)]
        weight = sum(block.units for block in blocks if block.cohort == cohort)
        one, other = (_clusters(metric, arm) for arm in of_arm)
        contrast = cluster_contrast(one, other)
        if isinstance(contrast, NotEstimable):
            return Measured(contrast, n0, n1, time)
        adjusted.append((weight, contrast))
        bare = cluster_contrast(replace(one, covariates=_NONE), replace(other, covariates=_NONE))
        if isinstance(bare, Contrast):
            plain.append((weight, bare))
    found = combine(adjusted)
    early = _too_early(metric, own, control, treatment)
    if not metric.covariates or isinstance(found, NotEstimable):
        return Measured(found, n0, n1, time, too_early=early)
    without = combine(plain)
    removed = 1 - (found.error / without.error) ** 2 if isinstance(without, Contrast) else None
    return Measured(found, n0, n1, time, without, removed, too_early=early)


_NONE = np.empty((0, 0))


def _clusters(metric: Metric, blocks: Sequence[Block]) -> Clusters:
    """Sums by units, of a ratio by the sums of its denominators; covariates as means of the cluster."""
    if not blocks:
        return Clusters(np.empty(0), np.empty(0))
    totals = np.array([block.totals for block in blocks], float).reshape(len(blocks), -1)
    units = np.array([block.units for block in blocks], float)
    if metric.kind is MetricKind.RATIO:
        return Clusters(totals[:, 0], totals[:, 1])
    covariates = totals[:, 1:] / units[:, None] if totals.shape[1] > 1 else _NONE
    return Clusters(totals[:, 0], units, covariates)


def _too_early(metric: Metric, blocks: Sequence[Block], control: str, treatment: str) -> NotEstimable | None:
    """Of a proportion, too few units with the outcome; clusters are few enough to be t-distributed anyway."""
    if metric.kind is not MetricKind.PROPORTION:
        return None
    one, other = (
        Proportion(
            sum(block.units for block in blocks if block.arm == arm),
            round(sum(block.totals[0] for block in blocks if block.arm == arm)),
        )
        for arm in (control, treatment)
    )
    return burn_in(one, other)


def measured_switchback(
    engine: Engine, trial: Trial, gathered: Gathered, metric: Metric, look: Look
) -> Mapping[Key, Measured]:
    """Windows of keys, by Horvitz and Thompson's estimator: each a sum over its key's events."""
    experiment = trial.experiment
    switchback = experiment.unit.switchback
    columns = [gathered.columns[variable] for variable in variables_of(metric)]
    if switchback is None or not columns:
        refused = NotEstimable("a quantile over windows of time has no estimator here")
        return {(metric.id, arm.id): Measured(refused, 0, 0, 0.0) for arm in experiment.treatments()}
    blocks = blocks_of(engine, trial, columns, look.cut)
    carried = carried_windows(switchback.carryover, switchback.window)
    return {
        (metric.id, arm.id): _switchback(experiment, metric, blocks, arm, carried)
        for arm in experiment.treatments()
    }


def _switchback(
    experiment: Experiment, metric: Metric, blocks: Sequence[Block], treatment: Arm, carried: int
) -> Measured:
    control = experiment.control
    own = [block for block in blocks if block.arm in {control.id, treatment.id}]
    n0, n1 = (sum(block.arm == arm.id for block in own) for arm in (control, treatment))
    if not own:
        return Measured(NotEstimable("no window has closed"), 0, 0, 0.0)
    shares = {split.id: _share(experiment, treatment, split.id) for split in experiment.splits}
    is_ratio = metric.kind is MetricKind.RATIO
    windows = Windows(
        keys=np.array([block.key for block in own], np.uint64).view(np.int64),
        numbers=np.array([block.window for block in own], np.int64),
        treated=np.array([block.arm == treatment.id for block in own]),
        shares=np.array([shares.get(block.cohort, 0.5) for block in own]),
        sums=np.array([block.totals[0] for block in own]),
        sizes=np.array([block.totals[1] if is_ratio else 1.0 for block in own]),
    )
    contrast = switchback_contrast(windows, carried)
    if isinstance(contrast, NotEstimable):
        return Measured(contrast, n0, n1, 0.0)
    # A fixed seed: a report that is made again says the same.
    p_value = randomisation_p_value(windows, carried, np.random.default_rng(_SEED))
    if isinstance(p_value, NotEstimable):
        return Measured(p_value, n0, n1, 0.0)
    return Measured(contrast, n0, n1, 0.0, p_value=p_value)


_SEED = 1


def _share(experiment: Experiment, treatment: Arm, cohort: str) -> float:
    """Chance of the treatment rather than control."""
    control, other = experiment.share(experiment.control, cohort), experiment.share(treatment, cohort)
    return float(other / (control + other)) if control and other else 0.5
