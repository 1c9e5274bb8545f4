"""Against tea-tasting on random units: what it computes too, it computes alike."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
import tea_tasting as tt  # type: ignore[import-untyped] # it has no marker of types

from meshtrial.stats.adjust import Slopes, adjusted_contrast, cuped_slopes
from meshtrial.stats.contrast import Contrast, Contrasted, fieller
from meshtrial.stats.estimate import Difference, Interval
from meshtrial.stats.fixed import fixed, fixed_critical
from meshtrial.stats.joint import Joint
from meshtrial.stats.moments import Moments, mean_contrast
from meshtrial.stats.multiplicity import (
    benjamini_hochberg,
    benjamini_yekutieli,
    bonferroni,
    hochberg,
    holm,
    holm_sidak,
)
from meshtrial.stats.proportion import Proportion, compare_proportions
from meshtrial.stats.ratio import ratio_contrast
from meshtrial.stats.srm import ChiSquared, srm

Floats = npt.NDArray[np.float64]
SEEDS = range(8)


def drawn(seed: int) -> tuple[Floats, Floats]:
    """Units of two arms: sessions, orders, orders before, whether there was one."""
    rng = np.random.default_rng(seed)
    arms = []
    for lift in (0.0, rng.uniform(-0.2, 0.2)):
        units = int(rng.integers(300, 4_000))
        rate = rng.gamma(2.0, 0.2, units)
        sessions, before = 1 + rng.poisson(2, units), rng.poisson(rate * 3)
        orders = rng.poisson(rate * sessions * (1 + lift))
        arms.append(np.stack([sessions, orders, before, orders > 0], axis=1).astype(float))
    return arms[0], arms[1]


def tasted(metric: Any, arms: tuple[Floats, Floats]) -> Any:
    columns = ("sessions", "orders", "before", "bought")
    table = {name: np.concatenate([arm[:, i] for arm in arms]) for i, name in enumerate(columns)}
    table["bought"] = table["bought"].astype(int)
    table["variant"] = np.repeat([0, 1], [len(arm) for arm in arms])
    return tt.Experiment(metric=metric).analyze(pa.table(table))["metric"]


def agrees(contrast: Contrasted, theirs: Any, *, rel: float) -> None:
    """Values, effect, p-value and interval, each to some relative accuracy of the interval's limits."""
    assert isinstance(contrast, Contrast)
    found = fixed(contrast, 0.05)
    assert isinstance(found, Difference)
    assert (contrast.control, contrast.treatment) == pytest.approx(
        (theirs.control, theirs.treatment), rel=rel
    )
    assert found.effect == pytest.approx(theirs.effect_size, rel=rel)
    assert found.p_value == pytest.approx(theirs.pvalue, rel=10 * rel)
    limits = theirs.effect_size_ci_lower, theirs.effect_size_ci_upper
    assert (found.interval.low, found.interval.high) == pytest.approx(limits, rel=rel, abs=1e-10)
    assert found.relative == pytest.approx(theirs.rel_effect_size, rel=rel)


