"""Health of outcomes: those that join no unit, that one arm loses more of, or that stopped coming; pure."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from meshtrial.analysis.cells import Key
from meshtrial.analysis.health_check import ALARM, LEAST, Check, Patient, by_place, moment, shares
from meshtrial.analysis.marks import Asked, Kept
from meshtrial.analysis.signs import Signs
from meshtrial.analysis.strays import Stray
from meshtrial.plan.inference import Events, Metric
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.loss import Losses, equal_loss
from meshtrial.stats.multiplicity import holm

EXPECTED_IN_A_GAP = 50
"""Outcomes that new units should have had by the rate of all others: none at all is no chance then."""


def outcomes_join(patient: Patient) -> Check | None:
    """Outcomes that no unit's value holds: said, not judged."""
    strays, dropped = patient.signs.stray, patient.losses.dropped
    if not strays and not patient.losses.outcomes.kept:
        return None
    of_name: dict[str, dict[Metric, Stray]] = {}
    for metric in patient.experiment.decision.metrics():
        if metric.id in strays and metric.events.outcome is not None:
            of_name.setdefault(metric.events.outcome, {})[metric] = strays[metric.id]
    notes = [note for name, own in of_name.items() for note in _strays(name, own, patient.signs)]
    between: dict[tuple[str | None, int], list[str]] = {}
    for one, kept in patient.losses.outcomes.kept.items():
        units = sum(part.between for part in kept.values())
        between.setdefault((one.events.outcome, units), []).append(one.metric)
    notes += [
        f"`{name}` ({', '.join(dict.fromkeys(ids))}): {units:,} units have one after the exposure and before"
        " the window, where it does not count"
        for (name, units), ids in between.items()
        if units
    ]
    notes += [
        f"{count:,} of `{events.outcome}` have a field `{events.field}` that is no number within 1e100,"
        " taken as 0"
        for events, count in dropped.not_numbers.items()
    ]
    notes += [f"{count:,} {_WHY[why]}" for why, count in sorted(dropped.outcomes.items()) if why in _WHY]
    if dropped.outcomes_ahead:
        notes.append(
            f"{dropped.outcomes_ahead:,} began more than a minute after their receipt: a clock is wrong"
        )
    if untimed := patient.losses.requests.untimed:
        notes.append(f"{untimed:,} requests have no duration, taken as 0 ms")
    if notes:
        return Check("outcomes_join", None, None, "; ".join(notes))
    return Check("outcomes_join", True, None, "every outcome falls into an exposed unit's window")


_WHY = {
    "time": "outcomes began more than 1 day after their receipt, or have no name",
    "kind": "outcomes are of another kind of unit than the plan's",
    "unit": "outcomes have no unit that can be read",
}


def _strays(name: str, strays: Mapping[Metric, Stray], signs: Signs) -> Iterator[str]:
    """Of the metrics of one outcome: what all of them share is said once."""
    whole = f"`{name}` ({', '.join(metric.id for metric in strays)})"
    if name not in signs.outcome_names:
        stored = ", ".join(signs.outcome_names) or "none at all"
        yield f"{whole}: no such outcome is stored, but {stored}"
        return
    told = {metric: _told(metric, stray) for metric, stray in strays.items()}
    first = next(iter(told.values()))
    shared = [part for part in first if all(part in parts for parts in told.values())]
    if shared:
        yield f"{whole}: {_said(shared)}"
    for metric, parts in told.items():
        if own := [part for part in parts if part not in shared]:
            yield f"{metric.id}: {_said(own)}"


def _told(metric: Metric, stray: Stray) -> list[tuple[int, str]]:
    """How many outcomes, and what of them."""
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
    return [(count, what) for count, what in counts if count]


def _said(parts: Sequence[tuple[int, str]]) -> str:
    (first, what), *others = parts
    said = [f"{first:,} {'outcome' if first == 1 else 'outcomes'} {what}"]
    return ", ".join([*said, *(f"{count:,} {what}" for count, what in others)])


def outcomes_kept(patient: Patient) -> Check | None:
    """Whether the arms lose alike: units with outcomes that came too late, lack the field, or came too early.

    What came before the exposure no arm can have changed, so it is a share of all units; what was lost within
    the window is a share of the units that had something there, however many that are.
    """
    kept = {one: parts for one, parts in patient.losses.outcomes.kept.items() if parts}
    if absent := _absent(patient, kept):
        return Check("outcomes_kept", False, None, absent)
    units = by_place(patient.final)
    tests: dict[str, list[Losses]] = {}
    for one, parts in kept.items():
        lost = {key: (part.left_out, part.within) for key, part in parts.items()}
        tests[f"{_named(one)}, received too late or without what is summed"] = _strata(patient, lost)
        if not one.uses_before:
            early = {key: (min(parts.get(key, _NONE).before, n), n) for key, n in units.items()}
            tests[f"{_named(one)}, before the exposure"] = _strata(patient, early)
    found = {what: equal_loss(strata) for what, strata in tests.items()}
    told = {what: p for what, p in found.items() if not isinstance(p, NotEstimable)}
    if not tests:
        return None
    if not told:
        return Check("outcomes_kept", True, None, "no unit's outcomes are left out")
    adjusted = dict(zip(told, holm(list(told.values())), strict=True))
    p_value, what = min((p, what) for what, p in adjusted.items())
    totals = [
        (arm, sum(s.lost[i] for s in tests[what]), sum(s.units[i] for s in tests[what]))
        for i, arm in enumerate(patient.arms)
    ]
    detail = f"units with outcomes left out, where the arms differ most ({what}): {shares(totals)}"
    if p_value < ALARM:
        advice = (
            "the arms lose differently: look for a model that reports outcomes by another way, queue, clock"
            " or"
            " version of the client"
        )
        return Check("outcomes_kept", False, p_value, f"{detail}; {advice}")
    return Check("outcomes_kept", True, p_value, detail)


