"""What was measured and the rule -> what each metric of each arm says, by the method of the plan; pure.

The two-sided error rates (`alpha`) of the intervals:

| role | alpha |
|---|---|
| primary | the plan's, divided by arms and primaries (Bonferroni); with gatekeeping by arms alone |
| guardrail, to pass | the plan's: a trial ships only if all pass, so that no correction is needed |
| guardrail, to roll back | the plan's, divided by arms and guardrails: any one of them may do it |
| secondary | the plan's |

p-values of primaries are adjusted by Holm's procedure over arms and primaries, of secondaries by Benjamini
and Hochberg's. With gatekeeping that of a primary is the largest of its own and the ones before it, of one
arm, times the number of arms.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from meshtrial.analysis.group_looks import is_futile, latest_look
from meshtrial.analysis.measured import LookedAt, Measured
from meshtrial.plan.inference import (
    DecisionRule,
    Direction,
    Guardrail,
    Margin,
    Method,
    Metric,
    Primary,
    Scale,
    Secondary,
)
from meshtrial.plan.model import DEFAULT_COHORT, Arm, Experiment
from meshtrial.stats.contrast import Contrast, Contrasted
from meshtrial.stats.estimate import Comparison, Difference, Interval, NotEstimable
from meshtrial.stats.fixed import fixed
from meshtrial.stats.multiplicity import benjamini_hochberg, bonferroni, holm
from meshtrial.stats.proportion import compare_proportions, share_interval
from meshtrial.stats.rare import always_bounded, nobody_had_it
from meshtrial.stats.sequence import confidence_sequence
from meshtrial.stats.stratified import compare_stratified_proportions

Entry: TypeAlias = Primary | Guardrail | Secondary


class Role(StrEnum):
    """What a metric is for."""

    PRIMARY = "primary"
    GUARDRAIL = "guardrail"
    SECONDARY = "secondary"


@dataclass(frozen=True, slots=True)
class Finding:
    """One metric of one arm, as the latest look has it."""

    role: Role
    entry: Entry
    arm: Arm
    alpha: float
    """Two-sided error rate of the interval."""
    comparison: Comparison
    """Against control."""
    beyond: Comparison | None
    """Of a guardrail, and of a primary with `require_above`: the effect beyond the margin, so that 0 is what
    is tested; None where there is no margin."""
    harm: Comparison | None
    """Of a guardrail: the same at the error rate at which it rolls back."""
    measured: Measured
    plain: Comparison | None = None
    """The comparison without covariates; None where the plan has none."""
    adjusted_p: float | None = None
    """p-value adjusted for the other comparisons of its role; None of a guardrail."""
    futile: bool = False
    """Whether a group-sequential trial may be given up for want of this effect: not binding."""

    @property
    def metric(self) -> Metric:
        """What was measured."""
        return self.entry.metric

    @property
    def sign(self) -> int:
        """1 where more is better, or where neither way is; else -1."""
        return -1 if self.entry.direction is Direction.DOWN else 1

    @property
    def is_significant(self) -> bool:
        """Whether a design that has a test of its own rejects by it; True of others, whose interval tells."""
        return self.measured.p_value is None or self.measured.p_value < self.alpha

    def gain(self, comparison: Comparison | None) -> Interval | None:
        """An interval with better as up; None where there is none."""
        if not isinstance(comparison, Difference):
            return None
        low, high = comparison.interval.low, comparison.interval.high
        return Interval(low, high) if self.sign > 0 else Interval(-high, -low)

    def in_units(self, margin: Margin) -> float:
        """A margin in the metric's unit, above 0; a relative one is a share of control's value."""
        if margin.scale is Scale.ABSOLUTE:
            return margin.value
        contrast, values = self.measured.contrast, self.measured.values
        known = values[0] if values is not None else 0.0
        return margin.value * abs(contrast.control if isinstance(contrast, Contrast) else known)


def findings_of(
    experiment: Experiment, looks: Sequence[LookedAt], *, p_values: bool = True
) -> tuple[Finding, ...]:
    """What the latest of the looks says: primaries, guardrails, secondaries, each of every arm in plan order.

    Args:
        experiment: What is judged.
        looks: At least one, in order.
        p_values: Whether there are any: intervals decide, and p-values of many looks take long. Else those of
            a group-sequential trial are NaN, and none is adjusted.
    """
    judge = _Judge(experiment, looks, p_values)
    rule, arms = experiment.decision, experiment.treatments()
    alpha = rule.alpha
    primaries = [judge.primary(e, arm, primary_alpha(experiment)) for e in rule.primary for arm in arms]
    several = len(arms) * len(rule.guardrails)
    guardrails = [judge.guardrail(e, arm, alpha, alpha / several) for e in rule.guardrails for arm in arms]
    secondaries = [judge.secondary(e, arm, alpha) for e in rule.secondary for arm in arms]
    if not p_values:
        return (*primaries, *guardrails, *secondaries)
    adjusted = _in_order(primaries, len(arms)) if rule.gatekeeping else _adjusted(primaries, holm)
    return (*adjusted, *guardrails, *_adjusted(secondaries, benjamini_hochberg))


def primary_alpha(experiment: Experiment) -> float:
    """Two-sided error rate of the interval of a primary."""
    rule = experiment.decision
    return rule.alpha / (len(experiment.treatments()) * (1 if rule.gatekeeping else len(rule.primary)))


def tuned_for(experiment: Experiment, arm: Arm) -> float:
    """`Measured.time` with the planned units: where a confidence sequence is narrowest.

    By the arms' weights whatever the ramp: it must be the same at every look.
    """
    split = experiment.split(DEFAULT_COHORT)
    s0, s1 = (experiment.width(a, split) / experiment.bucketing.buckets for a in (experiment.control, arm))
    return max(1.0, experiment.decision.planned_units * (s0 * s1 / (s0 + s1) if s0 and s1 else 0.25))


def _adjusted(
    findings: Sequence[Finding], procedure: Callable[[Sequence[float]], Sequence[float]]
) -> list[Finding]:
    """With p-values adjusted for each other; what cannot be estimated was asked all the same, and is 1."""
    adjusted = procedure([_p_value(finding) for finding in findings])
    return [_with_p(finding, p) for finding, p in zip(findings, adjusted, strict=True)]


def _in_order(primaries: Sequence[Finding], arms: int) -> list[Finding]:
    """With gatekeeping: of each arm the largest p-value so far, by Bonferroni over the arms."""
    least: dict[str, float] = {}
    found = []
    for finding in primaries:
        least[finding.arm.id] = max(_p_value(finding), least.get(finding.arm.id, 0.0))
        found.append(_with_p(finding, bonferroni([least[finding.arm.id]] + [1.0] * (arms - 1))[0]))
    return found


def _p_value(finding: Finding) -> float:
    return finding.comparison.p_value if isinstance(finding.comparison, Difference) else 1.0


def _with_p(finding: Finding, adjusted: float) -> Finding:
    told = isinstance(finding.comparison, Difference)
    return replace(finding, adjusted_p=float(adjusted) if told else None)


@dataclass(frozen=True, slots=True)
class _Judge:
    """The looks of one experiment under its rule."""

    experiment: Experiment
    looks: Sequence[LookedAt]
    p_values: bool

    @property
    def rule(self) -> DecisionRule:
        return self.experiment.decision

    def primary(self, entry: Primary, arm: Arm, alpha: float) -> Finding:
        finding = self._finding(Role.PRIMARY, entry, arm, alpha)
        least = entry.require_above
        beyond = None
        if least is not None:
            beyond = self._compared(finding, alpha, margin=(finding.sign * least.value, least.scale))
        return replace(finding, beyond=beyond, futile=self._is_futile(finding, entry, alpha))

    def guardrail(self, entry: Guardrail, arm: Arm, alpha: float, harm_alpha: float) -> Finding:
        finding = self._finding(Role.GUARDRAIL, entry, arm, alpha)
        margin = (-finding.sign * entry.margin.value, entry.margin.scale)
        return replace(
            finding,
            beyond=self._compared(finding, alpha, margin=margin),
            harm=self._compared(finding, harm_alpha, margin=margin),
        )

    def secondary(self, entry: Secondary, arm: Arm, alpha: float) -> Finding:
        return self._finding(Role.SECONDARY, entry, arm, alpha)

    def _finding(self, role: Role, entry: Entry, arm: Arm, alpha: float) -> Finding:
        measured = self.looks[-1].measured[entry.metric.id, arm.id]
        empty = Finding(role, entry, arm, alpha, NotEstimable(""), None, None, measured)
        found = replace(empty, comparison=self._compared(empty, alpha))
        if not entry.metric.covariates:
            return found
        without = [seen.unadjusted or seen.contrast for seen in self._seen(found)]
        return replace(found, plain=self._told(found, without, alpha))

    def _seen(self, finding: Finding) -> list[Measured]:
        return [look.measured[finding.metric.id, finding.arm.id] for look in self.looks]

    def _compared(
        self, finding: Finding, alpha: float, margin: tuple[float, Scale] | None = None
    ) -> Comparison:
        """The effect, or what it is beyond a margin."""
        found = self._told(finding, [m.contrast for m in self._seen(finding)], alpha, margin)
        if finding.role is not Role.GUARDRAIL or isinstance(found, Difference):
            return found
        bounds = self._rare(finding.measured, alpha)
        if bounds is None or isinstance(bounds, NotEstimable):
            return found
        if margin is None:
            return bounds
        return _moved(bounds, margin[0]) if margin[1] is Scale.ABSOLUTE else found

    def _rare(self, measured: Measured, alpha: float) -> Comparison | None:
        """Of a guardrail: bounds by counts alone; None where there are none."""
        if not measured.rare:
            return None
        match self.rule.method:
            case Method.FIXED:
                return nobody_had_it(measured.rare, alpha)
            case Method.GROUP_SEQUENTIAL:
                # No information, so no bound by it: look k has alpha / (k (k + 1)), all of them alpha.
                taken = len(self.looks)
                return nobody_had_it(measured.rare, alpha / (taken * (taken + 1)))
            case Method.SEQUENTIAL:
                return always_bounded(measured.rare, alpha, measured.early_p)

    def _told(
        self,
        finding: Finding,
        contrasts: Sequence[Contrasted],
        alpha: float,
        margin: tuple[float, Scale] | None = None,
    ) -> Comparison:
        """By the plan's method; of what is beyond a margin only the interval is asked."""
        measured, moved = finding.measured, [_beyond(contrast, margin) for contrast in contrasts]
        match self.rule.method:
            case Method.FIXED:
                return _fixed(measured, contrasts[-1], alpha, margin)
            case Method.SEQUENTIAL:
                if measured.too_early is not None:
                    return measured.too_early
                tuned = tuned_for(self.experiment, finding.arm)
                return confidence_sequence(moved[-1], alpha, tuned, measured.time)
            case Method.GROUP_SEQUENTIAL:
                shown = self.p_values and margin is None
                found = latest_look(self.rule, self.looks, moved, alpha, p_value=shown)
                return _as_share(found, measured, contrasts[-1], margin)

    def _is_futile(self, finding: Finding, entry: Primary, alpha: float) -> bool:
        if isinstance(finding.measured.contrast, NotEstimable):
            return False
        effect = finding.sign * finding.in_units(entry.minimum_effect)
        contrasts = [measured.contrast for measured in self._seen(finding)]
        return is_futile(self.rule, self.looks, contrasts, alpha, effect)


