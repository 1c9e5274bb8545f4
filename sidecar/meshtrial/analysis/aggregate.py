"""Tables -> Evidence: the one place of the analysis that asks the engine."""

from dataclasses import dataclass
from typing import Any

import duckdb

from meshtrial.analysis import queries
from meshtrial.analysis.evidence import Compared, Evidence, Measured, Progress, Stray
from meshtrial.plan.model import Experiment, Metric, MetricKind, Plan, Primary
from meshtrial.stats.estimate import Comparison, NotEstimable
from meshtrial.stats.moments import Moments, compare_means
from meshtrial.stats.proportion import Proportion, compare_proportions

_SECOND = 1_000_000_000


def gather(connection: duckdb.DuckDBPyConnection, plan: Plan, experiment: Experiment, now: int) -> Evidence:
    """Reduce a store to the evidence on one experiment.

    Units count from their first exposure in the present phase. The data, and the units that the
    health checks count, are cut where planned size and minimum duration were first both met, so that a
    later report says the same; before that all closed units are taken, for whoever peeks.

    Args:
        connection: Has the view `otel_traces`.
        plan: The present plan.
        experiment: One of its experiments.
        now: Nanoseconds since 1970.
    """
    table = _Table(connection, plan, experiment, now)
    progress = table.progress()
    until = now if progress.decided_at is None else progress.decided_at
    rule = experiment.decision
    measured = tuple(table.measure(primary.metric, until) for primary in rule.primary)
    alpha = rule.alpha / (len(rule.primary) * len(experiment.treatments()))
    compared = tuple(
        _compare(primary, one, arm_id, experiment, alpha)
        for primary, one in zip(rule.primary, measured, strict=True)
        for arm_id in (arm.id for arm in experiment.treatments())
    )
    return Evidence(experiment, progress, measured, alpha, compared)


@dataclass(frozen=True, slots=True)
class _Table:
    connection: duckdb.DuckDBPyConnection
    plan: Plan
    experiment: Experiment
    now: int

    def _rows(self, query: str, **values: object) -> list[tuple[Any, ...]]:
        named = {name: value for name, value in values.items() if f"${name}" in query}
        return self.connection.execute(query, named).fetchall()

    def _count(self, query: str, **values: object) -> int:
        return int(self._rows(query, **values)[0][0])

    def _closing(self) -> int:
        """A unit is closed when the longest window has passed, so that all metrics have the same units."""
        return max(primary.metric.window for primary in self.experiment.decision.primary) * _SECOND

    def progress(self) -> Progress:
        experiment, rule = self.experiment, self.experiment.decision
        of_experiment = {"experiment": experiment.id, "kind": experiment.unit.kind}
        self._rows(queries.UNITS, **of_experiment)
        phase = {"phase": experiment.phase}
        started = self._rows(queries.STARTED, **phase)[0][0]
        complete = self._rows(queries.SIZE_REACHED, **phase, planned=rule.planned_units)
        decided_at = None
        if complete:
            both = max(complete[0][0] + self._closing(), started + rule.minimum_duration * _SECOND)
            decided_at = both if both <= self.now else None
        until = self.now if decided_at is None else decided_at
        phases = self._rows(queries.PHASES)
        other_kinds = self._count(queries.OTHER_KINDS, **of_experiment)
        return Progress(
            started=started,
            exposed=dict(self._rows(queries.EXPOSED, **phase, until=until)),
            closed=self._count(queries.CLOSED, **phase, window=self._closing(), until=until),
            other_phases=sum(units for other, units in phases if other != experiment.phase) + other_kinds,
            other_plans=self._count(queries.OTHER_PLANS, **of_experiment, **phase, plan=self.plan.digest),
            keys=tuple(key for (key,) in self._rows(queries.KEYS)),
            stored=tuple(name for (name,) in self._rows(queries.STORED)),
            decided_at=decided_at,
        )

    def measure(self, metric: Metric, until: int) -> Measured:
        of_outcome = {"kind": self.experiment.unit.kind, "outcome": metric.outcome, "value": metric.value}
        window = metric.window * _SECOND
        closed = {"phase": self.experiment.phase, "closing": self._closing(), "until": until}
        self._rows(queries.VALUES, **of_outcome, **closed, window=window)
        samples: dict[str, Proportion | Moments] = {}
        if metric.kind is MetricKind.PROPORTION:
            samples = {arm.id: Proportion() for arm in self.experiment.arms}
            for arm, units, successes in self._rows(queries.PROPORTIONS):
                samples[arm] = Proportion(units, successes)
        else:
            shift = self._rows(queries.SHIFT)[0][0]
            samples = {arm.id: Moments(shift) for arm in self.experiment.arms}
            for arm, units, total, squares in self._rows(queries.MOMENTS, shift=shift):
                samples[arm] = Moments(shift, units, total, squares)
        names = tuple(name for (name,) in self._rows(queries.OUTCOME_NAMES))
        counts = self._rows(queries.STRAY, **of_outcome, window=window)[0]
        return Measured(metric, samples, Stray(names, *counts))


def value_of(sample: Proportion | Moments) -> float | NotEstimable:
    """The sample's estimate, in the metric's unit."""
    return sample.value() if isinstance(sample, Proportion) else sample.mean()


def _compare(
    primary: Primary, measured: Measured, arm_id: str, experiment: Experiment, alpha: float
) -> Compared:
    arm = next(arm for arm in experiment.arms if arm.id == arm_id)
    control, treatment = measured.samples[experiment.control.id], measured.samples[arm.id]
    comparison: Comparison
    if isinstance(control, Proportion) and isinstance(treatment, Proportion):
        comparison = compare_proportions(control, treatment, alpha)
    elif isinstance(control, Moments) and isinstance(treatment, Moments):
        comparison = compare_means(control, treatment, alpha)
    else:
        raise TypeError("one metric has one kind of sample")
    base = value_of(control)
    return Compared(primary, arm, None if isinstance(base, NotEstimable) else base, comparison)
