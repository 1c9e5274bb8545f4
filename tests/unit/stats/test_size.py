import math
import re

import numpy as np
import pytest
from scipy.stats import nct, norm, t
from statsmodels.stats.power import TTestIndPower
from statsmodels.stats.proportion import power_proportions_2indep

from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.size import (
    duration_days,
    mean_power,
    mean_size,
    minimum_effect,
    proportion_power,
    proportion_size,
    round_up,
)


@pytest.mark.parametrize(
    ("baseline", "effect", "per_arm"), [(0.05, 0.02, 2_213), (0.05, 0.001, 752_703), (0.12, 0.02, 4_438)]
)
def test_a_size_is_rounded_up_to_whole_units(baseline: float, effect: float, per_arm: int) -> None:
    assert round_up(proportion_size(baseline, effect, 0.05, 0.8)) == per_arm


@pytest.mark.parametrize(
    ("baseline", "effect", "units", "alpha", "ratio"),
    [
        (0.12, 0.02, 4438, 0.05, 1.0),
        (0.12, -0.02, 3000, 0.05, 2.5),
        (0.5, 0.01, 100, 0.2, 0.25),
        (0.003, 0.001, 90_000, 0.01, 9.0),
        (0.9, 0.0001, 50, 0.4, 1.0),
    ],
)
def test_statsmodels_agrees_on_the_power_of_two_proportions(
    baseline: float, effect: float, units: float, alpha: float, ratio: float
) -> None:
    theirs = power_proportions_2indep(effect, baseline, units * ratio, ratio=1 / ratio, alpha=alpha).power
    assert proportion_power(baseline, effect, units, alpha, ratio) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("ratio", [1.0, 0.1, 4.0])
@pytest.mark.parametrize("power", [0.3, 0.8, 0.99])
def test_a_size_of_proportions_has_the_power_asked_for_in_the_near_tail(power: float, ratio: float) -> None:
    p0, p1 = 0.12, 0.14
    n0 = proportion_size(p0, p1 - p0, 0.05, power, ratio)
    pooled = (p0 + ratio * p1) / (1 + ratio)
    bar = norm.isf(0.025) * math.sqrt(pooled * (1 - pooled) * (1 / n0 + 1 / (ratio * n0)))
    error = math.sqrt(p0 * (1 - p0) / n0 + p1 * (1 - p1) / (ratio * n0))
    assert norm.sf(bar, p1 - p0, error) == pytest.approx(power, abs=1e-12)
    assert power <= proportion_power(p0, p1 - p0, n0, 0.05, ratio)


@pytest.mark.parametrize(
    ("sd", "effect", "alpha", "power", "ratio"),
    [
        (1.0, 1.0, 0.05, 0.9, 1.0),
        (1.5, 0.1, 0.05, 0.8, 1.0),
        (10.0, -0.5, 0.01, 0.95, 3.0),
        (2.0, 1.0, 0.2, 0.5, 0.2),
    ],
)
def test_statsmodels_agrees_on_the_size_for_two_means(
    sd: float, effect: float, alpha: float, power: float, ratio: float
) -> None:
    theirs = TTestIndPower().solve_power(abs(effect) / sd, None, alpha, power, ratio)
    units = mean_size(sd, effect, alpha, power, ratio)
    assert units == pytest.approx(theirs, rel=1e-6)
    assert mean_power(sd, effect, units, alpha, ratio) == pytest.approx(power, abs=1e-9)


@pytest.mark.parametrize("units", [2, 3, 17.5, 400, 1e6])
def test_the_power_for_means_is_both_tails_of_the_noncentral_t(units: float) -> None:
    effect, alpha, ratio = 0.003, 0.1, 1.5
    freedom, shift = units * 2.5 - 2, effect * math.sqrt(units * 0.6)
    bar = t.isf(alpha / 2, freedom)
    tails = nct.sf(bar, freedom, shift) + nct.cdf(-bar, freedom, shift)
    assert mean_power(1.0, effect, units, alpha, ratio) == pytest.approx(tails, abs=1e-12)


@pytest.mark.parametrize(("units", "least"), [(30, 9.0), (500, 2.0), (1e6, 0.1), (1e12, 0.1)])
def test_a_large_effect_is_found_for_certain_however_large(units: float, least: float) -> None:
    effects = np.geomspace(least, 900, 400)
    assert {mean_power(1.0, float(effect), units, 0.05) for effect in effects} == {1.0}


