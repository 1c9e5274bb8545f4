"""What must hold of any trial by clusters or by windows, whatever was measured."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshtrial.stats.clusters import Clusters, cluster_contrast
from meshtrial.stats.contrast import Contrast, Contrasted
from meshtrial.stats.switchback import Windows, randomisation_p_value, switchback_contrast

SEEDS = st.integers(0, 2**32 - 1)


def told(contrast: Contrasted) -> Contrast:
    assert isinstance(contrast, Contrast)
    return contrast


@given(SEEDS, st.integers(4, 12), st.integers(4, 12), st.integers(0, 2))
def test_clusters_in_any_order_and_unit_give_one_answer_and_arms_change_its_sign(
    seed: int, g0: int, g1: int, covariates: int
) -> None:
    rng = np.random.default_rng(seed)
    arms = [
        Clusters(
            rng.normal(3, 1, g) * (n := rng.integers(1, 50, g).astype(float)),
            n,
            rng.normal(size=(g, covariates)),
        )
        for g in (g0, g1)
    ]
    found = told(cluster_contrast(arms[0], arms[1]))
    moved = []
    for arm in arms:
        order = rng.permutation(len(arm.sums))
        sums, sizes, before = arm.sums[order], arm.sizes[order], arm.covariates[order]
        moved.append(Clusters(-2 * sums + 7 * sizes, sizes, 5 * before - 3))
    again = told(cluster_contrast(moved[1], moved[0]))

    assert again.effect == pytest.approx(2 * found.effect, rel=1e-6, abs=1e-9)
    assert again.error == pytest.approx(2 * found.error, rel=1e-6)
    assert again.freedom == pytest.approx(found.freedom, rel=1e-6)
    assert again.control == pytest.approx(7 - 2 * found.treatment, rel=1e-6, abs=1e-9)
    assert 0 < found.freedom <= g0 + g1 - 2 - covariates + 1e-6


@given(SEEDS, st.integers(0, 2))
def test_windows_in_any_order_and_unit_give_one_answer_and_arms_change_its_sign(
    seed: int, carried: int
) -> None:
    rng = np.random.default_rng(seed)
    count = 3 * 60
    treated, shares = rng.random(count) < 0.5, rng.uniform(0.4, 0.6, count)
    keys, numbers = np.repeat([5, 1, 9], 60), np.tile(np.arange(60), 3)
    sums, sizes = rng.normal(3, 1, count), rng.integers(1, 5, count).astype(float)
    windows = Windows(keys, numbers, treated, shares, sums, sizes)
    found = told(switchback_contrast(windows, carried))
    order = rng.permutation(count)
    swapped = Windows(
        keys[order],
        numbers[order] - 1_000,
        ~treated[order],
        1 - shares[order],
        (2 * sums + 7 * sizes)[order],
        sizes[order],
    )
    again = told(switchback_contrast(swapped, carried))

    assert again.effect == pytest.approx(-2 * found.effect, rel=1e-6, abs=1e-9)
    assert again.error == pytest.approx(2 * found.error, rel=1e-6)
    assert (again.control_units, again.treatment_units) == (found.treatment_units, found.control_units)
    p_value = randomisation_p_value(windows, carried, np.random.default_rng(seed), 50)
    assert isinstance(p_value, float)
    assert 1 / 51 <= p_value <= 1
