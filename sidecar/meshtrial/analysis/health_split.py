"""Health of the split: did randomisation give each arm what the plan says, and each unit one arm; pure."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from meshtrial.analysis.cells import Counts
from meshtrial.analysis.health_check import Check, Patient, by_place, day_name, listed
from meshtrial.plan.model import Experiment
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.multiplicity import holm
from meshtrial.stats.srm import ChiSquared, Split, sequential_srm, srm

ADVICE = (
    "look for exposures lost, failed open or filtered in one arm only: redirects, bots, crashes of one model,"
    " a cache before the proxy"
)
STANDS_OUT = 0.01
"""Holm's adjusted p-value below which a day or a stratum is named as where a mismatch comes from."""
MOST_NAMED = 3
"""Days and strata that are named, the worst ones."""


def sample_ratio(patient: Patient) -> Check:
    """Sample ratio mismatch: do the arms get what was randomised by their weights, at any time?"""
    if patient.experiment.unit.switchback is not None:
        detail = "not judged: which windows there are is up to the clock and to traffic"
        return Check("sample_ratio", None, None, detail)
    counts = _counted(patient)
    what = " groups" if patient.experiment.unit.group_kind is not None else ""
    places = list(_places(patient.forms, counts))
    found = sequential_srm([place.split for place in places]) if places else NotEstimable("no arm has units")
    if isinstance(found, NotEstimable):
        return Check("sample_ratio", None, None, found.reason)
    detail = "; ".join(place.shown(what) for place in places)
    if len(patient.forms) > 1:
        detail += f"; e-values by phase: {_by_phase(places)}"
    if found.alarm():
        detail += f"; {ADVICE}"
    return Check("sample_ratio", not found.alarm(), found.p_value(), detail)


def sample_ratio_parts(patient: Patient) -> Check | None:
    """Where a mismatch comes from: a test of each day and each value of a stratum; told once there is one."""
    if sample_ratio(patient).passed is not False:
        return None
    parts: dict[str, Counts] = {}
    for key, units in _counted(patient).items():
        day = f"day {day_name(patient.clock.day_of(key), patient.clock)}"
        parts[day] = {**parts.get(day, {}), key: units}
    if patient.experiment.unit.group_kind is None:
        parts |= {f"{name} `{value}`": counts for (name, value), counts in patient.losses.strata.items()}
    tests = {name: _chi_squared(patient.forms, counts) for name, counts in parts.items()}
    told = {name: test for name, test in tests.items() if isinstance(test, ChiSquared)}
    adjusted = dict(zip(told, holm([test.p_value() for test in told.values()]), strict=True))
    worst = sorted((p, name) for name, p in adjusted.items() if p < STANDS_OUT)[:MOST_NAMED]
    if not worst:
        detail = (
            f"none of {len(told)} days and strata stands out: it is spread evenly, as a filter or a loss in"
            " one"
            " arm would be"
        )
        return Check("sample_ratio_parts", None, None, detail)
    named = "; ".join(
        f"{name}: {listed(_of_arms(patient, parts[name]))} (p {_p(p)} by Holm)" for p, name in worst
    )
    quiet = len(told) - sum(p < STANDS_OUT for p in adjusted.values())
    detail = f"where the mismatch is: {named}; {quiet} of {len(told)} days and strata do not stand out"
    return Check("sample_ratio_parts", None, None, detail)


@dataclass(frozen=True, slots=True)
class _Place:
    """One phase and cohort."""

    phase: str
    split: Split
    arms: Mapping[str, float]
    label: str

    def shown(self, what: str) -> str:
        totals = ", ".join(
            f"{arm} {sum(row[i] for row in self.split.units):,}{what} ({share * 100:.4g}% planned)"
            for i, (arm, share) in enumerate(self.arms.items())
        )
        return f"{self.label}: {totals}" if self.label else totals


def _counted(patient: Patient) -> Counts:
    """What was randomised; groups until the trial stopped, too."""
    if patient.experiment.unit.group_kind is None:
        return patient.exposed
    cut = patient.losses.bounds.cut
    return {key: n for key, n in patient.signs.groups.items() if cut is None or key.period < cut}


def _places(forms: Mapping[str, Experiment], counts: Counts) -> Iterator[_Place]:
    periods = sorted({key.period for key in counts})
    for phase, form in forms.items():
        for cohort in form.splits:
            arms = {arm.id: form.share(arm, cohort.id) for arm in form.arms}
            own = {
                (key.period, key.arm): units
                for key, units in counts.items()
                if key.phase == phase and key.cohort == cohort.id
            }
            if not own:
                continue
            rows = tuple(tuple(own.get((period, arm), 0) for arm in arms) for period in periods)
            named = [f"phase {phase[:8]}"] if len(forms) > 1 else []
            named += [cohort.id] if len(form.splits) > 1 else []
            floats = {arm: float(share) for arm, share in arms.items()}
            yield _Place(phase, Split(tuple(arms.values()), rows), floats, ", ".join(named))


