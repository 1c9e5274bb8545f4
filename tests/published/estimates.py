"""Published comparisons of two arms at one look, by our functions; methods that are not ours by formula."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from scipy.stats import chi2_contingency, norm, t

from meshtrial.stats.adjust import Slopes, adjusted_contrast, cuped_slopes
from meshtrial.stats.contrast import Contrast, Contrasted, fieller
from meshtrial.stats.estimate import Comparison, Difference, Interval, NotEstimable
from meshtrial.stats.fixed import fixed, fixed_critical, fixed_p_value
from meshtrial.stats.joint import Joint
from meshtrial.stats.moments import Moments, mean_contrast
from meshtrial.stats.multiplicity import benjamini_hochberg, benjamini_yekutieli, hochberg, holm_sidak
from meshtrial.stats.practical import tost
from meshtrial.stats.proportion import Proportion, compare_proportions, proportion_contrast
from meshtrial.stats.quantile import QuantileSample, Ranks, quantile_contrast
from meshtrial.stats.ratio import ratio_contrast
from meshtrial.stats.score import miettinen_nurminen


def told(contrast: Contrasted) -> Contrast:
    """The estimate, which there must be."""
    assert isinstance(contrast, Contrast)
    return contrast


def estimated(comparison: Comparison) -> Difference:
    """The answer, which there must be."""
    assert isinstance(comparison, Difference)
    return comparison


def ends(interval: Interval | NotEstimable) -> list[float]:
    """Both limits, which there must be."""
    assert isinstance(interval, Interval)
    return [interval.low, interval.high]


def two_by_two(given: Any) -> Any:
    """Pearson's chi-squared of a table."""
    (x0, not0), (x1, not1) = given["table"]
    p = estimated(compare_proportions(Proportion(x0 + not0, x0), Proportion(x1 + not1, x1), 0.05)).p_value
    # Not ours: the correction makes alarms rarer than alpha says.
    yates = chi2_contingency(given["table"], correction=True)
    return {
        "no_correction": {"chi2": norm.isf(p / 2) ** 2, "p": p},
        "yates": {"chi2": yates.statistic, "p": yates.pvalue},
    }


def four_intervals(given: Any) -> Any:
    """Of a difference of proportions: both of ours, and two that our sufficient statistics give."""
    x0, n0, x1, n1 = (given[key] for key in ("x2", "n2", "x1", "n1"))
    control, treatment, alpha = Proportion(n0, x0), Proportion(n1, x1), 1 - given["conf"]
    # Agresti and Caffo's is Wald's with an event and a non-event more in each arm; neither is reported.
    more = proportion_contrast(Proportion(n0 + 2, x0 + 1), Proportion(n1 + 2, x1 + 1))
    plain = proportion_contrast(control, treatment)
    return {
        "wald": ends(estimated(fixed(plain, alpha)).interval),
        "agresti_caffo": ends(estimated(fixed(more, alpha)).interval),
        "newcombe": ends(estimated(compare_proportions(control, treatment, alpha)).interval),
        "miettinen_nurminen": ends(miettinen_nurminen(control, treatment, alpha)),
    }


def score_intervals(given: Any) -> Any:
    """Miettinen and Nurminen's, one after the other."""
    found = [
        miettinen_nurminen(Proportion(case["n2"], case["x2"]), Proportion(case["n1"], case["x1"]), 0.05)
        for case in given
    ]
    return [limit for interval in found for limit in ends(interval)]


def sleep(given: Any) -> Any:
    """Welch's test of the sleep data."""
    control, treatment = (Moments.of(np.array(given[name]), 1.0) for name in ("group2", "group1"))
    found = told(mean_contrast(control, treatment))
    said = estimated(fixed(found, 0.05))
    return {
        "t": found.effect / found.error,
        "df": found.freedom,
        "p": said.p_value,
        "ci": ends(said.interval),
    }


def of_sums(given: Any) -> Any:
    """Welch's test of sums and sums of squares."""
    control, treatment = (
        Moments(0.0, arm["n"], arm["sum"], arm["sum_squares"])
        for arm in (given["control"], given["treatment"])
    )
    said = estimated(fixed(mean_contrast(control, treatment), given["alpha"]))
    return {"diff": said.effect, "se": said.error, "ci": ends(said.interval), "p": said.p_value}


def ratio_of_two(given: Any) -> Any:
    """Fieller's interval of a ratio; ours is of the ratio less 1."""
    one = Contrast("", given["b"], given["a"] - given["b"], given["se_b"], given["se_a"], math.inf, 2, 2)
    return [1 + limit for limit in ends(fieller(one, given["t"]))]


def variance_of_ratio(given: Any) -> Any:
    """A unit's share of the variance of x / y."""
    units = 100
    sums = tuple((units - 1) * given[name] for name in ("var_x", "cov_xy", "var_y"))
    sample = Joint((given["mean_x"], given["mean_y"]), units, (0.0, 0.0), sums)
    return units * told(ratio_contrast(sample, sample)).control_error ** 2


def _pair(arm: Any, first: str, second: str) -> Joint:
    """Two variables of an arm of tea-tasting's."""
    n, x, y = arm["n"], arm["sum"][first], arm["sum"][second]
    cov = next(iter(arm["cov"].values()))
    squares = arm["sum_squares"]
    return Joint((0.0, 0.0), n, (x, y), (squares[first], cov * (n - 1) + x * y / n, squares[second]))


