"""When a confidence sequence may be looked at first: before, sums of rare or skewed outcomes are not normal.

Looking too early is what breaks an asymptotic method, and the more so the less equal the arms' shares: at
10/90 and a rate of 0.005, without waiting, 28% of trials without an effect alarm where 5% may.
"""

from typing import Final

from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.moments import Moments
from meshtrial.stats.proportion import Proportion

LEAST_EVENTS: Final = 10
"""Units with the outcome, and units without, that each arm needs."""
LEAST_EFFECTIVE: Final = 200
"""Effective units that each arm needs, or else `LEAST_NONZERO`.

By simulation at 10/90, with looks throughout, over horizons of up to 20 times the units that the sequence is
tuned for, which errs most where these are about when the burn-in ends: of trials without an effect whose
values are lognormal, 3% alarm if the logarithm's standard deviation is 1, 5% at 1.25, 7% at 1.5 and 9% at 2,
where one unit in 1000 holds a seventh of the total. A metric as skewed as the latter two needs a cap.
"""
LEAST_NONZERO: Final = 2000
"""Units whose value is not 0, for values of both signs, whose effective units may stay few for ever."""


def burn_in(control: Proportion, treatment: Proportion) -> NotEstimable | None:
    """Why proportions may not be looked at yet; None once they may.

    Of a quantile, the units below it are the successes.
    """
    for arm, sample in (("control", control), ("treatment", treatment)):
        if min(sample.successes, sample.units - sample.successes) < LEAST_EVENTS:
            return NotEstimable(
                f"a sequential look needs {LEAST_EVENTS} units with the outcome and {LEAST_EVENTS} without"
                f" in each arm, and the {arm} arm has {sample.successes} of {sample.units}"
            )
    return None


def burn_in_means(
    control: Moments, treatment: Moments, control_nonzero: int, treatment_nonzero: int
) -> NotEstimable | None:
    """Why means may not be looked at yet; None once they may.

    Args:
        control: The arm compared with.
        treatment: The arm compared.
        control_nonzero: Units of that arm whose value is not 0.
        treatment_nonzero: The same of the treatment arm.
    """
    arms = (("control", control, control_nonzero), ("treatment", treatment, treatment_nonzero))
    for arm, sample, nonzero in arms:
        effective = effective_units(sample)
        if effective < LEAST_EFFECTIVE and nonzero < LEAST_NONZERO:
            return NotEstimable(
                f"a sequential look needs {LEAST_EFFECTIVE} effective units in each arm, or"
                f" {LEAST_NONZERO} whose value is not 0; the {arm} arm has {effective:.3g} and {nonzero}"
            )
    return None


def effective_units(sample: Moments) -> float:
    """Among how many units of equal value the total could be divided, (sum of x)^2 / sum of x^2, 0..units.

    Of a yes-or-no outcome it is the units that had it.

    Source: Kish 1965, Survey Sampling, section 8.2 (the effective sample size of unequal weights).
    """
    if sample.units == 0:
        return 0.0
    # About 0 rather than about the shift, by way of the mean: each sum alone may be far larger.
    gap = sample.total / sample.units
    mean, spread = sample.shift + gap, max(0.0, sample.squares / sample.units - gap * gap)
    return sample.units * mean * mean / (mean * mean + spread) if mean * mean else 0.0
