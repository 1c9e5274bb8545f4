"""Is the trial what the plan says?  Asked before any verdict; pure."""

from dataclasses import dataclass

from meshtrial.analysis.evidence import Evidence
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.srm import srm

SRM_ALARM = 0.001
"""p-value below which the arms' sizes disprove the split: the level of GrowthBook's check."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question on the trial's health."""

    check: str
    passed: bool | None
    """None where the data do not allow the question yet."""
    p_value: float | None
    detail: str


def check_health(evidence: Evidence) -> tuple[Check, ...]:
    """All checks, in the order in which they are shown."""
    return (sample_ratio(evidence), known_arms(evidence), one_allocation(evidence), outcomes_join(evidence))


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
    return Check(
        "one_allocation",
        True,
        None,
        f"{left_out:,} units first exposed under another allocation are left out",
    )


def outcomes_join(evidence: Evidence) -> Check:
    """Outcomes that no unit's value holds: said, not judged."""
    said = []
    for measured in evidence.measured:
        stray = measured.stray
        parts = [
            f"{number:,} {what}"
            for number, what in (
                (stray.never_exposed, "of units never exposed"),
                (stray.before_exposure, "before the unit's exposure"),
                (stray.after_window, "after the window"),
                (stray.lacking_value, f"without the field `{measured.metric.value}`, taken as 0"),
            )
            if number
        ]
        if parts:
            said.append(f"{measured.metric.id}: {', '.join(parts)}")
    return Check(
        "outcomes_join", True, None, "; ".join(said) or "every outcome falls into an exposed unit's window"
    )
