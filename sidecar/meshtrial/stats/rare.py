"""Bounds of a difference of proportions by counts alone, where outcomes are too rare for a standard error.

For guardrails: that no unit of either arm had an error must let a trial pass, and that 300 units had one
where control had five must stop it, though neither leaves a test a variance to stand on. The bounds are wide
rather than wrong; once the arms have a contrast, its interval takes their place.
"""

import math
from collections.abc import Sequence
from typing import Final

from scipy.optimize import brentq
from scipy.special import betaln, ndtri, xlog1py, xlogy

from meshtrial.stats.estimate import Comparison, Difference, Interval, NotEstimable, require_alpha
from meshtrial.stats.proportion import Proportion, wilson_of
from meshtrial.stats.stratified import Stratum

NOBODY: Final = "no unit had the outcome, Wilson bounds"
ALWAYS: Final = "rare outcomes, beta-binomial confidence sequences"
_PRIOR: Final = 0.5
"""Both parameters of the beta distribution over which the likelihood ratio is mixed."""


def nobody_had_it(strata: Sequence[Stratum], alpha: float) -> Comparison:
    """Bounds for one look, where no unit of either arm had the outcome.

    Each arm's proportion is below Wilson's upper limit of 0 of n units, z^2 / (n + z^2), and so is the
    difference, either way. Refused where some unit had the outcome: then it has a test.

    Args:
        strata: At least one.
        alpha: Two-sided error rate, in (0, 0.5).

    Raises:
        ValueError: `alpha` is out of range.

    Source: Newcombe 1998, Statistics in Medicine 17:873, method 10, at no successes.
    """
    require_alpha(alpha)
    if any(s.control.successes or s.treatment.successes for s in strata):
        return NotEstimable("some unit had the outcome, so that its test tells")
    z = -float(ndtri(alpha / 2))
    control, treatment = (
        wilson_of(0.0, 1 / max(weight / arm.units for weight, arm in arms), z).high for arms in _arms(strata)
    )
    return _told(NOBODY, 0.0, 0.0, Interval(-control, treatment), 1.0)


def always_bounded(strata: Sequence[Stratum], alpha: float, p_value: float | None) -> Comparison:
    """Bounds that hold at all looks together, for any counts.

    Each arm has a confidence sequence of its own at `alpha` / 2: every proportion that the mixture of all
    others does not outweigh by 2 / alpha. So they hold together, and with them what lies between them. Units
    of a stratum count as alike; with strata, what may be true of all units together is scaled by the largest
    (or, from below, the smallest) share that one unit has in the weighted proportion.

    Args:
        strata: At least one.
        alpha: Error rate of all looks, two-sided, in (0, 0.5).
        p_value: Of no effect, valid at any look; None where there is none, which counts as 1.

    Raises:
        ValueError: `alpha` is out of range.

    Source: Robbins 1970, Annals of Mathematical Statistics 41:1397 (the mixture); Howard, Ramdas, McAuliffe &
    Sekhon 2021, Annals of Statistics 49:1055, section 4.3 of the preprint arXiv 1810.08240 (beta-binomial).
    """
    require_alpha(alpha)
    control, treatment = (_bounds(arms, alpha / 2) for arms in _arms(strata))
    values = [math.fsum(w * a.successes / a.units for w, a in arms) for arms in _arms(strata)]
    variances = [
        math.fsum(w * w * a.successes * (a.units - a.successes) / a.units**3 for w, a in arms)
        for arms in _arms(strata)
    ]
    interval = Interval(treatment.low - control.high, treatment.high - control.low)
    return _told(
        ALWAYS,
        values[1] - values[0],
        math.sqrt(sum(variances)),
        interval,
        1.0 if p_value is None else p_value,
    )


def proportion_sequence(sample: Proportion, alpha: float) -> Interval:
    """One proportion, at all looks together; 0..1 where there are no units.

    Args:
        sample: All units so far.
        alpha: Error rate of all looks, in (0, 1).

    Source: as of `always_bounded`.
    """
    had, units = sample.successes, sample.units
    if units == 0:
        return Interval(0.0, 1.0)
    mixed = betaln(_PRIOR + had, _PRIOR + units - had) - betaln(_PRIOR, _PRIOR)
    wanted = float(mixed) + math.log(alpha)

    def above(p: float) -> float:
        """Log likelihood less what it must exceed: above 0 within the interval."""
        return float(xlogy(had, p) + xlog1py(units - had, -p)) - wanted

    peak = had / units
    low = 0.0 if had == 0 else brentq(above, math.ulp(0.0), peak, xtol=1e-300, rtol=1e-12)
    high = 1.0 if had == units else brentq(above, peak, 1 - 2**-53, xtol=1e-300, rtol=1e-12)
    return Interval(float(low), float(high))


def _arms(strata: Sequence[Stratum]) -> list[list[tuple[float, Proportion]]]:
    """Weights that sum to 1, with each arm's units."""
    whole = math.fsum(s.weight for s in strata)
    return [
        [(s.weight / whole, s.control) for s in strata],
        [(s.weight / whole, s.treatment) for s in strata],
    ]


def _bounds(arms: Sequence[tuple[float, Proportion]], alpha: float) -> Interval:
    units, had = sum(a.units for _, a in arms), sum(a.successes for _, a in arms)
    found = proportion_sequence(Proportion(units, had), alpha)
    shares = [units * weight / arm.units for weight, arm in arms]
    return Interval(found.low * min(shares), min(1.0, found.high * max(shares)))


def _told(method: str, effect: float, error: float, interval: Interval, p_value: float) -> Difference:
    share = NotEstimable("outcomes are too rare for anything to be a share of control's value")
    return Difference(method, effect, error, interval, p_value, share, share)
