"""A judged trial -> what is shown beside its verdict: effects over time and by groups of units.

Nothing here decides. Under `fixed` and `group_sequential` it is shown once the trial is over: a curve with
intervals of its own, or an effect by stratum, is a second chance to stop on a good day. A sequential trial
may be looked at any time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from meshtrial.analysis.breakdown import Breakdown, adjusted, breakdown_of
from meshtrial.analysis.caps import unsettled
from meshtrial.analysis.carryover import Carryover, former_balance, former_counts, keep_former_arms
from meshtrial.analysis.findings import primary_alpha, tuned_for
from meshtrial.analysis.holdout import Holdout, first_held, holdout_of
from meshtrial.analysis.judged import Judged
from meshtrial.analysis.layer_mates import layer_mates
from meshtrial.analysis.measured import Key
from meshtrial.analysis.neighbours import SpillOver, spill_overs
from meshtrial.analysis.over_time import Course, course_of
from meshtrial.analysis.post_strata import PostStratified, post_stratified
from meshtrial.analysis.properties import FORMER_ARM, day_of_exposure, divide, fields_of
from meshtrial.analysis.shown import Shown
from meshtrial.analysis.since import Since, gather_daily, since_of
from meshtrial.analysis.told import Telling
from meshtrial.plan.inference import DecisionRule, Method, Metric, MetricKind
from meshtrial.plan.model import Experiment, Plan
from meshtrial.stats.estimate import NotEstimable


@dataclass(frozen=True, slots=True)
class Beside:
    """What is shown; all of it empty while it is withheld."""

    withheld: str | None
    """Why nothing is shown, or None."""
    courses: Mapping[Key, Course | NotEstimable]
    """By metric and arm, of each primary."""
    since: Mapping[Key, Since]
    """By metric and arm, of primaries with daily outcomes over two days or more."""
    breakdowns: tuple[Breakdown, ...]
    """By the plan's strata, and cohorts with weights of their own."""
    post_stratified: Mapping[Key, PostStratified | NotEstimable]
    """By metric and arm, where the plan has strata."""
    carryover: Carryover | None
    """Where units had other experiments of the layer before."""
    holdout: Holdout | None
    """Where units of the layer are held out."""
    spill_overs: tuple[SpillOver, ...]
    """Where the plan names groups' neighbours."""


def beside_of(shown: Shown, plan: Plan, closed: int) -> Beside:
    """Everything beside the verdict.

    Args:
        shown: The trial, up to where `shown_until` lets it be shown.
        plan: The plan in force.
        closed: Units first seen before are final now, nanoseconds since 1970.
    """
    return _Beside(shown, plan, closed).beside()


def shown_until(judged: Judged) -> int | NotEstimable:
    """Up to where units may be shown by day and group, nanoseconds since 1970; or why not at all."""
    if judged.look is None:
        return NotEstimable(judged.case.withheld or "there is no look yet")
    if judged.case.rule.method is Method.SEQUENTIAL:
        return judged.look.look.cut
    if judged.stopped is None:
        return NotEstimable("shown once the trial is over")
    return judged.stopped.cut


def nothing_beside(withheld: str) -> Beside:
    """While nothing may be shown."""
    return Beside(withheld, {}, {}, (), {}, None, None, ())


