"""Health of clocks and of the flow of data; pure."""

from itertools import pairwise

from meshtrial.analysis.health_check import Check, Patient, moment


def exposures_flow(patient: Patient) -> Check | None:
    """No exposure for much longer than ever before, while the trial goes on: said, not judged.

    What is there is sound; but a trial that waits for units will wait for ever.
    """
    bounds, last = patient.losses.bounds, patient.losses.dropped.last_exposure
    if last is None or bounds.cut is not None:
        return None
    periods = sorted({key.period for key in patient.gathered.exposed})
    longest = max((after - before for before, after in pairwise(periods)), default=0)
    usual = max(_TIMES * longest, patient.clock.day, patient.experiment.decision.closing() * 10**9)
    if bounds.now - last <= usual:
        return Check("exposures_flow", True, None, f"the latest exposure came at {moment(last)}")
    detail = (
        f"no exposure since {moment(last)}, which is longer than ever before: has traffic or the experiment"
        " been"
        " taken away, or is a collector down? What a sidecar's spool still holds comes when it is up again"
    )
    return Check("exposures_flow", None, None, detail)


_TIMES = 3
"""The longest gap so far is usual: nights and weekends come again."""


def clocks(patient: Patient) -> Check:
    """Exposures that began after their receipt: said, as their outcomes may seem to come before them."""
    ahead = patient.losses.dropped.ahead
    if not ahead:
        return Check("clocks", True, None, "no exposure is later than its receipt")
    detail = (
        f"{ahead:,} exposures began more than a minute after they were received: a sidecar's or proxy's"
        " clock is"
        " ahead, and outcomes of these units may seem to come before them"
    )
    return Check("clocks", None, None, detail)
