"""Is the trial what the plan says?  Asked before any verdict; pure."""

from collections.abc import Callable
from dataclasses import dataclass

from meshtrial.analysis.evidence import Evidence, Measured
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.srm import srm

SRM_ALARM = 0.001
"""p-value below which the arms' sizes disprove the split: the level of GrowthBook's check."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question on the trial's health."""

    check: str
    passed: bool | None
    """None where there is nothing to pass or fail: the detail is a note."""
    p_value: float | None
    detail: str


def check_health(evidence: Evidence) -> tuple[Check, ...]:
    """All checks, in the order in which they are shown."""
    return tuple(check(evidence) for check in _CHECKS)


def sample_ratio(evidence: Evidence) -> Check:
    """Sample ratio mismatch: do the arms have the units that their weights give them?"""
    experiment = evidence.experiment
    observed = [evidence.progress.exposed.get(arm.id, 0) for arm in experiment.arms]
    p_value = srm(observed, [experiment.share(arm) for arm in experiment.arms])
    shown = ", ".join(
        f"{arm.id} {units:,} ({float(experiment.share(arm)) * 100:.4g}% planned)"
        for arm, units in zip(experiment.arms, observed, strict=True)
    )
    if isinstance(p_value, NotEstimable):
        return Check("sample_ratio", None, None, f"{shown}: {p_value.reason}")
    passed = p_value >= SRM_ALARM
    advice = "" if passed else "; look for exposures lost, failed open or filtered in one arm only"
    return Check("sample_ratio", passed, p_value, shown + advice)


def known_arms(evidence: Evidence) -> Check:
    """Units in arms that the plan does not have: two plans wrote under one name."""
    known = {arm.id for arm in evidence.experiment.arms}
    strange = {arm: n for arm, n in evidence.progress.exposed.items() if arm not in known}
    if not strange:
        return Check("known_arms", True, None, "every exposed unit is in an arm of the plan")
    named = ", ".join(f"{arm} {n:,}" for arm, n in sorted(strange.items()))
    return Check("known_arms", False, None, f"units in arms that the plan lacks: {named}")


def one_allocation(evidence: Evidence) -> Check:
    """Units first exposed under another allocation are left out: said, not judged."""
    left_out = evidence.progress.other_phases
    if not left_out:
        return Check(
            "one_allocation", True, None, "all units were first exposed under the present allocation"
        )
    detail = f"{left_out:,} units first exposed under another allocation are left out"
    return Check("one_allocation", None, None, detail)


def one_key(evidence: Evidence) -> Check:
    """Two keys make two pseudonyms of one person: units would be counted twice and lose their outcomes."""
    keys = evidence.progress.keys
    if len(keys) < 2:
        return Check("one_key", True, None, "all pseudonyms were made with one key")
    return Check("one_key", False, None, f"pseudonyms were made with several keys: {', '.join(keys)}")


def one_plan(evidence: Evidence) -> Check:
    """Exposures under another plan: the rule that judges may be younger than the data. Said, not judged."""
    others = evidence.progress.other_plans
    if not others:
        return Check("one_plan", True, None, "all exposures were recorded under the plan that judges")
    detail = (
        f"{others:,} units were exposed under another plan: if its metrics, size or rule changed since, "
        "this verdict is not the one that was planned"
    )
    return Check("one_plan", None, None, detail)


def outcomes_join(evidence: Evidence) -> Check:
    """Outcomes that no unit's value holds: said, not judged."""
    notes = [note for measured in evidence.measured if (note := _strays(measured))]
    if notes:
        return Check("outcomes_join", None, None, "; ".join(notes))
    return Check("outcomes_join", True, None, "every outcome falls into an exposed unit's window")


def _strays(measured: Measured) -> str:
    metric, stray = measured.metric, measured.stray
    if metric.outcome not in stray.names:
        stored = ", ".join(stray.names) or "none at all"
        return f"{metric.id}: no outcome `{metric.outcome}` is stored, but {stored}"
    counts = {
        "of units never exposed": stray.never_exposed,
        "before the unit's exposure": stray.before_exposure,
        "after the window": stray.after_window,
        f"without the field `{metric.value}`, taken as 0": stray.lacking_value,
    }
    parts = [f"{count:,} {what}" for what, count in counts.items() if count]
    return f"{metric.id}: {', '.join(parts)}" if parts else ""


_CHECKS: tuple[Callable[[Evidence], Check], ...] = (
    sample_ratio,
    known_arms,
    one_allocation,
    one_key,
    one_plan,
    outcomes_join,
)
