"""Is the trial what the plan says?  Asked before any verdict; pure."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from meshtrial.analysis.cells import Counts
from meshtrial.analysis.gathered import Gathered
from meshtrial.analysis.history import History
from meshtrial.analysis.measured import LookedAt
from meshtrial.analysis.signs import Signs, Stray
from meshtrial.plan.inference import Metric
from meshtrial.plan.model import Experiment
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.srm import Split, sequential_srm


@dataclass(frozen=True, slots=True)
class Check:
    """One question on the trial's health."""

    check: str
    passed: bool | None
    """None where there is nothing to pass or fail: the detail is a note."""
    p_value: float | None
    detail: str


@dataclass(frozen=True, slots=True)
class Patient:
    """All that the checks look at."""

    experiment: Experiment
    history: History
    gathered: Gathered
    signs: Signs
    looks: tuple[LookedAt, ...]
    until: int | None
    """Where the trial's last look was cut, nanoseconds since 1970: later exposures are not judged. None while
    it goes on."""

    @property
    def exposed(self) -> Counts:
        """Units first exposed before the trial stopped, of every phase."""
        exposed = self.gathered.exposed
        if self.until is None:
            return exposed
        return {key: units for key, units in exposed.items() if key.period < self.until}

    @property
    def forms(self) -> Mapping[str, Experiment]:
        """The experiment as each phase that is compared had it: others are another comparison."""
        compared = {key.phase for key in self.gathered.analysed}
        forms = {entry.phase: entry.experiment for entry in self.history.entries if entry.phase in compared}
        return forms | {self.experiment.phase: self.experiment}


def check_health(patient: Patient) -> tuple[Check, ...]:
    """All checks that concern the experiment, in the order in which they are shown."""
    checks = (check(patient) for check in CHECKS)
    return tuple(check for check in checks if check is not None)


def sample_ratio(patient: Patient) -> Check:
    """Sample ratio mismatch: do the arms get what was randomised by their weights, at any time?"""
    experiment = patient.experiment
    if experiment.unit.switchback is not None:
        detail = "not judged: which windows there are is up to the clock and to traffic"
        return Check("sample_ratio", None, None, detail)
    grouped = experiment.unit.group_kind is not None
    counts = patient.signs.groups if grouped else patient.exposed
    splits, shown = [], []
    periods = sorted({key.period for key in counts})
    for phase, form in patient.forms.items():
        for split in form.splits:
            arms = {arm.id: form.share(arm, split.id) for arm in form.arms}
            own = {
                (key.period, key.arm): units
                for key, units in counts.items()
                if key.phase == phase and key.cohort == split.id
            }
            if not own:
                continue
            rows = tuple(tuple(own.get((period, arm), 0) for arm in arms) for period in periods)
            splits.append(Split(tuple(arms.values()), rows))
            totals = ", ".join(
                f"{arm} {sum(row[i] for row in rows):,}{' groups' if grouped else ''}"
                f" ({float(share) * 100:.4g}% planned)"
                for i, (arm, share) in enumerate(arms.items())
            )
            named = [f"phase {phase[:8]}"] if len(patient.forms) > 1 else []
            named += [split.id] if len(form.splits) > 1 else []
            shown.append(f"{', '.join(named)}: {totals}" if named else totals)
    found = sequential_srm(splits) if splits else NotEstimable("no arm has units")
    if isinstance(found, NotEstimable):
        return Check("sample_ratio", None, None, found.reason)
    detail = "; ".join(shown)
    if found.alarm():
        detail += "; look for exposures lost, failed open or filtered in one arm only"
    return Check("sample_ratio", not found.alarm(), found.p_value(), detail)


def known_arms(patient: Patient) -> Check:
    """Units in arms that the plan does not have: two plans wrote under one name."""
    known = {arm.id for arm in patient.experiment.arms}
    strange: Counter[str] = Counter()
    for key, units in patient.exposed.items():
        if key.arm not in known and key.phase in patient.forms:
            strange[key.arm] += units
    if not strange:
        return Check("known_arms", True, None, "every exposed unit is in an arm of the plan")
    named = ", ".join(f"{arm} {n:,}" for arm, n in sorted(strange.items()))
    return Check("known_arms", False, None, f"units in arms that the plan lacks: {named}")


def cohorts(patient: Patient) -> Check | None:
    """Units in cohorts that have no weights in the plan fail; which cohorts are compared is said."""
    experiment = patient.experiment
    if len(experiment.splits) < 2:
        return None
    known = [split.id for split in experiment.splits]
    strange: Counter[str] = Counter()
    for key, units in patient.exposed.items():
        if key.cohort not in known and key.phase in patient.forms:
            strange[key.cohort or "none"] += units
    if strange:
        named = ", ".join(f"{cohort} {units:,}" for cohort, units in sorted(strange.items()))
        return Check("cohorts", False, None, f"units in cohorts that have no weights in the plan: {named}")
    left_out = sorted({cohort for look in patient.looks[-1:] for _, cohort in look.left_out})
    notes = [f"{cohort} is left out, with too few units in some arm" for cohort in left_out]
    if patient.signs.moved:
        notes.append(f"{patient.signs.moved:,} units later met another arm in another cohort")
    if notes:
        return Check("cohorts", None, None, "; ".join(notes))
    return Check("cohorts", True, None, f"compared within {', '.join(known)}")


