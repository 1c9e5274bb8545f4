import math

import numpy as np
import pytest
from scipy.stats import ttest_ind
from statsmodels.stats.proportion import proportion_effectsize

from meshtrial.stats.contrast import Contrast
from meshtrial.stats.effect_size import cohen_d, cohen_h
from meshtrial.stats.moments import Moments, mean_contrast


@pytest.mark.parametrize("seed", range(5))
def test_d_is_students_t_by_the_root_of_the_sizes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n0, n1 = (int(n) for n in rng.integers(150, 600, 2))
    control, treatment = rng.normal(50, 3, n0), rng.normal(51, 3, n1)
    contrast = mean_contrast(Moments.of(control, 50.0), Moments.of(treatment, 50.0))
    assert isinstance(contrast, Contrast)

    found = cohen_d(contrast, contrast.effect)

    student = ttest_ind(treatment, control).statistic * math.sqrt(1 / n0 + 1 / n1)
    assert found == pytest.approx(student)
    assert cohen_d(contrast, 2 * contrast.effect) == pytest.approx(2 * student)


@pytest.mark.parametrize(("control", "treatment"), [(0.01, 0.015), (0.5, 0.525), (1, 0)])
def test_h_is_statsmodels(control: float, treatment: float) -> None:
    assert cohen_h(control, treatment) == pytest.approx(proportion_effectsize(treatment, control))


def test_what_covariates_moved_out_of_range_counts_as_the_nearer_end() -> None:
    assert cohen_h(-0.001, 1.001) == cohen_h(0, 1) == pytest.approx(math.pi)
