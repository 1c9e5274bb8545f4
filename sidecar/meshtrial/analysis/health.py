"""Is the trial what the plan says?  Asked before any verdict; pure."""

import functools
import operator
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from meshtrial.analysis.compare import counted, shared_cohorts
from meshtrial.analysis.evidence import Evidence, Measured
from meshtrial.plan.model import Experiment
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.srm import ChiSquared, srm

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
    """All checks that concern the experiment, in the order in which they are shown."""
    checks = (check(evidence) for check in _CHECKS)
    return tuple(check for check in checks if check is not None)


def sample_ratio(evidence: Evidence) -> Check:
    """Sample ratio mismatch: do the arms have what was randomised by their weights, in each cohort?"""
    experiment, progress = evidence.experiment, evidence.progress
    if experiment.unit.switchback is not None:
        detail = "not judged: which windows there are is up to the clock and to traffic"
        return Check("sample_ratio", None, None, detail)
    grouped = experiment.unit.group_kind is not None
    counts = progress.groups if grouped else progress.exposed
    results = [_ratio(experiment, split.id, counts.get(split.id, {}), grouped) for split in experiment.splits]
    shown = "; ".join(detail for detail, _ in results)
    tested = [result for _, result in results if isinstance(result, ChiSquared)]
    if not tested:
        return Check("sample_ratio", None, None, shown)
    whole = functools.reduce(operator.add, tested)
    if evidence.several_cohorts:
        shown += f"; in all chi-squared {whole.statistic:.4g}, degrees of freedom {whole.freedom}"
    passed = whole.p_value() >= SRM_ALARM
    advice = "" if passed else "; look for exposures lost, failed open or filtered in one arm only"
    return Check("sample_ratio", passed, whole.p_value(), shown + advice)


def _ratio(
    experiment: Experiment, cohort: str, units: Mapping[str, int], grouped: bool
) -> tuple[str, ChiSquared | NotEstimable]:
    """One cohort's sizes in words, and tested against its own shares."""
    shares = {arm.id: experiment.share(arm, cohort) for arm in experiment.arms}
    result = srm([units.get(arm, 0) for arm in shares], list(shares.values()))
    what = " groups" if grouped else ""
    shown = ", ".join(
        f"{arm} {units.get(arm, 0):,}{what} ({float(share) * 100:.4g}% planned)"
        for arm, share in shares.items()
    )
    if len(experiment.splits) > 1:
        shown = f"{cohort}: {shown}"
    return (f"{shown}: {result.reason}" if isinstance(result, NotEstimable) else shown), result


def known_arms(evidence: Evidence) -> Check:
    """Units in arms that the plan does not have: two plans wrote under one name."""
    known = {arm.id for arm in evidence.experiment.arms}
    strange: Counter[str] = Counter()
    for arms in evidence.progress.exposed.values():
        strange.update({arm: units for arm, units in arms.items() if arm not in known})
    if not strange:
        return Check("known_arms", True, None, "every exposed unit is in an arm of the plan")
    named = ", ".join(f"{arm} {n:,}" for arm, n in sorted(strange.items()))
    return Check("known_arms", False, None, f"units in arms that the plan lacks: {named}")


def cohorts(evidence: Evidence) -> Check | None:
    """Units in cohorts that have no weights in the plan fail; which cohorts are compared is said."""
    if not evidence.several_cohorts:
        return None
    experiment, exposed = evidence.experiment, evidence.progress.exposed
    known = [split.id for split in experiment.splits]
    strange = {
        cohort or "none": sum(arms.values()) for cohort, arms in exposed.items() if cohort not in known
    }
    if strange:
        named = ", ".join(f"{cohort} {units:,}" for cohort, units in sorted(strange.items()))
        return Check("cohorts", False, None, f"units in cohorts that have no weights in the plan: {named}")
    shared = shared_cohorts(experiment)
    notes = [f"{c} is left out, as some arm gets no share of it" for c in known if c not in shared]
    if evidence.measured:
        samples, compared = evidence.measured[0].samples, counted(evidence.measured[0])
        notes += [
            f"{c} is left out, with under 2 closed units in some arm" for c in samples if c not in compared
        ]
    if evidence.progress.moved:
        notes.append(f"{evidence.progress.moved:,} units later met another arm in another cohort")
    if notes:
        return Check("cohorts", None, None, "; ".join(notes))
    return Check("cohorts", True, None, f"compared within {', '.join(known)}")


def forced_units(evidence: Evidence) -> Check:
    """Testers who saw another arm than their own: said, not judged."""
    forced = evidence.progress.forced
    if not forced:
        return Check("forced_units", True, None, "no unit met another arm by a signed header")
    who, ordinary = ("unit", "this unit's") if forced == 1 else ("units", "these units'")
    detail = (
        f"{forced:,} {who} met another arm by a tester's signed header: forced requests are ignored; "
        f"{ordinary} ordinary exposures count"
    )
    return Check("forced_units", None, None, detail)


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


def outcomes_join(evidence: Evidence) -> Check | None:
    """Outcomes that no unit's value holds: said, not judged."""
    if all(measured.stray is None for measured in evidence.measured):
        return None
    notes = [note for measured in evidence.measured if (note := _strays(measured))]
    if notes:
        return Check("outcomes_join", None, None, "; ".join(notes))
    return Check("outcomes_join", True, None, "every outcome falls into an exposed unit's window")


def _strays(measured: Measured) -> str:
    metric, stray = measured.metric, measured.stray
    if stray is None:
        return ""
    if metric.events.outcome not in stray.names:
        stored = ", ".join(stray.names) or "none at all"
        return f"{metric.id}: no outcome `{metric.events.outcome}` is stored, but {stored}"
    normal = "(holdouts, other slices and testers are normal)"
    never, lacking = stray.never_exposed, stray.lacking_value
    whose = "belongs to a unit that was" if never == 1 else "belong to units that were"
    counts = (
        (never, f"{whose} never exposed {normal}"),
        (stray.before_exposure, "came before the unit's exposure"),
        (stray.after_window, "came after the window"),
        (lacking, f"{'lacks' if lacking == 1 else 'lack'} the field `{metric.events.field}`, taken as 0"),
    )
    parts = [(count, what) for count, what in counts if count]
    if not parts:
        return ""
    (first, what), *others = parts
    said = [f"{first:,} {'outcome' if first == 1 else 'outcomes'} {what}"]
    said += [f"{count:,} {what}" for count, what in others]
    return f"{metric.id}: {', '.join(said)}"


_CHECKS: tuple[Callable[[Evidence], Check | None], ...] = (
    sample_ratio,
    known_arms,
    cohorts,
    forced_units,
    one_allocation,
    one_key,
    one_plan,
    outcomes_join,
)