def _beyond(contrast: Contrasted, margin: tuple[float, Scale] | None) -> Contrasted:
    if isinstance(contrast, NotEstimable) or margin is None:
        return contrast
    value, scale = margin
    if scale is Scale.RELATIVE:
        return contrast.above(math.copysign(value, value * contrast.control), relative=True)
    return contrast.above(value, relative=False)


def _moved(found: Difference, margin: float) -> Difference:
    """What is beyond a margin, in the metric's unit."""
    low, high = found.interval.low - margin, found.interval.high - margin
    return replace(found, effect=found.effect - margin, interval=Interval(low, high))


def _fixed(
    measured: Measured, contrast: Contrasted, alpha: float, margin: tuple[float, Scale] | None
) -> Comparison:
    """One look."""
    if measured.strata and margin is None:
        if len(measured.strata) == 1:
            return compare_proportions(measured.strata[0].control, measured.strata[0].treatment, alpha)
        return compare_stratified_proportions(measured.strata, alpha)
    found = fixed(_beyond(contrast, margin), alpha)
    if isinstance(contrast, NotEstimable) or isinstance(found, NotEstimable):
        return found
    if margin is None and measured.p_value is not None:
        found = replace(found, p_value=measured.p_value)
    return _as_share(found, measured, contrast, margin)


def _as_share(
    found: Comparison, measured: Measured, contrast: Contrasted, margin: tuple[float, Scale] | None
) -> Comparison:
    """With the interval of shares, as wide in standard errors as the plain one; what is no share as it is.

    Args:
        found: Of what is beyond the margin, with a plain interval.
        measured: What the contrast is of.
        contrast: Without the margin.
        margin: None for the effect itself.
    """
    moved = _beyond(contrast, margin)
    if measured.alike is None or not isinstance(found, Difference):
        return found
    if isinstance(contrast, NotEstimable) or isinstance(moved, NotEstimable):
        return found
    if not (0 <= contrast.control <= 1 and 0 <= contrast.treatment <= 1):
        return found  # moved there by covariates
    critical = (found.interval.high - found.interval.low) / 2 / moved.error
    value, scale = margin if margin is not None else (0.0, Scale.ABSOLUTE)
    interval = share_interval(contrast, measured.alike, critical, value, relative=scale is Scale.RELATIVE)
    return replace(found, interval=interval)
