"""Findings -> Verdict: an ordered table of rules, the first that speaks decides; pure.

| rule | decision |
|---|---|
| a health check failed | unhealthy |
| nothing may be looked at yet, or nobody was exposed | wait |
| an arm is beyond the margin of a guardrail | roll_back |
| an arm is worse in a primary, and better in none | keep_control |
| the minimum duration is not reached (`sequential`) | wait |
| an arm is better in a primary, perhaps by the minimum effect, worse in none, within every margin | ship |
| an arm is better in a primary, and every arm is worse in some other | review |
| at the last look an arm is better in a primary, but worse in another or not shown within a margin | review |
| a primary cannot be estimated | wait |
| no arm can have the minimum effect any more, or all are futile | keep_control |
| more looks are to come | wait |
| otherwise | keep_control |

Better and worse are read from the interval: it lies above or below 0, with better as up; or above what the
plan's `require_above` says. "Perhaps by the minimum effect" means that the interval reaches it: to ask that
it lie above has 2.5% power at that effect, not the power that the size was planned for.

A trial of several looks is judged at each in turn, by what was known then, and stops at the first that does
not say wait: later data do not change the verdict.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from meshtrial.analysis.findings import Finding, Role
from meshtrial.analysis.numbers import shown_effect, shown_interval, shown_margin
from meshtrial.plan.inference import DecisionRule, Guardrail, Primary
from meshtrial.stats.estimate import Difference, Interval, NotEstimable


class Ruling(StrEnum):
    """What is to be done; later versions may add more."""

    UNHEALTHY = "unhealthy"
    WAIT = "wait"
    SHIP = "ship"
    KEEP_CONTROL = "keep_control"
    ROLL_BACK = "roll_back"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision, and the sentences that it stands on."""

    decision: Ruling
    reasons: tuple[str, ...]
    arm: str | None = None
    """The arm to ship, to roll back or to review."""
    rule: str = ""
    """Name of the rule that spoke."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is judged."""

    rule: DecisionRule
    unhealthy: tuple[str, ...]
    """Failed health checks, as sentences."""
    withheld: str | None
    """Why there is no look, or none that may decide; None where there is one."""
    findings: tuple[Finding, ...]
    """By the look that is judged; empty where there is none."""
    old_enough: bool
    """Whether the minimum duration is reached."""
    last: bool
    """Whether no more looks are to come."""

    def primaries(self, arm: str) -> list[Finding]:
        """Of one arm, in plan order."""
        return [f for f in self.findings if f.role is Role.PRIMARY and f.arm.id == arm]

    def guardrails(self, arm: str) -> list[Finding]:
        """Of one arm, in plan order."""
        return [f for f in self.findings if f.role is Role.GUARDRAIL and f.arm.id == arm]

    def arms(self) -> list[str]:
        """Ids of the arms that are compared with control, in plan order."""
        return list(dict.fromkeys(f.arm.id for f in self.findings))


def decide_trial(case: Case) -> Verdict:
    """Apply the rules in order."""
    for name, rule in RULES:
        if (verdict := rule(case)) is not None:
            return Verdict(verdict.decision, verdict.reasons, verdict.arm, name)
    raise AssertionError("the last rule always speaks")


def is_better(finding: Finding) -> bool:
    """A primary whose interval lies above 0, or what is required, and reaches the minimum effect."""
    entry, gain = finding.entry, finding.gain(finding.comparison)
    if not isinstance(entry, Primary) or gain is None:
        return False
    beyond = gain if entry.require_above is None else finding.gain(finding.beyond)
    above = beyond is not None and beyond.low > 0
    reached = gain.high >= finding.in_units(entry.minimum_effect)
    return above and gain.low > 0 and reached and finding.is_significant


def is_worse(finding: Finding) -> bool:
    """Whether the interval lies on the worse side of 0."""
    gain = finding.gain(finding.comparison)
    return gain is not None and gain.high < 0 and finding.is_significant


def is_within(finding: Finding) -> bool:
    """A guardrail that is shown not to be worse by its margin: non-inferior."""
    beyond = finding.gain(finding.beyond)
    return beyond is not None and beyond.low > 0


def is_harmful(finding: Finding) -> bool:
    """A guardrail that is shown to be worse by more than its margin."""
    harm = finding.gain(finding.harm)
    return harm is not None and harm.high < 0


def passing(case: Case, arm: str) -> list[Finding]:
    """The primaries that an arm is better in; with gatekeeping up to the first that it is not."""
    better = []
    for finding in case.primaries(arm):
        if is_better(finding):
            better.append(finding)
        elif case.rule.gatekeeping:
            break
    return better


def _unhealthy(case: Case) -> Verdict | None:
    return Verdict(Ruling.UNHEALTHY, case.unhealthy) if case.unhealthy else None


def _withheld(case: Case) -> Verdict | None:
    return Verdict(Ruling.WAIT, (case.withheld,)) if case.withheld is not None else None


def _harm(case: Case) -> Verdict | None:
    for arm in case.arms():
        if harmful := [f for f in case.guardrails(arm) if is_harmful(f)]:
            return Verdict(Ruling.ROLL_BACK, tuple(told(f) for f in harmful), arm)
    return None


