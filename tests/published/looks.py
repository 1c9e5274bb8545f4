"""Published boundaries, sequences and tests of splits, by our functions."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from scipy.stats import multinomial, norm

from meshtrial.plan.inference import Boundary, Shape
from meshtrial.stats.boundary import exact_bounds, spending_bounds
from meshtrial.stats.contrast import Contrast
from meshtrial.stats.estimate import Difference
from meshtrial.stats.group_sequential_size import Planned, schedule
from meshtrial.stats.integration import crossing
from meshtrial.stats.mixture import Sides, boundary, log_e, tuned_rho
from meshtrial.stats.moments import Moments
from meshtrial.stats.proportion import Proportion
from meshtrial.stats.safe import Prior, SafeTest
from meshtrial.stats.sequence import confidence_sequence
from meshtrial.stats.srm import ChiSquared, srm, srm_log_e

OBRIEN_FLEMING, POCOCK = Boundary(Shape.OBRIEN_FLEMING), Boundary(Shape.POCOCK)


def even(looks: int) -> list[float]:
    """Times of looks that are equally far apart."""
    return [(k + 1) / looks for k in range(looks)]


def split(given: Any) -> Any:
    """The p-value of one look."""
    found = srm(given["observed"], given["expected_ratio"])
    assert isinstance(found, ChiSquared)
    return found.p_value()


def splits(given: Any) -> Any:
    """Published as two likelihoods, of which our e-value is the ratio: the second one is scipy's."""

    def both(stream: Any) -> Any:
        batches, theta = np.array(stream), np.array(given["theta0"])
        planned = sum(multinomial.logpmf(batch, batch.sum(), theta) for batch in batches)
        ratio = srm_log_e(batches.sum(axis=0), theta, given["dirichlet_alpha"])
        return {"logM1": planned + float(ratio), "logM0": planned}

    return {"unit_final": both(given["unit_stream"]), "aggregated_final": both(given["aggregated"])}


def constants(given: Any) -> Any:
    """The last look's bounds."""
    times = even(given["K"])
    shapes = {"pocock": POCOCK, "obf": OBRIEN_FLEMING}
    return {
        name: exact_bounds(shape, given["alpha"], times, given["sides"]).z[-1]
        for name, shape in shapes.items()
    }


def exact(given: Any) -> Any:
    """O'Brien and Fleming's bounds."""
    return exact_bounds(OBRIEN_FLEMING, given["alpha"], given["t"], given["sides"]).z.tolist()


def unfinished(given: Any) -> Any:
    """Pocock's spending where the trial is not over."""
    found = spending_bounds(POCOCK, given["alpha"], given["t"], sides=given["sides"])
    return {"spent": found.spent.tolist(), "z": found.z.tolist()}


def spending(given: Any) -> Any:
    """O'Brien and Fleming's spending."""
    return spending_bounds(OBRIEN_FLEMING, given["alpha"], given["t"], sides=given["sides"]).z.tolist()


def design(given: Any) -> Any:
    """A trial's size and what happens at its looks."""
    shape = Boundary(Shape.HWANG_SHIH_DECANI, given["gamma"])
    found = schedule(Planned(shape, given["alpha"], given["power"], tuple(given["t"]), sides=1))
    return {
        "z": found.bounds.tolist(),
        "inflation": found.most,
        "EN_H0": found.expected_without,
        "EN_H1": found.expected_with,
        "crossing_H1": found.rejected_with.tolist(),
    }


def peeking(given: Any) -> Any:
    """How often some look is beyond the bound of one."""
    z = norm.isf(given["alpha"] / 2)
    crossed = (crossing(even(looks), [-z] * looks, [z] * looks) for looks in given["k"])
    return [float(below.sum() + above.sum()) for below, above in crossed]


def mixture(given: Any) -> Any:
    """Evidence and boundary, either way and upwards."""

    def one(sides: Sides) -> Any:
        rho = tuned_rho(given["v_opt"], given["alpha_opt"], sides)
        return {
            "log_e": float(log_e(given["s"], given["v"], rho, sides)),
            "bound": float(boundary(given["v"], rho, given["alpha"], sides)),
        }

    return {"rho": tuned_rho(given["v_opt"], given["alpha_opt"]), "two_sided": one(2), "one_sided": one(1)}


def sequence(given: Any) -> Any:
    """The effect is relative, with errors of the delta method; only the boundary is ours."""
    return [_sequence(case) for case in given]


def _sequence(case: Any) -> Any:
    (m0, v0, n0), (m1, v1, n1) = (_mean(case[arm]) for arm in ("control", "treatment"))
    errors = m1 * math.sqrt(v0 / n0) / m0**2, math.sqrt(v1 / n1) / m0
    contrast = Contrast("", 1.0, m1 / m0 - 1, *errors, math.inf, n0, n1)
    found = confidence_sequence(contrast, 0.05, case["N_star"])
    assert isinstance(found, Difference)
    limits = [found.interval.low, found.interval.high]
    return {"lift": found.effect, "se": found.error, "ci": limits, "p": found.p_value}


def _mean(arm: Any) -> tuple[float, float, int]:
    n = arm["n"]
    if "x" in arm:
        return arm["x"] / n, arm["x"] / n * (1 - arm["x"] / n), n
    sample = Moments(0.0, n, arm["sum"], arm["sum_squares"])
    mean, variance = sample.mean(), sample.variance()
    assert isinstance(mean, float)
    assert isinstance(variance, float)
    return mean, variance, n


def safe(given: Any) -> Any:
    """Blocks with a prior for each arm."""
    test = SafeTest(control_prior=Prior(0.18, 0.18), treatment_prior=Prior(0.09, 0.09))
    for had_a, had_b in zip(given["ya"], given["yb"], strict=True):
        test = test.after(Proportion(given["na"], had_a), Proportion(given["nb"], had_b))
    return {"e_value": math.exp(test.log_e)}


ANSWERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "srm-vermeer-ok": split,
    "srm-wikipedia": split,
    "srm-sequential-ssrm": splits,
    "gs-JT-K2": constants,
    "gs-JT-K4": constants,
    "gs-rpact-of": exact,
    "gs-rpact-ldp": unfinished,
    "gs-gsdesign-hsd5": design,
    "gs-ldof-5": spending,
    "naive-peeking-AMR": peeking,
    "cs-normal-mixture": mixture,
    "asympcs-growthbook": sequence,
    "safe2x2-vignette-unbalanced": safe,
}
