"""Is the trial sound? Checks that concern the trial itself and never the effect; pure.

An unsound trial has no verdict: randomisation that failed biases everything after it. So whatever makes arms
unlike, and whatever is lost in one arm more than in another, fails a check; what is lost alike is a note.
"""

from collections.abc import Callable
from dataclasses import replace

from meshtrial.analysis.health_balance import covariate_balance
from meshtrial.analysis.health_check import Check, Patient
from meshtrial.analysis.health_history import one_allocation, one_key, one_plan
from meshtrial.analysis.health_losses import (
    exposures_counted,
    exposures_recorded,
    exposures_routed,
    failed_open,
    received_in_time,
)
from meshtrial.analysis.health_outcomes import outcomes_flow, outcomes_join, outcomes_kept
from meshtrial.analysis.health_split import (
    cohorts,
    forced_units,
    known_arms,
    one_arm,
    sample_ratio,
    sample_ratio_parts,
)
from meshtrial.analysis.health_time import clocks, exposures_flow


def check_health(patient: Patient) -> tuple[Check, ...]:
    """All checks that concern the experiment, in the order in which they are shown.

    Without an exposure none has passed, but for what is of requests alone.
    """
    checks = [found for check in CHECKS if (found := check(patient)) is not None]
    if any(patient.gathered.exposed.values()):
        return tuple(checks)
    nothing = "nothing to check yet: no unit was exposed"
    return tuple(
        replace(found, passed=None, p_value=None, detail=nothing)
        if found.passed and found.check != "failed_open"
        else found
        for found in checks
    )


CHECKS: tuple[Callable[[Patient], Check | None], ...] = (
    sample_ratio,
    sample_ratio_parts,
    known_arms,
    cohorts,
    one_arm,
    forced_units,
    one_allocation,
    one_plan,
    one_key,
    exposures_recorded,
    exposures_routed,
    failed_open,
    received_in_time,
    exposures_counted,
    exposures_flow,
    clocks,
    outcomes_join,
    outcomes_kept,
    outcomes_flow,
    covariate_balance,
)
