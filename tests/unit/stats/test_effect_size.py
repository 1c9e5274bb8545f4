import math

import numpy as np
import pytest
from scipy.stats import nct, ttest_ind
from statsmodels.stats.proportion import proportion_effectsize

from meshtrial.stats.effect_size import EffectSize, Sized, cohen_d, cohen_h
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.moments import Moments
from meshtrial.stats.proportion import Proportion


def told(sized: Sized) -> EffectSize:
    assert isinstance(sized, EffectSize)
    return sized


@pytest.mark.parametrize("seed", range(5))
def test_d_is_students_t_by_the_root_of_the_sizes_and_its_interval_the_noncentral_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n0, n1 = (int(n) for n in rng.integers(150, 600, 2))
    control, treatment = rng.normal(50, 3, n0), rng.normal(51, 3, n1)
    found = told(cohen_d(Moments.of(control, 50.0), Moments.of(treatment, 50.0), 0.05))
    scale = math.sqrt(1 / n0 + 1 / n1)
    assert found.value == pytest.approx(ttest_ind(treatment, control).statistic * scale)
    # The exact interval has the limits as noncentralities under which so large a t is just 2.5% likely.
    statistic = found.value / scale
    assert nct.sf(statistic, n0 + n1 - 2, found.interval.low / scale) == pytest.approx(0.025, abs=0.001)
    assert nct.cdf(statistic, n0 + n1 - 2, found.interval.high / scale) == pytest.approx(0.025, abs=0.001)


def test_h_is_statsmodels_and_its_interval_is_as_wide_for_rare_as_for_common_outcomes() -> None:
    rare, common = (
        told(cohen_h(Proportion(1000, x0), Proportion(4000, x1), 0.05)) for x0, x1 in ((10, 60), (500, 2100))
    )
    assert rare.value == pytest.approx(proportion_effectsize(0.015, 0.01))
    assert common.value == pytest.approx(proportion_effectsize(0.525, 0.5))
    widths = [one.interval.high - one.interval.low for one in (rare, common)]
    assert widths == pytest.approx([2 * 1.959964 * math.sqrt(1 / 1000 + 1 / 4000)] * 2, rel=1e-6)


def test_without_spread_or_units_there_is_no_size() -> None:
    still = Moments.of(np.ones(9), 0.0)
    assert isinstance(cohen_d(still, still, 0.05), NotEstimable)
    assert cohen_h(Proportion(), Proportion(9, 3), 0.05) == NotEstimable("control: the arm has no units")
    assert cohen_h(Proportion(9, 3), Proportion(), 0.05) == NotEstimable("treatment: the arm has no units")
    for alpha in (0.0, 0.5):
        with pytest.raises(ValueError, match=r"^alpha"):
            cohen_d(still, still, alpha)
        with pytest.raises(ValueError, match=r"^alpha"):
            cohen_h(Proportion(), Proportion(), alpha)
