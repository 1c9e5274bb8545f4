"""Published sizes and powers, by our functions; conventions that are not ours by their formula."""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Final

from scipy.stats import norm

from meshtrial.stats.effect_size import EffectSize, cohen_h
from meshtrial.stats.proportion import Proportion
from meshtrial.stats.score import constrained_rates
from meshtrial.stats.size import mean_power, mean_size, proportion_power, proportion_size


def size_of_proportions(given: Any) -> Any:
    """R's power.prop.test, solved for n."""
    p1, p2 = given["p1"], given["p2"]
    return {"n_per_group": proportion_size(p1, p2 - p1, given["alpha"], given["power"])}


def power_of_proportions(given: Any) -> Any:
    """Both tails count."""
    p1, p2 = given["p1"], given["p2"]
    return {"power": proportion_power(p1, p2 - p1, given["n_per_group"], given["alpha"])}


def power_of_means(given: Any) -> Any:
    """The noncentral t."""
    return {"power": mean_power(1.0, given["d"], given["n_per_group"], given["alpha"])}


def evan_miller(p1: float, p2: float, alpha: float, power: float) -> float:
    """Not ours: it takes both variances without an effect at the baseline, so it is not the test's size."""
    null, own = 2 * p1 * (1 - p1), p1 * (1 - p1) + p2 * (1 - p2)
    reach = norm.isf(alpha / 2) * math.sqrt(null) + norm.ppf(power) * math.sqrt(own)
    return float((reach / (p2 - p1)) ** 2)


def evan_miller_default(given: Any) -> Any:
    """The page's own inputs."""
    p1 = given["p"]
    return {"n_per_variation": evan_miller(p1, p1 + given["mde_abs"], given["alpha"], given["power"])}


def non_inferiority(given: Any) -> Any:
    """Farrington and Manning's sizes, with the rates that are likeliest at the margin."""
    found: list[float] = []
    for case in given:
        p1, p2, margin, ratio = case["p1"], case["p2"], case["delta0"], float(Fraction(str(case["ratio"])))
        q2, q1 = constrained_rates(p2, p1, ratio, 1.0, margin)
        null = q1 * (1 - q1) + q2 * (1 - q2) / ratio
        own = p1 * (1 - p1) + p2 * (1 - p2) / ratio
        z = norm.isf(case["alpha_one_sided"]), norm.isf(case["beta"])
        n1 = ((z[0] * math.sqrt(null) + z[1] * math.sqrt(own)) / (p1 - p2 - margin)) ** 2
        found += [n1 * (1 + ratio)] if case["returns"] == "total N" else [n1, n1 * ratio]
    return found


def claimed(given: Any) -> Any:
    """Alpha 0.05 and power 0.8, by five conventions."""
    p1, p2, alpha, power = given["p1"], given["p2"], 0.05, 0.8
    reach = norm.isf(alpha / 2) + norm.ppf(power)
    h = cohen_h(_known(p1), _known(p2), alpha)
    assert isinstance(h, EffectSize)
    return {
        "pooled": proportion_size(p1, p2 - p1, alpha, power),
        # Not ours: the z test pools, so its size does.
        "unpooled": reach**2 * (p1 * (1 - p1) + p2 * (1 - p2)) / (p2 - p1) ** 2,
        "arcsine": 2 * (reach / h.value) ** 2,
        "evan_miller": evan_miller(p1, p2, alpha, power),
        "ttest_d_baseline_sd": mean_size(math.sqrt(p1 * (1 - p1)), p2 - p1, alpha, power),
    }


def _known(rate: float) -> Proportion:
    return Proportion(1000, round(1000 * rate))


ANSWERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "power-prop-R-1": size_of_proportions,
    "power-prop-stata-1": power_of_proportions,
    "power-t-R-1": power_of_means,
    "evan-miller-default": evan_miller_default,
    "noninferiority-FM-n": non_inferiority,
    "article-sample-size-absolute": claimed,
    "article-sample-size-relative": claimed,
    "chapter-sample-size": claimed,
}
