"""Looks and health -> the judgement of a trial, look by look; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from meshtrial.analysis.decision import Case, Ruling, Verdict, decide_trial
from meshtrial.analysis.findings import Finding, findings_of
from meshtrial.analysis.gathered import Gathered
from meshtrial.analysis.measured import LookedAt
from meshtrial.analysis.signs import Signs
from meshtrial.analysis.timeline import Timeline
from meshtrial.plan.inference import DecisionRule, Method
from meshtrial.plan.model import Experiment

_SECOND = 10**9


@dataclass(frozen=True, slots=True)
class Judged:
    """What a report says of a trial, but for how it says it."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    """By the look that the verdict stands on, or the latest; empty where there is none."""
    looks: tuple[LookedAt, ...]
    """Those that count: up to the one at which the trial stopped."""
    withheld: str | None
    """Why no look may decide; None where one does."""

    @property
    def look(self) -> LookedAt | None:
        """The look that everything is by."""
        return self.looks[-1] if self.looks else None


def judge(
    experiment: Experiment,
    timeline: Timeline,
    looks: Sequence[LookedAt],
    unhealthy: tuple[str, ...],
    reason: str,
) -> Judged:
    """Judge each look in turn by what was known then; the first that does not say wait is the last.

    Args:
        experiment: Its rule decides.
        timeline: When looks were taken.
        looks: What was measured at each of them.
        unhealthy: Failed health checks, as sentences.
        reason: Why there is no look, should there be none.
    """
    rule = experiment.decision
    if not looks:
        verdict = decide_trial(Case(rule, unhealthy, reason, (), old_enough=False, last=False))
        return Judged(verdict, (), (), reason)
    for count, looked in enumerate(looks, 1):
        findings = findings_of(experiment, looks[:count])
        old_enough = _is_old_enough(timeline, rule, looked)
        verdict = decide_trial(Case(rule, unhealthy, None, findings, old_enough, looked.look.last))
        if count == len(looks) or verdict.decision not in {Ruling.WAIT, Ruling.UNHEALTHY}:
            return Judged(verdict, findings, tuple(looks[:count]), None)
    raise AssertionError("the last look always returns")


def _is_old_enough(timeline: Timeline, rule: DecisionRule, looked: LookedAt) -> bool:
    if timeline.started is None:
        return False
    return looked.look.taken >= timeline.started + rule.minimum_duration * _SECOND


def withheld_by(timeline: Timeline, rule: DecisionRule, empty: str, units: int) -> str:
    """Why a trial may not be looked at yet.

    A fixed-sample trial may be once: looking earlier and stopping on a good day is what makes false
    discoveries (Armitage, McPherson & Rowe 1969: five looks at 5% give 14%).
    """
    if timeline.started is None:
        return empty
    if rule.method is Method.SEQUENTIAL or (units >= rule.planned_units):
        ends = datetime.fromtimestamp(timeline.started / _SECOND + rule.minimum_duration, UTC)
        if units:
            return f"the minimum duration ends at {ends:%Y-%m-%d %H:%M:%S} UTC"
        return "no unit's window has closed yet"
    return f"{units:,} of {rule.planned_units:,} planned units have closed windows"


def nobody(experiment: Experiment, gathered: Gathered, signs: Signs) -> str:
    """Why there is no unit, as far as the store tells."""
    others = sum(gathered.exposed.values()) + signs.other_kinds
    if others:
        return f"no unit was exposed under the present allocation, {others:,} were under another"
    if signs.stored and experiment.id not in signs.stored:
        return f"the store has no exposure of {experiment.id}, but of {', '.join(signs.stored)}"
    return "no unit was exposed yet"