def _tea_tasted(found: Contrast) -> Any:
    said = estimated(fixed(found, 0.05))
    assert isinstance(said.relative, float)
    # Not ours: on the log ratio, which has no answer where signs differ. We report Fieller's, which is the
    # set of shares that the test does not reject.
    v0, v1 = (found.control_error / found.control) ** 2, (found.treatment_error / found.treatment) ** 2
    n0, n1 = found.control_units, found.treatment_units
    freedom = (v0 + v1) ** 2 / (v0**2 / (n0 - 1) + v1**2 / (n1 - 1))
    half = t.isf(0.025, freedom) * math.sqrt(v0 + v1)
    log_ratio = math.log(found.treatment / found.control)
    return {
        "diff": said.effect,
        "ci": ends(said.interval),
        "rel": said.relative,
        "rel_ci": [math.expm1(log_ratio - half), math.expm1(log_ratio + half)],
        "p": said.p_value,
    }


def mean_of_units(given: Any) -> Any:
    """Sessions by user."""
    control, treatment = (
        Moments(0.0, arm["n"], arm["sum"]["sessions"], arm["sum_squares"]["sessions"])
        for arm in (given["0"], given["1"])
    )
    return _tea_tasted(told(mean_contrast(control, treatment)))


def ratio_of_sums(given: Any) -> Any:
    """Orders by session."""
    control, treatment = (_pair(given[arm], "orders", "sessions") for arm in ("0", "1"))
    return _tea_tasted(told(ratio_contrast(control, treatment)))


def _without_price(slopes: object) -> Slopes:
    """As if slopes had been known before: what is published pays nothing for having fitted them."""
    assert isinstance(slopes, Slopes)
    return replace(
        slopes,
        control=replace(slopes.control, inflation=1.0),
        treatment=replace(slopes.treatment, inflation=1.0),
    )


def cuped(given: Any) -> Any:
    """Orders by user, with what they ordered before; one slope from both arms together."""
    control, treatment = (_pair(given[arm], "orders", "orders_covariate") for arm in ("0", "1"))
    slopes = _without_price(cuped_slopes([control + treatment]))
    return _tea_tasted(told(adjusted_contrast(control, treatment, slopes)))


def cuped_p_value(given: Any) -> Any:
    """On the absolute scale."""
    control, treatment = (
        Joint((0.0, 0.0), arm["n"], (arm["y"], arm["x"]), (arm["yy"], arm["xy"], arm["xx"]))
        for arm in (given["control"], given["treatment"])
    )
    slopes = _without_price(cuped_slopes([control + treatment]))
    return {"p": fixed_p_value(told(adjusted_contrast(control, treatment, slopes)))}


def quantile(given: Any) -> Any:
    """Published with a factor (n - 1) / n on each arm's variance; ours, over units, has n / (n - 1)."""
    nu, arms = given["nu"], []
    for arm in (given["control"], given["treatment"]):
        q, n, half = arm["q"], arm["n"], norm.isf(0.025) * math.sqrt(nu * (1 - nu) * arm["n"])
        counts = Joint((0.0, 0.0), n, (nu * n, n), (nu * n, nu * n, n))
        ranks = Ranks(nu * n - half, nu * n + half)
        arms.append(QuantileSample(nu, q, counts, counts, q, q, ranks, arm["lower"], arm["upper"]))
    found = told(quantile_contrast(*arms))
    control, treatment = (
        error * (arm.counts.units - 1) / arm.counts.units
        for error, arm in zip((found.control_error, found.treatment_error), arms, strict=True)
    )
    theirs = replace(found, control_error=control, treatment_error=treatment, freedom=math.inf)
    half = fixed_critical(theirs, 0.05) * theirs.error
    return {"diff": found.effect, "ci": [found.effect - half, found.effect + half]}


def adjusted(given: Any) -> Any:
    """p-values of several tests."""
    return {
        "bh": benjamini_hochberg(given["p"]),
        "by": benjamini_yekutieli(given["p"]),
        "hochberg": hochberg(given["p"]),
        "holm_sidak": holm_sidak(given["p"]),
    }


def equivalence(given: Any) -> Any:
    """The bound is in standard deviations, the root of the mean of both variances."""
    control, treatment = (
        Moments(given[f"m{arm}"], given[f"n{arm}"], 0.0, (given[f"n{arm}"] - 1) * given[f"sd{arm}"] ** 2)
        for arm in (2, 1)
    )
    margin = given["bounds_d"] * math.sqrt((given["sd1"] ** 2 + given["sd2"] ** 2) / 2)
    found = tost(told(mean_contrast(control, treatment)), margin, relative=False)
    return {"t_upper": found.below, "p": found.p_value}


ANSWERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "chapter-chi2": two_by_two,
    "prop-diff-ci-fagerland": four_intervals,
    "prop-diff-ci-MN": score_intervals,
    "welch-sleep": sleep,
    "growthbook-welch-abs": of_sums,
    "fieller-dcstats": ratio_of_two,
    "delta-ratio-var": variance_of_ratio,
    "tea-tasting-sessions_per_user": mean_of_units,
    "tea-tasting-orders_per_session": ratio_of_sums,
    "tea-tasting-cuped-orders_per_user": cuped,
    "growthbook-cuped-rel": cuped_p_value,
    "quantile-p90-growthbook": quantile,
    "multiplicity-teatasting": adjusted,
    "tost-lakens": equivalence,
}
