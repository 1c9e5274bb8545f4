"""Health of the way to the store: exposures lost, late or unusable, and requests that failed open; pure."""

from collections.abc import Mapping

from meshtrial.analysis.health_check import (
    ALARM,
    LEAST,
    Check,
    Patient,
    by_place,
    listed,
    moment,
    percent,
    shares,
)
from meshtrial.analysis.signs_requests import Hour, Lost, Place
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.loss import Losses, equal_loss

LOST_TOLERATED = 0.005
"""Share of an arm's units: what is lost is seldom a random part, and at 0.5% even a part that is twice as
good moves the arm's value by no more than 0.5%."""
FAILED_OPEN_NOTED = 0.001
FAILED_OPEN_TOLERATED = 0.01
"""Share of requests: each failed one was served by control whatever its arm, so the effect is diluted by up
to as much, and a share this large is an outage of the sidecar."""


def exposures_recorded(patient: Patient) -> Check:
    """Units that the experiment routed and nobody recorded as exposed: their spans were lost."""
    lost = patient.losses.requests.unrecorded
    if not lost:
        detail = (
            "not seen: without the proxy's access log in the store (`meshtrial.request`), exposures lost on"
            " the way"
            " show in sample_ratio alone; watch the sidecar's counters of dropped spans, which are in no"
            " store"
        )
        return Check("exposures_recorded", None, None, detail)
    return _lost(
        patient,
        "exposures_recorded",
        lost,
        "units that were routed to an arm and have no exposure there",
        "exposure spans were lost: look at the sidecars' counters of dropped spans, at full spools, and at a"
        " collector or processor that samples or filters",
    )


def exposures_routed(patient: Patient) -> Check | None:
    """Units that were recorded as exposed and never routed there: they did not meet their arm."""
    lost = patient.losses.requests.unrouted
    if not lost:
        return None
    if not patient.losses.requests.count:
        return _unlogged(patient, sum(place.units for place in lost.values()))
    return _lost(
        patient,
        "exposures_routed",
        lost,
        "units that were exposed to an arm and have no request there",
        "they got control, as the sidecar's answer came too late, or the proxy's access log lost them: look"
        " at"
        " failed_open, at the proxy's time-out for the sidecar, and at the log's delivery",
    )


def _unlogged(patient: Patient, units: int) -> Check:
    """Metrics read the log, and there is none: without requests there are no errors either."""
    decision = patient.experiment.decision
    reading = [metric.id for metric in decision.metrics() if metric.events.outcome is None]
    several = len(reading) > 1
    detail = (
        f"the plan's metric{'s' * several} {', '.join(reading)} read{'s' * (not several)} the proxy's access"
        f" log, and the store has no request of this experiment, for {units:,} units that were exposed: send"
        " the log to the collector (docs/doctor.md, `requests-unlogged`), or measure outcomes"
    )
    return Check("exposures_routed", False if units >= LEAST else None, None, detail)


def _lost(patient: Patient, name: str, lost: Mapping[Place, Lost], what: str, advice: str) -> Check:
    arms, phases = patient.arms, list(patient.forms)
    strata = [
        Losses(
            tuple(lost.get(Place(phase, arm), Lost(0, 0)).lost for arm in arms),
            tuple(lost.get(Place(phase, arm), Lost(0, 0)).units for arm in arms),
        )
        for phase in phases
    ]
    totals = [
        (a, sum(s.lost[i] for s in strata), sum(s.units[i] for s in strata)) for i, a in enumerate(arms)
    ]
    # A request does not say its cohort, and cohorts of other weights may lose other shares.
    p_value = equal_loss(strata) if len(patient.experiment.splits) < 2 else NotEstimable("several cohorts")
    told = None if isinstance(p_value, NotEstimable) else p_value
    detail = f"{what}: {shares(totals)}"
    over = any(n >= LEAST and n > LOST_TOLERATED * units for _, n, units in totals)
    if told is not None and told < ALARM:
        return Check(name, False, told, f"{detail}; {advice}")
    if over:
        return Check(name, False, None, f"{detail}; {advice}")
    if any(n for _, n, _ in totals):
        return Check(name, None, told, f"{detail}; up to {LOST_TOLERATED:.1%} of an arm is tolerated")
    return Check(name, True, told, detail)