def _absent(patient: Patient, kept: Mapping[Asked, Mapping[Key, Kept]]) -> str:
    """A field that most outcomes lack, of most units with outcomes in the window, in every arm."""
    for one, parts in kept.items():
        lacking, outcomes = patient.losses.outcomes.lacking.get(one.events, (0, 0))
        totals = [
            (arm, sum(p.left_out for p in own), sum(p.within for p in own))
            for arm in patient.arms
            if (own := [part for key, part in parts.items() if key.arm == arm])
        ]
        lost = [within >= LEAST and 2 * left_out > within for _, left_out, within in totals]
        if lost and all(lost) and 2 * lacking > outcomes:
            return (
                f"{_named(one)}: {lacking:,} of {outcomes:,} outcomes lack the field `{one.events.field}` and"
                f" count as 0; units with outcomes left out: {shares(totals)}; the field has another name, or"
                " is not sent"
            )
    return ""


_NONE = Kept(0, 0, 0, 0)


def _strata(patient: Patient, counts: Mapping[Key, tuple[int, int]]) -> list[Losses]:
    """By phase and cohort; (lost, of how many) of each arm."""
    places = sorted({key._replace(arm="") for key in counts})
    return [
        Losses(
            tuple(counts.get(place._replace(arm=arm), (0, 0))[0] for arm in patient.arms),
            tuple(counts.get(place._replace(arm=arm), (0, 0))[1] for arm in patient.arms),
        )
        for place in places
    ]


def _named(one: Asked) -> str:
    return f"{one.metric} ({_events(one.events)})"


def _events(events: Events) -> str:
    return f"`{events.outcome}`" if events.field is None else f"`{events.outcome}` {events.field}"


def outcomes_flow(patient: Patient) -> Check | None:
    """A stretch without any outcome while units were exposed: all of them would count as having none.

    Reports in batches leave such stretches as a rule, so one has to be longer than the others.
    """
    by_period = patient.losses.outcomes.by_period
    if not by_period:
        return None
    exposed: dict[int, int] = {}
    for key, units in patient.exposed.items():
        exposed[key.period] = exposed.get(key.period, 0) + units
    starts = sorted(exposed)
    totals = [0, *accumulate(exposed[start] for start in starts)]
    usual: dict[str, int] = {}
    for name, counts in by_period.items():
        rate = min(1.0, sum(counts.values()) / max(1, totals[-1]))
        for gap in _gaps(patient, list(counts)):
            new = totals[bisect_left(starts, gap.to)] - totals[bisect_left(starts, gap.since)]
            if new * rate < EXPECTED_IN_A_GAP:
                continue
            if gap.other is None or gap.length <= _TIMES * gap.other:
                usual[name] = max(usual.get(name, 0), gap.length)
                continue
            detail = (
                f"no outcome `{name}` from {moment(gap.since)} to {moment(gap.to)}, while {new:,} units were"
                " first exposed: look for an outage of what reports it, or of its collector; outcomes"
                " that are reported again count once, and within the plan's `lateness`"
            )
            return Check("outcomes_flow", False, None, detail)
    if usual:
        detail = "; ".join(
            f"no outcome `{name}` for up to {length / _SECOND:,.0f} s at a time, as is the rule for it: an"
            " outage is told once it lasts three times as long"
            for name, length in usual.items()
        )
        return Check("outcomes_flow", None, None, detail)
    return Check("outcomes_flow", True, None, "outcomes came all the time")


_TIMES = 3
"""How much longer than any other a gap is that is no batch's: weekends are three days."""
_SECOND = 10**9


@dataclass(frozen=True, slots=True)
class _Gap:
    """A stretch of time without an outcome, nanoseconds since 1970."""

    since: int
    to: int
    length: int
    """Nanoseconds from the period of the outcome before to that of the one after."""
    other: int | None
    """Longest one of the others that an outcome ended; None where there is none."""


def _gaps(patient: Patient, occupied: Sequence[int]) -> Iterator[_Gap]:
    """Between periods with outcomes, and after the last one."""
    period = patient.clock.period
    end = patient.losses.bounds.now - patient.experiment.decision.lateness * _SECOND
    periods = sorted(occupied)
    ended = [after - last for last, after in pairwise(periods)]
    longest = sorted(ended, reverse=True)[:2]
    for number, (last, after) in enumerate(pairwise([*periods, max(end, periods[-1])])):
        is_longest = number < len(ended) and after - last == longest[0]
        others = longest[1:] if is_longest else longest
        yield _Gap(last + period, after, after - last, others[0] if others else None)
