"""Tables -> Evidence: the one place of the analysis that asks the engine."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from meshtrial.analysis import queries
from meshtrial.analysis.compare import compare, shared_cohorts
from meshtrial.analysis.evidence import (
    Compared,
    Evidence,
    Measured,
    Progress,
    Sample,
    Stray,
    unsupported,
)
from meshtrial.plan.inference import Metric, MetricKind
from meshtrial.plan.model import Experiment, Plan
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.moments import Moments
from meshtrial.stats.proportion import Proportion

_SECOND = 1_000_000_000


def gather(connection: duckdb.DuckDBPyConnection, plan: Plan, experiment: Experiment, now: int) -> Evidence:
    """Reduce a store to the evidence on one experiment.

    Units count from their first exposure in the present phase, in the cohort of that exposure. The data, and
    the units that the health checks count, are cut where planned size and minimum duration were first both
    met, so that a later report says the same; before that all closed units are taken, for whoever peeks.

    Args:
        connection: Has the view `otel_traces`.
        plan: The present plan.
        experiment: One of its experiments.
        now: Nanoseconds since 1970.
    """
    table = _Table(connection, plan, experiment, now)
    progress = table.progress()
    rule = experiment.decision
    pairs = [(p, arm) for p in rule.primary for arm in experiment.treatments()]
    alpha = rule.alpha / len(pairs)
    refusal = unsupported(experiment)
    if refusal is not None:
        unmeasured = tuple(Measured(primary.metric, {}, None) for primary in rule.primary)
        nothing = tuple(Compared(p, arm, None, NotEstimable(refusal)) for p, arm in pairs)
        return Evidence(experiment, progress, unmeasured, alpha, nothing)
    until = now if progress.decided_at is None else progress.decided_at
    measured = {primary: table.measure(primary.metric, until) for primary in rule.primary}
    compared = tuple(compare(p, measured[p], arm, experiment, alpha) for p, arm in pairs)
    return Evidence(experiment, progress, tuple(measured.values()), alpha, compared)


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

    def _counts(self, query: str, **values: object) -> Mapping[str, Mapping[str, int]]:
        counts: dict[str, dict[str, int]] = {}
        for cohort, arm, units in self._rows(query, **values):
            counts.setdefault(cohort, {})[arm] = units
        return counts

    def _closing(self) -> int:
        """A unit is closed when the longest window has passed, so that all metrics have the same units."""
        return max(primary.metric.window.end for primary in self.experiment.decision.primary) * _SECOND

    def progress(self) -> Progress:
        experiment, rule = self.experiment, self.experiment.decision
        unit, several = experiment.unit, len(experiment.splits) > 1
        of_experiment = {"experiment": experiment.id, "kind": unit.kind}
        switchback, grouped = unit.switchback is not None, unit.group_kind is not None
        self._rows(queries.WINDOWS if switchback else queries.UNITS, **of_experiment, several=several)
        if grouped:
            self._rows(queries.GROUPS, **of_experiment, several=several)
        phase = {"phase": experiment.phase}
        shared = list(shared_cohorts(experiment))
        started = self._rows(queries.STARTED, **phase)[0][0]
        complete = self._rows(queries.SIZE_REACHED, **phase, planned=rule.planned_units, shared=shared)
        decided_at = None
        if complete:
            both = max(complete[0][0] + self._closing(), started + rule.minimum_duration * _SECOND)
            decided_at = both if both <= self.now else None
        until = self.now if decided_at is None else decided_at
        cut = {**of_experiment, **phase, "until": until}
        phases = self._rows(queries.PHASES)
        other_kinds = self._count(queries.OTHER_KINDS, **of_experiment)
        return Progress(
            started=started,
            exposed=self._counts(queries.EXPOSED, **phase, until=until),
            groups=self._counts(queries.EXPOSED_GROUPS, **phase, until=until) if grouped else {},
            closed=self._count(queries.CLOSED, **cut, closing=self._closing(), shared=shared),
            other_phases=sum(units for other, units in phases if other != experiment.phase) + other_kinds,
            other_plans=self._count(queries.OTHER_PLANS, **of_experiment, **phase, plan=self.plan.digest),
            moved=self._count(queries.MOVED, **cut) if several else 0,
            forced=0 if switchback else self._count(queries.FORCED, **cut),
            keys=tuple(key for (key,) in self._rows(queries.KEYS)),
            stored=tuple(name for (name,) in self._rows(queries.STORED)),
            decided_at=decided_at,
        )

    def measure(self, metric: Metric, until: int) -> Measured:
        of_outcome = {
            "kind": self.experiment.unit.kind,
            "outcome": metric.events.outcome,
            "value": metric.events.field,
        }
        window = metric.window.end * _SECOND
        shared = shared_cohorts(self.experiment)
        closed = {"phase": self.experiment.phase, "closing": self._closing(), "until": until}
        self._rows(queries.VALUES, **of_outcome, **closed, window=window, shared=list(shared))
        found: dict[tuple[str, str], Sample]
        empty: Sample
        if metric.kind is MetricKind.PROPORTION:
            rows = self._rows(queries.PROPORTIONS)
            empty = Proportion()
            found = {(cohort, arm): Proportion(*counts) for cohort, arm, *counts in rows}
        else:
            shift = self._rows(queries.SHIFT)[0][0]
            rows = self._rows(queries.MOMENTS, shift=shift)
            empty = Moments(shift)
            found = {(cohort, arm): Moments(shift, *sums) for cohort, arm, *sums in rows}
        samples = {c: {a.id: found.get((c, a.id), empty) for a in self.experiment.arms} for c in shared}
        names = tuple(name for (name,) in self._rows(queries.OUTCOME_NAMES))
        counts = self._rows(queries.STRAY, **of_outcome, window=window)[0]
        return Measured(metric, samples, Stray(names, *counts))