def _by_phase(places: Sequence[_Place]) -> str:
    """The e-value of each phase alone: they multiply."""
    told = []
    for phase in dict.fromkeys(place.phase for place in places):
        found = sequential_srm([place.split for place in places if place.phase == phase])
        if not isinstance(found, NotEstimable):
            told.append(f"{phase[:8]} {_e(found.log_e[-1])}")
    return ", ".join(told)


def _e(log_e: float) -> str:
    """An e-value, which may be far too large for a float."""
    return f"{math.exp(log_e):.3g}" if log_e < _LARGEST_LOG else "over 1e300"


_LARGEST_LOG = 690.0


def _chi_squared(forms: Mapping[str, Experiment], counts: Counts) -> ChiSquared | NotEstimable:
    """Each phase and cohort against its own shares, as one question."""
    found: ChiSquared | NotEstimable = NotEstimable("no arm has units")
    for place in _places(forms, by_place(counts)):
        test = srm(place.split.units[0], place.split.shares)
        if isinstance(test, ChiSquared):
            found = test if isinstance(found, NotEstimable) else found + test
    return found


def _of_arms(patient: Patient, counts: Counts) -> list[tuple[str, int]]:
    of_arm: Counter[str] = Counter()
    for key, units in counts.items():
        if key.phase in patient.forms:
            of_arm[key.arm] += units
    return [(arm, of_arm[arm]) for arm in patient.arms]


def _p(value: float) -> str:
    return f"{value:.2g}" if value > _LEAST_SHOWN else f"< {_LEAST_SHOWN:g}"


_LEAST_SHOWN = 1e-9


def known_arms(patient: Patient) -> Check:
    """Units in arms that the plan does not have: two plans wrote under one name."""
    known = {arm.id for form in patient.forms.values() for arm in form.arms}
    strange: Counter[str] = Counter()
    for key, units in patient.exposed.items():
        if key.arm not in known and key.phase in patient.forms:
            strange[key.arm] += units
    if not strange:
        return Check("known_arms", True, None, "every exposed unit is in an arm of the plan")
    detail = (
        f"units in arms that the plan lacks: {listed(sorted(strange.items()))}; look for two plans that"
        " share an"
        " experiment's name, or a file imported with other names of arms"
    )
    return Check("known_arms", False, None, detail)


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
        detail = f"units in cohorts that have no weights in the plan: {listed(sorted(strange.items()))}"
        return Check("cohorts", False, None, detail)
    left_out = sorted({cohort for look in patient.looks[-1:] for _, cohort in look.left_out})
    notes = [f"{cohort} is left out, with too few units in some arm" for cohort in left_out]
    if moved := sum(met.moved for met in patient.others.values()):
        notes.append(f"{moved:,} units later met another arm in another cohort")
    if notes:
        return Check("cohorts", None, None, "; ".join(notes))
    return Check("cohorts", True, None, f"compared within {', '.join(known)}")


def one_arm(patient: Patient) -> Check | None:
    """Units that met two arms under one allocation: something else than the plan splits traffic as well."""
    unit = patient.experiment.unit
    if unit.switchback is not None:
        return None
    first: Counter[str] = Counter()
    for key, met in patient.others.items():
        first[key.arm] += met.two
    twice = first.total()
    if not twice:
        return Check("one_arm", True, None, "no unit met two arms under one allocation")
    units = sum(patient.exposed.values())
    said = (
        f"{twice:,} of {units:,} units met two arms under one allocation (first"
        f" {listed(sorted((+first).items()))})"
    )
    if unit.group_kind is not None:
        return Check(
            "one_arm", None, None, f"{said}: they were seen in groups of both, and dilute the effect"
        )
    detail = (
        f"{said}; look for two plans that share an experiment's name, sidecars that run different ones, or a"
        " unit that several people share"
    )
    failed = twice > TWO_ARMS_TOLERATED * units
    return Check("one_arm", False if failed else None, None, detail)


TWO_ARMS_TOLERATED = 0.001
"""Share of units: sidecars take a new plan into force within a second of each other, not at once, so a few
units do meet both; many dilute every effect, and no interval shows it."""


def forced_units(patient: Patient) -> Check:
    """Testers who saw another arm than their own: said, not judged."""
    forced = sum(met.forced for met in patient.others.values())
    if not forced:
        return Check("forced_units", True, None, "no unit met another arm by a signed header")
    who, ordinary = ("unit", "this unit's") if forced == 1 else ("units", "these units'")
    detail = (
        f"{forced:,} {who} met another arm by a tester's signed header: forced requests are ignored; "
        f"{ordinary} ordinary exposures count"
    )
    return Check("forced_units", None, None, detail)
