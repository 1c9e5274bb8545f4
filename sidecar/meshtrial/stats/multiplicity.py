"""Several tests, one error rate: adjusted p-values, each to be compared with the whole of it.

All take p-values in 0..1 in any order and return as many in that order, each at least as large. A test that
gave no p-value still counts as one that was asked: it goes in as 1. Of a sequential trial what goes in are
always-valid p-values.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from meshtrial.stats.integration import Floats

_Steps: TypeAlias = Callable[[Floats, Floats], Floats]
"""From the p-values in ascending order, and how many there are from each on, to what each is multiplied to;
before they are made to ascend."""


def bonferroni(p_values: Sequence[float]) -> list[float]:
    """Any wrong rejection at most at the rate, however the tests depend on one another.

    Raises:
        ValueError: A p-value is not in 0..1; so in all that follow.

    Source: Dunn 1961, Journal of the American Statistical Association 56:52.
    """
    return _down(p_values, lambda p, left: p * left[0])


def holm(p_values: Sequence[float]) -> list[float]:
    """As `bonferroni`, and never larger.

    Source: Holm 1979, Scandinavian Journal of Statistics 6:65.
    """
    return _down(p_values, lambda p, left: p * left)


def holm_sidak(p_values: Sequence[float]) -> list[float]:
    """Never larger than `holm`; for tests that are independent, or depend positively on one another.

    Source: Holland & Copenhaver 1987, Biometrics 43:417.
    """
    with np.errstate(divide="ignore"):  # of a p-value of 1
        return _down(p_values, lambda p, left: -np.expm1(left * np.log1p(-p)))


def hochberg(p_values: Sequence[float]) -> list[float]:
    """Never larger than `holm`; for tests that are independent, or depend positively on one another.

    Source: Hochberg 1988, Biometrika 75:800.
    """
    return _up(p_values, lambda p, left: p * left)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """The share of wrong ones among the rejected at most the rate, on average; dependence as in `hochberg`.

    Source: Benjamini & Hochberg 1995, Journal of the Royal Statistical Society B 57:289.
    """
    return _up(p_values, lambda p, left: p * len(p) / left[::-1])


def benjamini_yekutieli(p_values: Sequence[float]) -> list[float]:
    """As `benjamini_hochberg`, however the tests depend on one another.

    Source: Benjamini & Yekutieli 2001, Annals of Statistics 29:1165.
    """
    return _up(p_values, lambda p, left: p * len(p) * (1 / left).sum() / left[::-1])


def _down(p_values: Sequence[float], steps: _Steps) -> list[float]:
    """From the least p-value on, until one is not rejected: each is at least the one before."""
    return _adjusted(p_values, lambda p, left: np.maximum.accumulate(steps(p, left)))


def _up(p_values: Sequence[float], steps: _Steps) -> list[float]:
    """From the largest p-value on, until one is rejected: each is at most the one after."""
    return _adjusted(p_values, lambda p, left: np.minimum.accumulate(steps(p, left)[::-1])[::-1])


def _adjusted(p_values: Sequence[float], steps: _Steps) -> list[float]:
    for p in p_values:
        if not 0 <= p <= 1:
            raise ValueError(f"a p-value must be in 0..1, not {p}")
    if not p_values:
        return []
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values, kind="stable")
    ascending = values[order]
    adjusted = np.empty(len(values))
    # Never below the p-value itself by rounding.
    left = np.arange(len(values), 0, -1).astype(np.float64)
    adjusted[order] = np.clip(steps(ascending, left), ascending, 1)
    return adjusted.tolist()