@dataclass(frozen=True, slots=True)
class _Beside:
    shown: Shown
    plan: Plan
    closed: int

    def beside(self) -> Beside:
        primaries = [primary.metric for primary in self.rule.primary]
        refused = {metric: reason for metric in primaries if (reason := self._refused(metric)) is not None}
        told = [metric for metric in primaries if metric not in refused]
        arms = [arm.id for arm in self.experiment.treatments()]
        courses: dict[Key, Course | NotEstimable] = {
            (metric.id, arm): reason for metric, reason in refused.items() for arm in arms
        }
        for metric in told:
            courses.update(self._courses(metric))
        return Beside(
            None,
            courses,
            self._since(told),
            self._breakdowns(told),
            self._post_stratified(told),
            self._carryover(told),
            self._holdout(),
            self._spill_overs(),
        )

    @property
    def experiment(self) -> Experiment:
        return self.shown.experiment

    @property
    def rule(self) -> DecisionRule:
        return self.experiment.decision

    @property
    def by_unit(self) -> bool:
        return self.experiment.unit.group_kind is None and self.experiment.unit.switchback is None

    @property
    def once(self) -> Telling:
        return Telling(self.rule.alpha)

    def _refused(self, metric: Metric) -> NotEstimable | None:
        if metric.kind is MetricKind.QUANTILE:
            return NotEstimable("quantiles are not told by parts of the units")
        if self.experiment.unit.switchback is not None:
            return NotEstimable("a switchback is judged as a whole: its windows are not told by parts")
        return unsettled(metric, self.shown.gathered, self.shown.cut)

    def _tuned_for(self, arm_id: str) -> float:
        arm = self.experiment.arm(arm_id)
        return tuned_for(self.experiment, arm or self.experiment.control)

    def _by_value(self, arm: str) -> Telling:
        """A sequential trial is looked at many times."""
        if self.rule.method is not Method.SEQUENTIAL:
            return self.once
        return Telling(self.rule.alpha, self._tuned_for(arm))

    def _courses(self, metric: Metric) -> Mapping[Key, Course]:
        alpha = primary_alpha(self.experiment)
        days = divide(self.shown, metric, day_of_exposure(self.shown.clock))
        return {
            (metric.id, arm): course_of(of_arm, Telling(alpha, self._tuned_for(arm)), self.once)
            for arm, of_arm in days.items()
        }

    def _since(self, metrics: Sequence[Metric]) -> Mapping[Key, Since]:
        if not self.by_unit:
            return {}
        clock, daily = self.shown.clock, gather_daily(self.shown, metrics)
        return {
            (metric.id, arm.id): since_of(sums, (self.experiment.control.id, arm.id), clock, self.once)
            for metric, sums in daily.items()
            for arm in self.experiment.treatments()
        }

    def _breakdowns(self, metrics: Sequence[Metric]) -> tuple[Breakdown, ...]:
        return adjusted(
            breakdown_of(field.name, metric.id, arm, slices, self._by_value(arm))
            for field in fields_of(self.experiment)
            for metric in metrics
            for arm, slices in divide(self.shown, metric, field).items()
        )

    def _post_stratified(self, metrics: Sequence[Metric]) -> Mapping[Key, PostStratified | NotEstimable]:
        if not self.experiment.strata or not self.by_unit:
            return {}
        control = self.experiment.control.id
        return {
            (metric.id, arm.id): post_stratified(
                metric, self.shown.days[metric.id], (control, arm.id), self.shown.clock
            )
            for metric in metrics
            for arm in self.experiment.treatments()
        }

    def _carryover(self, metrics: Sequence[Metric]) -> Carryover | None:
        if self.experiment.layer is None or not (mates := self._mates()):
            return None
        keep_former_arms(self.shown, mates)
        counts = former_counts(self.shown)
        units = sum(sum(counts[former].values()) for former in counts if former)
        breakdowns = adjusted(
            breakdown_of(FORMER_ARM.name, metric.id, arm, slices, self._by_value(arm))
            for metric in (metrics if units else ())
            for arm, slices in divide(self.shown, metric, FORMER_ARM).items()
        )
        return Carryover(mates, units, former_balance(counts), breakdowns)

    def _holdout(self) -> Holdout | None:
        layer = self.experiment.layer
        if layer is None or not layer.holdout or not self.by_unit:
            return None
        since = first_held(self.shown, self._mates())
        return holdout_of(replace(self.shown, cut=self.closed), since) if since else None

    def _mates(self) -> tuple[str, ...]:
        return layer_mates(self.shown.engine, self.plan, self.experiment)

    def _spill_overs(self) -> tuple[SpillOver, ...]:
        if self.experiment.neighbours is None:
            return ()
        return spill_overs(self.shown, primary_alpha(self.experiment))