def test_a_huge_effect_still_takes_2_units_in_each_arm_because_a_variance_does() -> None:
    assert mean_size(1.0, 500.0, 0.05, 0.8) == 2.0
    assert mean_size(1.0, 500.0, 0.05, 0.8, ratio=0.25) == 8.0


def test_1800_per_arm_find_3_2_points_from_12_percent_and_not_2() -> None:
    assert minimum_effect(0.12, 1800, 0.05, 0.8) == pytest.approx(0.0320, abs=5e-5)
    assert proportion_power(0.12, 0.02, 1800, 0.05) == pytest.approx(0.430, abs=5e-4)


def test_15000_per_arm_find_0_73_points_from_5_percent() -> None:
    assert minimum_effect(0.05, 15_000, 0.05, 0.8) == pytest.approx(0.00729, abs=5e-6)


def test_too_few_units_find_no_effect_at_all() -> None:
    assert minimum_effect(0.99, 10, 0.05, 0.8) == NotEstimable(
        "10 units an arm are too few to find even a rise to 100%"
    )


@pytest.mark.parametrize(("units", "whole"), [(4437.36, 4438), (2.0, 2), (2.0000001, 3)])
def test_units_are_rounded_up(units: float, whole: int) -> None:
    assert round_up(units) == whole


def test_a_duration_is_units_over_traffic() -> None:
    assert duration_days(8876, 1000) == 8.876


PROPORTION = {"baseline": 0.12, "effect": 0.02, "alpha": 0.05, "power": 0.8}
MEAN = {"sd": 1.5, "effect": 0.1, "alpha": 0.05, "power": 0.8}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"baseline": 0.0}, "baseline must be above 0 and below 1, not 0"),
        ({"baseline": 12.0}, "baseline must be above 0 and below 1, not 12"),
        ({"effect": 0.0}, "effect must be at least 1e-12 either way, not 0"),
        ({"effect": math.nan}, "effect must be at least 1e-12 either way, not nan"),
        ({"effect": 0.88}, "baseline plus effect must be above 0 and below 1, not 1"),
        ({"effect": -0.12}, "baseline plus effect must be above 0 and below 1, not 0"),
        ({"alpha": 0.5}, "alpha must be above 0 and below 0.5, not 0.5"),
        ({"power": 1.0}, "power must be above 0.05 and below 1, not 1"),
        ({"power": 0.05}, "power must be above 0.05 and below 1, not 0.05"),
        ({"ratio": 0.0}, "ratio must be above 1e-06 and below 1e+06, not 0"),
        (
            {"baseline": 0.5, "effect": -0.49, "power": 0.2, "ratio": 100.0},
            "no size can be computed for ratio 100: arms are too unequal to approximate",
        ),
    ],
)
def test_a_size_of_proportions_out_of_range_is_refused(changed: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^{re.escape(message)}$"):
        proportion_size(**(PROPORTION | changed))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"sd": 0.0}, "sd must be above 0 and finite, not 0"),
        ({"sd": math.inf}, "sd must be above 0 and finite, not inf"),
        ({"effect": 0.0}, "effect in standard deviations must be above 1e-06 and below 1000, not 0"),
        ({"effect": math.nan}, "effect in standard deviations must be above 1e-06 and below 1000, not nan"),
        ({"alpha": 0.0}, "alpha must be above 0 and below 0.5, not 0"),
        ({"power": 0.01}, "power must be above 0.05 and below 1, not 0.01"),
        ({"ratio": -1.0}, "ratio must be above 1e-06 and below 1e+06, not -1"),
    ],
)
def test_a_size_of_means_out_of_range_is_refused(changed: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^{re.escape(message)}$"):
        mean_size(**(MEAN | changed))


def test_units_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^control_units must be above 0 and finite, not -1$"):
        proportion_power(0.12, 0.02, -1, 0.05)
    with pytest.raises(
        ValueError, match=r"^control_units must be at least 4, for 2 in each arm, and at most 1e\+15, not 3$"
    ):
        mean_power(1.0, 0.1, 3, 0.05, ratio=0.5)
    with pytest.raises(ValueError, match=r"^units_per_arm must be above 0 and finite, not 0$"):
        minimum_effect(0.12, 0, 0.05, 0.8)
    with pytest.raises(ValueError, match=r"^units_per_day must be above 1e-06 and finite, not 0$"):
        duration_days(100, 0)