def one_arm(patient: Patient) -> Check | None:
    """Units that met two arms under one allocation: something else than the plan splits traffic as well."""
    if patient.experiment.unit.switchback is not None:
        return None
    twice = sum(patient.signs.two_arms.values())
    if not twice:
        return Check("one_arm", True, None, "no unit met two arms under one allocation")
    units = sum(patient.exposed.values())
    named = ", ".join(f"{arm} {n:,}" for arm, n in sorted(patient.signs.two_arms.items()))
    detail = (
        f"{twice:,} of {units:,} units met two arms under one allocation (first {named}); look for two plans "
        "that share an experiment's name, or sidecars that run different ones"
    )
    return Check("one_arm", False if twice > TWO_ARMS_TOLERATED * units else None, None, detail)


TWO_ARMS_TOLERATED = 0.001
"""Share of units: sidecars take a new plan into force within a second of each other, not at once."""


def forced_units(patient: Patient) -> Check:
    """Testers who saw another arm than their own: said, not judged."""
    forced = patient.signs.forced
    if not forced:
        return Check("forced_units", True, None, "no unit met another arm by a signed header")
    who, ordinary = ("unit", "this unit's") if forced == 1 else ("units", "these units'")
    detail = (
        f"{forced:,} {who} met another arm by a tester's signed header: forced requests are ignored; "
        f"{ordinary} ordinary exposures count"
    )
    return Check("forced_units", None, None, detail)


def one_allocation(patient: Patient) -> Check:
    """Units that cannot be compared as the allocation changed: said, not judged."""
    exposed, analysed = sum(patient.gathered.exposed.values()), sum(patient.gathered.analysed.values())
    left_out = exposed - analysed + patient.signs.other_kinds
    if not left_out:
        return Check("one_allocation", True, None, "every unit kept its arm under the allocation")
    detail = (
        f"{left_out:,} units are left out: first exposed under an allocation that is not compared, or in a "
        "bucket whose arm changed before their windows closed"
    )
    return Check("one_allocation", None, None, detail)


def one_key(patient: Patient) -> Check:
    """Two keys make two pseudonyms of one person: units would be counted twice and lose their outcomes."""
    keys = patient.signs.keys
    if len(keys) < 2:
        return Check("one_key", True, None, "all pseudonyms were made with one key")
    return Check("one_key", False, None, f"pseudonyms were made with several keys: {', '.join(keys)}")


def received_in_time(patient: Patient) -> Check:
    """Exposures that came after their unit was final: said, and judged where one arm loses more."""
    late = patient.signs.late_exposures
    if not late:
        return Check("received_in_time", True, None, "every exposure was received in time")
    named = ", ".join(f"{arm} {n:,}" for arm, n in sorted(late.items()))
    detail = (
        f"exposures left out, as they were received after a window and the plan's `lateness`: {named}; "
        "raise `lateness` if that is how long your collectors may lag"
    )
    return Check("received_in_time", None, None, detail)


def outcomes_join(patient: Patient) -> Check | None:
    """Outcomes that no unit's value holds: said, not judged."""
    strays = patient.signs.stray
    if not strays:
        return None
    metrics = {metric.id: metric for metric in patient.experiment.decision.metrics()}
    notes = [note for name, stray in strays.items() if (note := _strays(metrics[name], stray, patient.signs))]
    if notes:
        return Check("outcomes_join", None, None, "; ".join(notes))
    return Check("outcomes_join", True, None, "every outcome falls into an exposed unit's window")


def _strays(metric: Metric, stray: Stray, signs: Signs) -> str:
    if metric.events.outcome not in signs.outcome_names:
        stored = ", ".join(signs.outcome_names) or "none at all"
        return f"{metric.id}: no outcome `{metric.events.outcome}` is stored, but {stored}"
    normal = "(holdouts, other slices and testers are normal)"
    never, lacking = stray.never_exposed, stray.lacking_value
    whose = "belongs to a unit that was" if never == 1 else "belong to units that were"
    counts = (
        (never, f"{whose} never exposed {normal}"),
        (stray.before_exposure, "came before the unit's exposure"),
        (stray.after_window, "came after the window"),
        (stray.late, "came in the window and was received too late"),
        (lacking, f"{'lacks' if lacking == 1 else 'lack'} the field `{metric.events.field}`, taken as 0"),
    )
    parts = [(count, what) for count, what in counts if count]
    if not parts:
        return ""
    (first, what), *others = parts
    said = [f"{first:,} {'outcome' if first == 1 else 'outcomes'} {what}"]
    said += [f"{count:,} {what}" for count, what in others]
    return f"{metric.id}: {', '.join(said)}"


CHECKS: tuple[Callable[[Patient], Check | None], ...] = (
    sample_ratio,
    known_arms,
    cohorts,
    one_arm,
    forced_units,
    one_allocation,
    one_key,
    received_in_time,
    outcomes_join,
)
