"""Bounds where outcomes are too rare for a test."""

import math

import numpy as np
import pytest
from scipy import integrate, stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from meshtrial.stats.estimate import Comparison, Difference, NotEstimable
from meshtrial.stats.proportion import Proportion
from meshtrial.stats.rare import always_bounded, nobody_had_it, proportion_sequence
from meshtrial.stats.stratified import Stratum
from proof import often


def told(comparison: Comparison) -> Difference:
    assert isinstance(comparison, Difference)
    return comparison


def one(control: Proportion, treatment: Proportion) -> list[Stratum]:
    return [Stratum(3.0, control, treatment)]


def test_nobody_of_either_arm_is_newcombes_interval() -> None:
    found = told(nobody_had_it(one(Proportion(400), Proportion(900)), 0.05))

    wanted = confint_proportions_2indep(0, 900, 0, 400, method="newcomb", compare="diff", alpha=0.05)
    assert (found.interval.low, found.interval.high) == pytest.approx(wanted, rel=1e-9)
    assert (found.effect, found.error, found.p_value) == (0.0, 0.0, 1.0)


def test_over_strata_nobody_is_as_wide_as_its_heaviest_units_make_it() -> None:
    alike = [Stratum(w, Proportion(n), Proportion(n)) for w, n in ((1.0, 100), (3.0, 300))]
    uneven = [Stratum(1.0, Proportion(n), Proportion(n)) for n in (100, 300)]

    # Half of the weight is on 100 units, each of which counts as one of 200.
    assert told(nobody_had_it(alike, 0.05)).interval.high == pytest.approx(
        proportion_confint(0, 400, 0.05, "wilson")[1]
    )
    assert told(nobody_had_it(uneven, 0.05)).interval.high == pytest.approx(
        proportion_confint(0, 200, 0.05, "wilson")[1]
    )


def test_where_some_unit_had_the_outcome_its_test_tells() -> None:
    assert isinstance(nobody_had_it(one(Proportion(400, 1), Proportion(400)), 0.05), NotEstimable)


@pytest.mark.parametrize(("had", "units"), [(0, 50), (3, 100_000), (40, 90), (50, 50)])
def test_the_ends_of_a_sequence_are_where_the_mixture_outweighs_them(had: int, units: int) -> None:
    found = proportion_sequence(Proportion(units, had), 0.025)

    def evidence(p: float) -> float:
        """The mixture's likelihood by that of `p`, by quadrature about its peak."""
        width = 12 * math.sqrt((had + 1) * (units - had + 1) / units**3)
        peak = had / units

        def weighed(q: float) -> float:
            ratio = stats.binom.logpmf(had, units, q) - stats.binom.logpmf(had, units, p)
            return float(np.exp(ratio) * stats.beta.pdf(q, 0.5, 0.5))

        ends = max(0.0, peak - width), min(1.0, peak + width)
        return float(integrate.quad(weighed, *ends, points=[peak], limit=400, epsabs=0)[0])

    for end in (found.low, found.high):
        if 0 < end < 1:
            assert evidence(end) == pytest.approx(40, rel=1e-3)
    assert (found.low == 0) == (had == 0)
    assert (found.high == 1) == (had == units)


def test_at_no_look_of_many_does_a_sequence_miss_more_often_than_it_says() -> None:
    trials, units, rate = often(2_000, 40_000), 4_000, 0.004
    rng = np.random.default_rng(11)
    looks = np.unique(np.geomspace(1, units, 80).astype(int))
    missed = peeked = 0
    bounds: dict[tuple[int, int], tuple[bool, bool]] = {}
    for _ in range(trials):
        had = np.cumsum(rng.random(units) < rate)[looks - 1]
        found = set()
        for n, k in zip(map(int, looks), map(int, had), strict=True):
            if (n, k) not in bounds:
                interval = proportion_sequence(Proportion(n, k), 0.05)
                low, high = proportion_confint(k, n, 0.05, "beta")
                bounds[n, k] = (not interval.low <= rate <= interval.high, not low <= rate <= high)
            found.add(bounds[n, k])
        missed += any(always for always, _ in found)
        peeked += any(once for _, once in found)

    assert missed <= stats.binom.ppf(0.9999, trials, 0.05)
    assert peeked > 0.08 * trials  # exact intervals of one look


def test_bounds_of_a_difference_hold_both_arms_sequences() -> None:
    control, treatment = Proportion(10_000, 5), Proportion(9_000, 300)

    found = told(always_bounded(one(control, treatment), 0.05, 0.001))

    one_arm, other = (proportion_sequence(arm, 0.025) for arm in (control, treatment))
    assert found.interval.low == pytest.approx(other.low - one_arm.high)
    assert found.interval.high == pytest.approx(other.high - one_arm.low)
    assert found.effect == pytest.approx(300 / 9_000 - 5 / 10_000)
    assert found.interval.low > 0.02
    assert found.p_value == 0.001


def test_strata_widen_what_they_weigh_otherwise() -> None:
    uneven = [Stratum(1.0, Proportion(n, k), Proportion(n, k)) for n, k in ((100, 1), (300, 0))]

    found = told(always_bounded(uneven, 0.05, None)).interval

    whole = proportion_sequence(Proportion(400, 1), 0.025)
    assert found.high == pytest.approx(whole.high * 2 - whole.low * 2 / 3)
