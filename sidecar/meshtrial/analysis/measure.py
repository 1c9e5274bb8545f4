"""A look -> what was measured in it: cells summed up, and second passes where they are needed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from meshtrial.analysis.caps import unsettled
from meshtrial.analysis.cells import Cells, Clock
from meshtrial.analysis.contrasts import measured_of
from meshtrial.analysis.designs import measured_groups, measured_switchback
from meshtrial.analysis.gathered import Gathered
from meshtrial.analysis.measured import Key, LookedAt, Measured
from meshtrial.analysis.quantiles import Group, Part, keep_events, quantile_samples
from meshtrial.analysis.strata import Strata, strata_of
from meshtrial.analysis.timeline import Look
from meshtrial.analysis.units import Trial
from meshtrial.plan.inference import Metric, MetricKind
from meshtrial.plan.model import Arm
from meshtrial.stats.burn_in import burn_in
from meshtrial.stats.contrast import Contrast, combine
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.proportion import Proportion
from meshtrial.stats.quantile import QuantileSample, quantile_contrast
from meshtrial.store.engine import Engine


def measure(engine: Engine, trial: Trial, gathered: Gathered, look: Look, clock: Clock) -> LookedAt:
    """All metrics of all arms at one look."""
    return _Look(engine, trial, gathered, look, clock).measured()


@dataclass(frozen=True, slots=True)
class _Look:
    engine: Engine
    trial: Trial
    gathered: Gathered
    look: Look
    clock: Clock

    def measured(self) -> LookedAt:
        experiment = self.trial.experiment
        control = experiment.control.id
        counts = {key: n for key, n in self.gathered.analysed.items() if key.period < self.look.cut}
        strata = {arm.id: strata_of(counts, control, arm.id, self.clock) for arm in experiment.treatments()}
        found: dict[Key, Measured] = {}
        for metric in experiment.decision.metrics():
            found.update(self._metric(metric, strata))
        left_out = sorted({pair for of_arm in strata.values() for pair in of_arm.left_out})
        return LookedAt(self.look, found, tuple(left_out))

    def _metric(self, metric: Metric, strata: Mapping[str, Strata]) -> Mapping[Key, Measured]:
        experiment = self.trial.experiment
        arms = experiment.treatments()
        if metric.kind is MetricKind.QUANTILE:
            return self._quantile(metric, strata)
        if (reason := unsettled(metric, self.gathered, self.look.cut)) is not None:
            return {(metric.id, arm.id): Measured(reason, 0, 0, 0.0) for arm in arms}
        if experiment.unit.switchback is not None:
            return measured_switchback(self.engine, self.trial, self.gathered, metric, self.look)
        if experiment.unit.group_kind is not None:
            return measured_groups(self.engine, self.trial, self.gathered, metric, self.look)
        cells = self.gathered.cells[metric.id]
        looked: Cells = {key: cell for key, cell in cells.items() if key.period < self.look.cut}
        control = experiment.control.id
        return {
            (metric.id, arm.id): measured_of(metric, looked, strata[arm.id], (control, arm.id), self.clock)
            for arm in arms
        }

    def _quantile(self, metric: Metric, strata: Mapping[str, Strata]) -> Mapping[Key, Measured]:
        """Within phases and cohorts: of a day there are seldom enough events."""
        experiment = self.trial.experiment
        keep_events(self.engine, self.trial, metric)
        if metric.q is None:
            raise TypeError("a quantile has a q")
        samples = quantile_samples(self.engine, metric.q, self.look.cut)
        return {
            (metric.id, arm.id): _of_quantile(samples, strata[arm.id], experiment.control, arm)
            for arm in experiment.treatments()
        }


def _of_quantile(parts: Mapping[Group, Part], strata: Strata, control: Arm, treatment: Arm) -> Measured:
    """Phases and cohorts without enough events in an arm are left out, unless that is all of them."""
    weights = strata.of_cohort()
    thin = tuple(
        cohort
        for cohort in weights
        if not all(
            (part := parts.get(Group(*cohort, arm.id))) and part.enough for arm in (control, treatment)
        )
    )
    if len(thin) == len(weights):
        thin = ()
    contrasts: list[tuple[float, Contrast]] = []
    samples: list[tuple[QuantileSample, QuantileSample]] = []
    time = 0.0
    for cohort, weight in weights.items():
        if cohort in thin:
            continue
        one, other = (_sample(parts.get(Group(*cohort, arm.id))) for arm in (control, treatment))
        for sample in (one, other):
            if isinstance(sample, NotEstimable):
                return Measured(sample, 0, 0, 0.0, left_out=thin)
        if isinstance(one, QuantileSample) and isinstance(other, QuantileSample):
            contrast = quantile_contrast(one, other)
            if isinstance(contrast, NotEstimable):
                return Measured(contrast, 0, 0, 0.0, left_out=thin)
            contrasts.append((weight, contrast))
            samples.append((one, other))
            n0, n1 = contrast.control_units, contrast.treatment_units
            time += n0 * n1 / (n0 + n1)
    found = combine(contrasts)
    if isinstance(found, NotEstimable):
        return Measured(found, 0, 0, 0.0, left_out=thin)
    early = burn_in(*(_below([pair[arm] for pair in samples]) for arm in (0, 1)))
    n0, n1 = found.control_units, found.treatment_units
    return Measured(found, n0, n1, time, too_early=early, left_out=thin)


def _sample(part: Part | None) -> QuantileSample | NotEstimable:
    return part.sample if part else NotEstimable("an arm has no events")


def _below(samples: Sequence[QuantileSample]) -> Proportion:
    """A share q of all events: of whole numbers, more may be at or below the quantile, and none above it."""
    counts = [sample.counts for sample in samples]
    events = math.fsum(joint.units * joint.shifts[1] + joint.totals[1] for joint in counts)
    return Proportion(round(events), round(samples[0].q * events))
