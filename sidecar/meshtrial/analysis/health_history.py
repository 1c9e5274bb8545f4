"""Health of the record: one allocation, one plan at a time, one key; pure."""

from collections.abc import Sequence

from meshtrial.analysis.health_check import LEAST, Check, Patient, listed, moment
from meshtrial.analysis.history import Unknown


def one_allocation(patient: Patient) -> Check:
    """Units that cannot be compared as the allocation changed, or are too few: said, not judged."""
    exposed, analysed = sum(patient.gathered.exposed.values()), sum(patient.gathered.analysed.values())
    notes = []
    if left_out := exposed - analysed + patient.signs.other_kinds:
        notes.append(
            f"{left_out:,} units are left out: first exposed under an allocation that is not compared, or in"
            " a"
            " bucket whose arm changed before their windows closed"
        )
    if small := _too_few(patient):
        notes.append(f"left out, as some arm has too few units: {listed(small)}")
    if patient.looks:
        several = len(patient.experiment.splits) > 1
        thin: dict[str, set[tuple[str, str]]] = {}
        for (metric, _), measured in patient.looks[-1].measured.items():
            thin.setdefault(metric, set()).update(measured.left_out)
        notes += [
            f"left out of {metric}, as some arm has too few events:"
            f" {', '.join(_named(*part, several=several) for part in sorted(parts))}"
            for metric, parts in thin.items()
            if parts
        ]
    if notes:
        return Check("one_allocation", None, None, "; ".join(notes))
    return Check("one_allocation", True, None, "every unit kept its arm under the allocation")


def _too_few(patient: Patient) -> list[tuple[str, int]]:
    """Phases and cohorts that the latest look could not compare, with their units."""
    if not patient.looks:
        return []
    latest = patient.looks[-1]
    units = dict.fromkeys(latest.left_out, 0)
    for key, count in patient.gathered.analysed.items():
        if (key.phase, key.cohort) in units and key.period < latest.look.cut:
            units[key.phase, key.cohort] += count
    several = len(patient.experiment.splits) > 1
    return [
        (_named(phase, cohort, several=several), count) for (phase, cohort), count in units.items() if count
    ]


def _named(phase: str, cohort: str, *, several: bool) -> str:
    return f"phase {phase[:8]}{f' {cohort}' if several else ''}"


def one_plan(patient: Patient) -> Check:
    """Two allocations that were recorded at the same time, and documents that nobody can read."""
    history, notes = patient.history, []
    forms = [(e.phase, e.since, e.until) for e in history.entries]
    forms += [(u.phase, u.since, u.until) for u in history.unknown]
    forms.sort(key=lambda form: form[1])
    longest = (0, "", "", 0)
    for number, (phase, _, until) in enumerate(forms):
        for other, since, its_end in forms[number + 1 :]:
            both = min(until, its_end) - since
            if other != phase and both > max(longest[0], patient.clock.period):
                longest = (both, phase, other, since)
    if longest[0]:
        both, phase, other, since = longest
        notes.append(
            f"phases {phase[:8]} and {other[:8]} were both recorded from {moment(since)} on, for"
            f" {both // 10**9:,} s: sidecars ran two plans, or two environments write to one store; units"
            " whose"
            " arm is not the same in both are left out"
        )
    if history.unknown:
        named = ", ".join(f"{u.phase[:8]} (from {moment(u.since)})" for u in history.unknown)
        notes.append(f"no plan that was recorded explains these phases, so their units are left out: {named}")
    if history.unread:
        notes.append(
            f"{history.unread:,} recorded plans cannot be read: damaged, or of a newer version of meshtrial"
        )
    left_out, units = _left_out(patient, history.unknown), _compared(patient)
    if left_out >= LEAST and left_out > UNKNOWN_TOLERATED * units:
        cost = [(u.phase[:8], _left_out(patient, [u])) for u in history.unknown]
        notes.append(
            f"what arm others had then is not known either, which leaves out {left_out:,} of {units:,} units"
            f" of the phases that are compared ({listed(cost)}): import what is of these phases with the plan"
            " that was in force then, so that it is recorded; if it is of another environment, keep it in"
            " another store"
        )
        return Check("one_plan", False, None, "; ".join(notes))
    if notes:
        return Check("one_plan", None, None, "; ".join(notes))
    return Check("one_plan", True, None, "one allocation was in force at a time, and all are known")


UNKNOWN_TOLERATED = 0.1
"""Share of the compared phases' units: a phase may end without a trace, but not go on beside another."""


def _compared(patient: Patient) -> int:
    """Units first exposed under an allocation that is compared."""
    return sum(units for key, units in patient.exposed.items() if key.phase in patient.forms)


def _left_out(patient: Patient, unknown: Sequence[Unknown]) -> int:
    """Of these, the units left out whose window reached into one of these phases."""
    closing = patient.experiment.decision.closing() * 10**9
    return sum(
        units - patient.gathered.analysed.get(key, 0)
        for key, units in patient.exposed.items()
        if key.phase in patient.forms
        and any(
            u.since - closing < key.period + patient.clock.period and key.period < u.until for u in unknown
        )
    )


def one_key(patient: Patient) -> Check:
    """Two keys make two pseudonyms of one person: units would be counted twice and lose their outcomes."""
    keys = patient.signs.keys
    if len(keys) < 2:
        return Check("one_key", True, None, "all pseudonyms were made with one key")
    detail = (
        f"pseudonyms were made with several keys: {', '.join(keys)}; a sidecar or a collector has another key"
        " file, or the key was changed during the trial"
    )
    return Check("one_key", False, None, detail)
