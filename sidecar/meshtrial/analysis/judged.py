"""Looks and health -> the judgement of a trial, look by look; pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from meshtrial.analysis.decision import Case, Ruling, Verdict, decide_trial
from meshtrial.analysis.findings import Finding, findings_of
from meshtrial.analysis.gathered import Gathered
from meshtrial.analysis.measured import LookedAt
from meshtrial.analysis.signs import Signs
from meshtrial.analysis.timeline import Look, Timeline
from meshtrial.plan.inference import DecisionRule, Method
from meshtrial.plan.model import Experiment

_SECOND = 10**9


@dataclass(frozen=True, slots=True)
class Judged:
    """What a report says of a trial, but for how it says it."""

    verdict: Verdict
    case: Case
    """What the verdict stands on: by the look that decided, or the latest."""
    looks: tuple[LookedAt, ...]
    """Those that count: up to the one at which the trial stopped."""
    stopped: Look | None
    """The look that ended the trial: it decided, or was the last one; None while the trial goes on."""

    @property
    def look(self) -> LookedAt | None:
        """The look that everything is by."""
        return self.looks[-1] if self.looks else None

    @property
    def cut(self) -> int | None:
        """Where a trial that is over was cut, nanoseconds since 1970; a sequential one is never over."""
        is_over = self.stopped is not None and self.case.rule.method is not Method.SEQUENTIAL
        return self.stopped.cut if self.stopped is not None and is_over else None

    def with_health(self, unhealthy: tuple[str, ...]) -> "Judged":
        """The same trial with the health checks that failed, as sentences: it may have another verdict."""
        case = replace(self.case, unhealthy=unhealthy)
        return replace(self, verdict=decide_trial(case), case=case)


def judge(experiment: Experiment, timeline: Timeline, looks: Sequence[LookedAt], reason: str) -> Judged:
    """Judge each look in turn by what was known then; the first that does not say wait is the last.

    Args:
        experiment: Its rule decides.
        timeline: When looks were taken.
        looks: What was measured at each of them.
        reason: Why there is no look, should there be none.
    """
    rule = experiment.decision
    if not looks:
        case = Case(rule, (), reason, (), old_enough=False, last=False)
        return Judged(decide_trial(case), case, (), None)
    for count, looked in enumerate(looks, 1):
        findings = findings_of(experiment, looks[:count], p_values=False)
        case = Case(rule, (), None, findings, _is_old_enough(timeline, rule, looked), looked.look.last)
        verdict = decide_trial(case)
        goes_on = verdict.decision is Ruling.WAIT and not looked.look.last
        if count == len(looks) or not goes_on:
            shown = replace(case, findings=findings_of(experiment, looks[:count]))
            return Judged(verdict, shown, tuple(looks[:count]), None if goes_on else looked.look)
    raise AssertionError("the last look always returns")


@dataclass(frozen=True, slots=True)
class Peek:
    """What units that may not be looked at yet would say: it decides nothing."""

    look: LookedAt
    findings: tuple[Finding, ...]
    """By plain intervals of one look, which hold for whoever looks once."""


def peek_cut(judged: Judged, timeline: Timeline) -> int | None:
    """Where a peek is cut, with units that are final and in no look yet; None where there are none."""
    seen = judged.look.look.cut if judged.look is not None else timeline.started
    hidden = seen is not None and seen < timeline.closed
    if judged.case.rule.method is Method.SEQUENTIAL or judged.stopped is not None or not hidden:
        return None
    return timeline.closed


def peek_at(experiment: Experiment, look: LookedAt) -> Peek:
    """What one look outside of the plan would say."""
    once = replace(experiment.decision, method=Method.FIXED, looks=None, boundary=None, futility=None)
    return Peek(look, findings_of(replace(experiment, decision=once), [look]))


def _is_old_enough(timeline: Timeline, rule: DecisionRule, looked: LookedAt) -> bool:
    if timeline.started is None:
        return False
    return looked.look.cut >= timeline.started + rule.minimum_duration * _SECOND


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
            return f"the minimum duration ends at {ends:%Y-%m-%d %H:%M:%S} UTC; then windows must close"
        return "no unit's window has closed yet"
    return f"{units:,} of {rule.planned_units:,} planned units have closed windows"


def nobody(experiment: Experiment, gathered: Gathered, signs: Signs) -> str:
    """Why there is no unit, as far as the store tells."""
    present = sum(units for key, units in gathered.exposed.items() if key.phase == experiment.phase)
    if present:
        return (
            f"none of the {present:,} units exposed under the present allocation can be compared: see"
            " one_plan and one_allocation"
        )
    others = sum(gathered.exposed.values()) + signs.other_kinds
    if others:
        return f"no unit was exposed under the present allocation, {others:,} were under another"
    if signs.stored and experiment.id not in signs.stored:
        return f"the store has no exposure of {experiment.id}, but of {', '.join(signs.stored)}"
    return "no unit was exposed yet"
