import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from meshtrial.stats.multiplicity import (
    benjamini_hochberg,
    benjamini_yekutieli,
    bonferroni,
    hochberg,
    holm,
    holm_sidak,
)

Adjust = Callable[[Sequence[float]], list[float]]
STATSMODELS: dict[str, Adjust] = {
    "bonferroni": bonferroni,
    "holm": holm,
    "holm-sidak": holm_sidak,
    "simes-hochberg": hochberg,
    "fdr_bh": benjamini_hochberg,
    "fdr_by": benjamini_yekutieli,
}


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("name", STATSMODELS)
def test_statsmodels_agrees(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.uniform(size=int(rng.integers(1, 12))) ** 3
    p[rng.uniform(size=p.size) < 0.2] = p[0]  # ties
    assert STATSMODELS[name](p.tolist()) == pytest.approx(multipletests(p, method=name)[1], rel=1e-9)


@pytest.mark.parametrize("adjust", STATSMODELS.values())
def test_no_test_is_nothing_and_one_stays_as_it_is(adjust: Adjust) -> None:
    assert adjust([]) == []
    assert adjust([0.03]) == [0.03]
    assert adjust([1.0, 0.0]) == [1.0, 0.0]


@pytest.mark.parametrize("adjust", STATSMODELS.values())
@pytest.mark.parametrize("bad", [-0.1, 1.1, math.nan])
def test_what_is_no_p_value_is_refused(adjust: Adjust, bad: float) -> None:
    with pytest.raises(ValueError, match=r"a p-value must be in 0\.\.1"):
        adjust([0.5, bad])