@pytest.mark.parametrize("seed", SEEDS)
def test_welchs_test_of_means(seed: int) -> None:
    arms = drawn(seed)
    control, treatment = (Moments.of(arm[:, 1], 0.5) for arm in arms)

    agrees(mean_contrast(control, treatment), tasted(tt.Mean("orders"), arms), rel=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_delta_method_of_ratios(seed: int) -> None:
    arms = drawn(seed)
    control, treatment = (Joint.of(arm[:, [1, 0]], [1.0, 3.0]) for arm in arms)

    agrees(ratio_contrast(control, treatment), tasted(tt.RatioOfMeans("orders", "sessions"), arms), rel=1e-8)


@pytest.mark.parametrize("seed", SEEDS)
def test_cuped_but_for_the_slope_being_of_both_arms_together_and_without_a_price(seed: int) -> None:
    arms = drawn(seed)
    control, treatment = (Joint.of(arm[:, [1, 2]], [1.0, 1.0]) for arm in arms)
    slopes = cuped_slopes([control, treatment])
    assert isinstance(slopes, Slopes)
    found, theirs = (
        adjusted_contrast(control, treatment, slopes),
        tasted(tt.Mean("orders", covariate="before"), arms),
    )

    assert isinstance(found, Contrast)
    assert found.effect == pytest.approx(theirs.effect_size, abs=0.02 * found.error)
    half = (theirs.effect_size_ci_upper - theirs.effect_size_ci_lower) / 2
    assert fixed_critical(found, 0.05) * found.error == pytest.approx(half, rel=0.005)


@pytest.mark.parametrize("seed", SEEDS)
def test_fiellers_interval_of_a_share_beside_theirs_of_the_log_ratio(seed: int) -> None:
    """Two answers to one question: they meet where the effect is known well."""
    arms = drawn(seed)
    contrast = mean_contrast(*(Moments.of(arm[:, 1], 0.5) for arm in arms))
    assert isinstance(contrast, Contrast)
    theirs = tasted(tt.Mean("orders"), arms)
    limits = theirs.rel_effect_size_ci_lower, theirs.rel_effect_size_ci_upper

    found = fieller(contrast, fixed_critical(contrast, 0.05))

    assert isinstance(found, Interval)
    assert (found.low, found.high) == pytest.approx(limits, abs=0.1 * (limits[1] - limits[0]))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_z_test_of_proportions(seed: int) -> None:
    arms = drawn(seed)
    control, treatment = (Proportion(len(arm), int(arm[:, 3].sum())) for arm in arms)
    found = compare_proportions(control, treatment, 0.05)
    theirs = tasted(tt.Proportion("bought", method="norm", correction=False, equal_var=True), arms)

    assert isinstance(found, Difference)
    assert found.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
    assert found.effect == pytest.approx(theirs.effect_size, rel=1e-9)
    assert found.relative == pytest.approx(theirs.rel_effect_size, rel=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_split_of_units(seed: int) -> None:
    arms = drawn(seed)
    ratio = len(arms[1]) / len(arms[0]) * 1.1
    found = srm([len(arm) for arm in arms], [1.0, ratio])
    theirs = tasted(tt.SampleRatio(ratio, method="norm", correction=False), arms)

    assert isinstance(found, ChiSquared)
    assert found.p_value() == pytest.approx(theirs.pvalue, rel=1e-7)


@pytest.mark.parametrize("seed", SEEDS)
def test_p_values_of_several_metrics_adjusted_for_each_other(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, names = rng.normal(size=(400, 6)), [f"m{i}" for i in range(6)]
    values[200:] += rng.uniform(0, 0.4, 6)
    table = {name: values[:, i] for i, name in enumerate(names)} | {"variant": np.repeat([0, 1], 200)}
    result = tt.Experiment({name: tt.Mean(name) for name in names}).analyze(pa.table(table))
    p_values = [result[name].pvalue for name in names]

    def adjusted(results: Any) -> list[float]:
        found = {row["metric"]: row["pvalue_adj"] for row in results.to_dicts()}
        return [found[name] for name in names]

    assert benjamini_hochberg(p_values) == pytest.approx(adjusted(tt.adjust_fdr(result)), rel=1e-9)
    dependent = tt.adjust_fdr(result, arbitrary_dependence=True)
    assert benjamini_yekutieli(p_values) == pytest.approx(adjusted(dependent), rel=1e-9)
    step_up = tt.adjust_fwer(result, method="bonferroni")
    assert hochberg(p_values) == pytest.approx(adjusted(step_up), rel=1e-9)
    step_down = tt.adjust_fwer(result, method="bonferroni", arbitrary_dependence=True)
    assert holm(p_values) == pytest.approx(adjusted(step_down), rel=1e-9)
    sidak = tt.adjust_fwer(result, method="sidak", arbitrary_dependence=True)
    assert holm_sidak(p_values) == pytest.approx(adjusted(sidak), rel=1e-9)
    assert all(one >= other for one, other in zip(bonferroni(p_values), holm(p_values), strict=True))