def _worse(case: Case) -> Verdict | None:
    arms = case.arms()
    worse = {arm: [f for f in case.primaries(arm) if is_worse(f)] for arm in arms}
    if all(worse[arm] and not passing(case, arm) for arm in arms):
        return Verdict(Ruling.KEEP_CONTROL, tuple(told(f) for arm in arms for f in worse[arm]))
    return None


def _too_young(case: Case) -> Verdict | None:
    if case.old_enough:
        return None
    return Verdict(Ruling.WAIT, ("the minimum duration is not reached", *map(told, case.findings)))


def _winner(case: Case) -> Verdict | None:
    """Of several arms that may ship, the one with the largest effect on the first primary."""
    able = [
        arm
        for arm in case.arms()
        if passing(case, arm)
        and not any(is_worse(f) for f in case.primaries(arm))
        and all(is_within(f) for f in case.guardrails(arm))
    ]
    if not able:
        return None
    best = max(sorted(able), key=lambda arm: _gain(case.primaries(arm)[0]))
    return Verdict(Ruling.SHIP, _all_told(case, best), best)


def _gain(finding: Finding) -> float:
    said = finding.comparison
    return finding.sign * said.effect if isinstance(said, Difference) else float("-inf")


def _mixed(case: Case) -> Verdict | None:
    """While looks are to come, only what they cannot mend: every arm is worse in some primary."""
    arms = case.arms()
    settled = all(any(is_worse(f) for f in case.primaries(arm)) for arm in arms)
    if not case.last and not settled:
        return None
    for arm in arms:
        if passing(case, arm):
            return Verdict(Ruling.REVIEW, _all_told(case, arm), arm)
    return None


def _not_estimable(case: Case) -> Verdict | None:
    reasons = tuple(told(f) for f in case.findings if _is_open(f))
    return Verdict(Ruling.WAIT, reasons) if reasons else None


def _is_open(finding: Finding) -> bool:
    return finding.role is Role.PRIMARY and isinstance(finding.comparison, NotEstimable)


def _hopeless(case: Case) -> Verdict | None:
    primaries = [f for arm in case.arms() for f in case.primaries(arm)]
    if primaries and all(f.futile or _is_too_small(f) for f in primaries):
        return Verdict(Ruling.KEEP_CONTROL, tuple(map(told, primaries)))
    return None


def _is_too_small(finding: Finding) -> bool:
    entry, gain = finding.entry, finding.gain(finding.comparison)
    if not isinstance(entry, Primary) or gain is None:
        return False
    return gain.high < finding.in_units(entry.minimum_effect)


def _more_to_come(case: Case) -> Verdict | None:
    if case.last:
        return None
    return Verdict(Ruling.WAIT, tuple(told(f) for f in case.findings if f.role is not Role.SECONDARY))


def _no_winner(case: Case) -> Verdict:
    return Verdict(Ruling.KEEP_CONTROL, tuple(told(f) for f in case.findings if f.role is not Role.SECONDARY))


def _all_told(case: Case, arm: str) -> tuple[str, ...]:
    return tuple(told(f) for f in (*case.primaries(arm), *case.guardrails(arm)))


def told(finding: Finding) -> str:
    """A finding as a sentence with its numbers."""
    kind, name = finding.metric.read_as, f"{finding.metric.id} of {finding.arm.id}"
    said = finding.comparison
    if isinstance(said, NotEstimable):
        return f"{name} cannot be estimated: {said.reason}"
    numbers = f"{shown_effect(said.effect, kind)}, {shown_interval(said.interval, kind)}"
    return f"{name}: {_found(finding)} ({numbers})"


def _found(finding: Finding) -> str:
    if isinstance(finding.entry, Guardrail):
        return _found_of_guardrail(finding, finding.entry)
    gain, judged = finding.gain(finding.comparison), finding.entry.direction is not None
    if gain is not None and gain.low > 0:
        if isinstance(finding.entry, Primary):
            return _found_of_gain(finding, finding.entry, gain)
        return "better" if judged else "more"
    if is_worse(finding):
        return "worse" if judged else "less"
    return "futile: an effect worth having is unlikely" if finding.futile else "no difference shown"


def _found_of_guardrail(finding: Finding, entry: Guardrail) -> str:
    wanted = shown_margin(finding.in_units(entry.margin), finding.metric.read_as)
    if is_harmful(finding):
        return f"worse by more than the margin of {wanted}"
    return (
        f"within the margin of {wanted}"
        if is_within(finding)
        else f"not shown to be within the margin of {wanted}"
    )


def _found_of_gain(finding: Finding, entry: Primary, gain: Interval) -> str:
    if is_better(finding):
        return "better"
    least = finding.in_units(entry.minimum_effect)
    if gain.high < least:
        wanted = shown_effect(finding.sign * least, finding.metric.read_as)
        return f"better, but by less than the minimum effect of {wanted}"
    return "better, but not by what is required"


RULES: Sequence[tuple[str, Callable[[Case], Verdict | None]]] = (
    ("unhealthy", _unhealthy),
    ("withheld", _withheld),
    ("harm", _harm),
    ("worse", _worse),
    ("too_young", _too_young),
    ("winner", _winner),
    ("mixed", _mixed),
    ("not_estimable", _not_estimable),
    ("hopeless", _hopeless),
    ("more_to_come", _more_to_come),
    ("no_winner", _no_winner),
)