def failed_open(patient: Patient) -> Check | None:
    """Requests that went on without a decision, to control."""
    hours = patient.losses.requests.hours
    failed, requests = sum(hour.failed for hour in hours), sum(hour.requests for hour in hours)
    if not requests:
        return None
    if not failed:
        return Check("failed_open", True, None, f"none of {requests:,} requests went on without a decision")
    detail = (
        f"{failed:,} of {requests:,} requests ({percent(failed, requests)}) went on without a decision, to"
        " control;"
        f" worst hours: {_worst(hours, by_route=False)}; routes: {_worst(hours, by_route=True)}"
    )
    if failed >= LEAST and failed > FAILED_OPEN_TOLERATED * requests:
        advice = "look at the sidecar's restarts and health, and at the proxy's time-out for its answers"
        return Check("failed_open", False, None, f"{detail}; {advice}")
    if failed > FAILED_OPEN_NOTED * requests:
        return Check("failed_open", None, None, detail)
    return Check("failed_open", True, None, detail)


_MOST_NAMED = 3


def _worst(hours: tuple[Hour, ...], *, by_route: bool) -> str:
    """Where most failed, and what share of those that began there."""
    parts: dict[str, tuple[int, int]] = {}
    for hour in hours:
        name = (hour.route or "without a name") if by_route else moment(hour.start)[:16]
        failed, requests = parts.get(name, (0, 0))
        parts[name] = (failed + hour.failed, requests + hour.requests)
    worst = sorted(parts.items(), key=lambda part: (-part[1][0], part[0]))[:_MOST_NAMED]
    return shares((name, failed, requests) for name, (failed, requests) in worst if failed)


def received_in_time(patient: Patient) -> Check:
    """Exposures that came after their unit was final: said, and judged where one arm loses more."""
    late = patient.signs.late_exposures
    if not late:
        return Check("received_in_time", True, None, "every exposure was received in time")
    lost, kept = patient.losses.dropped.late, by_place(patient.exposed)
    arms = patient.arms
    strata = [
        Losses(
            tuple(lost.get(key._replace(arm=arm), 0) for arm in arms),
            tuple(lost.get(key._replace(arm=arm), 0) + kept.get(key._replace(arm=arm), 0) for arm in arms),
        )
        for key in sorted({key._replace(arm="") for key in [*lost, *kept] if key.phase in patient.forms})
    ]
    found = equal_loss(strata)
    p_value = None if isinstance(found, NotEstimable) else found
    totals = [
        (a, sum(s.lost[i] for s in strata), sum(s.units[i] for s in strata)) for i, a in enumerate(arms)
    ]
    detail = (
        f"exposures left out, as they were received after a window and the plan's `lateness`: "
        f"{listed(sorted(late.items()))}; units with no other exposure: {shares(totals)}"
    )
    if p_value is not None and p_value < ALARM:
        advice = "one arm's come later: look for sidecars or collectors that lag and serve one model only"
        return Check("received_in_time", False, p_value, f"{detail}; {advice}")
    advice = "raise `lateness` if that is how long your collectors may lag"
    return Check("received_in_time", None, p_value, f"{detail}; {advice}")


def exposures_counted(patient: Patient) -> Check:
    """Exposures that cannot be counted: said, not judged, as what decides it knows no arm."""
    found, unexposed = patient.losses.dropped.exposures, patient.losses.dropped.unexposed
    notes = [f"{count:,} {_WHY[why]}" for why, count in sorted(found.items()) if count and why in _WHY]
    if unexposed:
        by_reason = listed((reason or "without a reason", n) for reason, n in sorted(unexposed.items()))
        notes.append(f"requests that meet no arm by the plan's own rules, as is normal: {by_reason}")
    if notes:
        return Check("exposures_counted", None, None, "exposures left out: " + "; ".join(notes))
    return Check("exposures_counted", True, None, "every exposure can be counted")


_WHY = {
    "time": "began more than 30 days before their receipt or 1 day after it, or do not say whether they"
    " count:"
    " a clock is wrong",
    "evaluation": "are another SDK's evaluations, which say no phase",
    "kind": "are of another kind of unit than the plan's",
    "unit": "have no unit that can be read",
    "arm": "name no arm",
    "phase": "name no phase",
}
