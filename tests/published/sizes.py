"""Published sizes and powers, by our functions."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Final

from meshtrial.stats.size import mean_power, proportion_power, proportion_size
from meshtrial.stats.size_conventions import Convention, conventional_size
from meshtrial.stats.size_rates import Rates


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


def evan_miller(given: Any) -> Any:
    """The page's own inputs."""
    size = conventional_size(
        Convention.EVAN_MILLER, given["p"], given["mde_abs"], given["alpha"], given["power"]
    )
    return {"n_per_variation": size}


def non_inferiority(given: Any) -> Any:
    """Farrington and Manning's sizes; their first group is our treatment."""
    found: list[float] = []
    for case in given:
        p1, p2, ratio = case["p1"], case["p2"], float(Fraction(str(case["ratio"])))
        rates = Rates(p2, p1 - p2, ratio=1 / ratio, beyond=case["delta0"])
        n2 = rates.size(2 * case["alpha_one_sided"], 1 - case["beta"])
        found += [n2 / ratio + n2] if case["returns"] == "total N" else [n2 / ratio, n2]
    return found


def claimed(given: Any) -> Any:
    """Alpha 0.05 and power 0.8, by every convention."""
    p1, p2 = given["p1"], given["p2"]
    return {
        str(convention): conventional_size(convention, p1, p2 - p1, 0.05, 0.8) for convention in Convention
    }


ANSWERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "power-prop-R-1": size_of_proportions,
    "power-prop-stata-1": power_of_proportions,
    "power-t-R-1": power_of_means,
    "evan-miller-default": evan_miller,
    "noninferiority-FM-n": non_inferiority,
    "article-sample-size-absolute": claimed,
    "article-sample-size-relative": claimed,
    "chapter-sample-size": claimed,
}
