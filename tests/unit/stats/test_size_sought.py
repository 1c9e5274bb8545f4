"""Sizes of every kind of metric and design, and what a number of units can find."""

import math
import re

import numpy as np
import pytest
from scipy.stats import lognorm, norm
from statsmodels.stats.power import TTestIndPower

from meshtrial.plan.inference import MetricKind
from meshtrial.stats.clusters import Clusters, Likeness, cluster_contrast
from meshtrial.stats.contrast import Contrast
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.size import mean_size, proportion_size
from meshtrial.stats.size_sought import Sought
from meshtrial.stats.size_supposed import Supposed, lognormal_density, quantile_sd
from proof import often

CONVERSION = Supposed(MetricKind.PROPORTION, 0.12)
REVENUE = Supposed(MetricKind.MEAN, 12.0, sd=30.0)
REACH = norm.isf(0.025) + norm.ppf(0.8)


def test_a_proportion_and_a_mean_take_the_textbook_sizes() -> None:
    assert Sought(CONVERSION, 0.02).size(0.05, 0.8) == proportion_size(0.12, 0.02, 0.05, 0.8)
    assert Sought(REVENUE, 1.0).size(0.05, 0.8) == pytest.approx(mean_size(30.0, 1.0, 0.05, 0.8))
    assert Sought(CONVERSION, 0.02).power(4437.36, 0.05) == pytest.approx(0.8, abs=1e-5)


def test_a_count_varies_as_poissons_does_times_its_dispersion() -> None:
    size = Sought(Supposed(MetricKind.COUNT, 3.0, dispersion=2.0), 0.1).size(0.05, 0.8)
    assert size == pytest.approx(REACH**2 * 2 * (3.0 + 3.1) / 0.1**2, rel=1e-3)
    given = Sought(Supposed(MetricKind.COUNT, 3.0, sd=2.5), 0.1).size(0.05, 0.8)
    assert given == pytest.approx(mean_size(2.5, 0.1, 0.05, 0.8))


def test_covariates_save_the_share_of_the_variance_that_they_remove() -> None:
    for plain, effect in ((CONVERSION, 0.02), (REVENUE, 1.0)):
        adjusted = Supposed(plain.kind, plain.baseline, plain.sd, removed=0.3)
        sizes = [Sought(supposed, effect).size(0.05, 0.8) for supposed in (plain, adjusted)]
        assert sizes[1] == pytest.approx(0.7 * sizes[0], rel=1e-3)
        assert Sought(adjusted, effect).power(sizes[1], 0.05) == pytest.approx(0.8, abs=1e-4)


@pytest.mark.parametrize(("margin", "ratio"), [(-0.1, 1.0), (0.05, 0.25)])
def test_a_margin_that_is_a_share_of_control_counts_controls_own_error(margin: float, ratio: float) -> None:
    sought = Sought(REVENUE, 1.2, margin, relative=True, ratio=ratio)
    gap = 1.2 - margin * 12
    variance = 900 / ratio + (1 + margin) ** 2 * 900
    assert sought.gap == pytest.approx(gap)
    assert sought.size(0.05, 0.8) == pytest.approx(REACH**2 * variance / gap**2, rel=3e-3)


def test_clusters_take_the_size_of_a_t_test_of_their_means() -> None:
    # Mean size 20, sizes that vary by half of it, ICC 0.1: 1 + (1.25 * 20 - 1) * 0.1.
    alike = Likeness(0.1, 20.0, 0.5)
    sought = Sought(REVENUE, 10.0, clusters=alike)
    assert sought.inflation == pytest.approx(3.4)
    spread = 30 * math.sqrt(3.4 / 20)
    theirs = TTestIndPower().solve_power(10 / spread, None, 0.05, 0.8)
    assert sought.size(0.05, 0.8) == pytest.approx(20 * theirs, rel=1e-6)
    assert sought.size(0.05, 0.8) > 3.4 * mean_size(30.0, 10.0, 0.05, 0.8)


def test_a_trial_of_clusters_of_that_size_has_the_power_when_it_is_analysed() -> None:
    icc, members, effect, sd = 0.2, 10, 0.75, 1.0
    sought = Sought(Supposed(MetricKind.MEAN, 0.0, sd=sd), effect, clusters=Likeness(icc, members, 0.0))
    clusters = math.ceil(sought.size(0.05, 0.8) / members)
    expected = sought.power(clusters * members, 0.05)
    assert isinstance(expected, float)
    runs, chance, found = often(400, 8000), np.random.default_rng(5), 0
    for _ in range(runs):
        arms = []
        for shift in (0.0, effect):
            own = chance.normal(shift, math.sqrt(icc) * sd, clusters)
            inside = chance.normal(0, math.sqrt((1 - icc) * members) * sd, clusters)
            arms.append(Clusters(own * members + inside, np.full(clusters, float(members))))
        contrast = cluster_contrast(*arms)
        assert isinstance(contrast, Contrast)
        z = abs(contrast.effect) / contrast.error
        found += z > -_t_quantile(contrast.freedom)
    assert found / runs == pytest.approx(expected, abs=3.3 * math.sqrt(0.16 / runs) + 0.01)


def _t_quantile(freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.025))


def test_clusters_are_never_fewer_than_an_error_takes() -> None:
    sought = Sought(REVENUE, 1000.0, clusters=Likeness(0.1, 20.0, 0.0))
    assert sought.size(0.05, 0.8) == 80
    assert sought.power(60, 0.05) == NotEstimable("each arm takes 4 clusters")
    assert Sought(REVENUE, 1.0).power(1.5, 0.05) == NotEstimable("each arm takes 2 units")


def test_a_quantile_moves_with_a_unit_as_simulated_samples_say() -> None:
    q, sigma, events, units = 0.95, 0.8, 4, 4000
    chance = np.random.default_rng(3)
    value = math.exp(sigma * norm.ppf(q))
    density = lognormal_density(q, value, 1.0)
    assert density == pytest.approx(lognorm.pdf(value, sigma), rel=1e-12)
    found = [np.quantile(chance.lognormal(0, sigma, units * events), q) for _ in range(often(400, 4000))]
    expected = quantile_sd(q, density, events) / math.sqrt(units)
    assert float(np.std(found)) == pytest.approx(expected, rel=3.3 / math.sqrt(2 * len(found)))


def test_events_of_a_unit_that_are_alike_tell_less() -> None:
    assert quantile_sd(0.5, 1.0, 10, 1.0) == pytest.approx(quantile_sd(0.5, 1.0))
    assert quantile_sd(0.5, 1.0, 10, 0.0) == pytest.approx(quantile_sd(0.5, 1.0) / math.sqrt(10))


@pytest.mark.parametrize(
    "sought",
    [
        Sought(CONVERSION, 0.02),
        Sought(CONVERSION, -0.02, ratio=3.0),
        Sought(CONVERSION, 0.0, -0.01),
        Sought(CONVERSION, 0.0, 0.1, relative=True),
        Sought(CONVERSION, 0.02, clusters=Likeness(0.05, 30, 0.2)),
        Sought(REVENUE, -1.0, ratio=0.5),
        Sought(Supposed(MetricKind.COUNT, 3.0), -0.4),
        Sought(Supposed(MetricKind.RATIO, 0.1, sd=0.3), 0.01),
    ],
)
def test_what_a_size_can_find_is_what_it_was_made_for(sought: Sought) -> None:
    units = sought.size(0.05, 0.8)
    sign = 1 if sought.gap > 0 else -1
    assert sought.detectable(units, 0.05, 0.8, sign) == pytest.approx(sought.effect, abs=1e-9)
    assert sought.power(units, 0.05) == pytest.approx(0.8, abs=1e-3)


def test_too_few_units_find_nothing_and_no_end_of_them_everything() -> None:
    assert Sought(CONVERSION, 0.02).detectable(2, 0.05, 0.8, 1) == NotEstimable(
        "2 units in control are too few to find any effect"
    )
    assert isinstance(Sought(REVENUE, 1.0).detectable(1e15, 0.05, 0.8, 1), NotEstimable)


@pytest.mark.parametrize(
    ("supposed", "message"),
    [
        ({"kind": MetricKind.MEAN}, "a mean needs a standard deviation between units"),
        (
            {"kind": MetricKind.QUANTILE, "baseline": 9.0},
            "a quantile needs a standard deviation between units",
        ),
        (
            {"kind": MetricKind.PROPORTION, "baseline": 12.0},
            "baseline must be above 0 and below 1, not 12",
        ),
        (
            {"kind": MetricKind.COUNT, "baseline": 0.0},
            "baseline must be above 0 and finite, not 0",
        ),
        (
            {"kind": MetricKind.MEAN, "sd": 1.0, "removed": 1.0},
            "the share removed must be 0 or more and below 1, not 1",
        ),
        ({"kind": MetricKind.MEAN, "sd": math.inf}, "sd must be above 0 and finite, not inf"),
        ({"kind": MetricKind.MEAN, "sd": 1.0, "baseline": math.nan}, "baseline must be finite, not nan"),
    ],
)
def test_what_cannot_be_supposed_is_refused(supposed: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^{re.escape(message)}$"):
        Supposed(**supposed)  # type: ignore[arg-type]  # the kind stands among numbers


def test_no_lognormal_distribution_has_its_upper_tail_below_its_median() -> None:
    with pytest.raises(ValueError, match=r"^no lognormal distribution has the median 10 and 9 at 0\.95$"):
        lognormal_density(0.95, 9.0, 10.0)
    with pytest.raises(ValueError, match="no lognormal distribution"):
        lognormal_density(0.5, 9.0, 10.0)
    with pytest.raises(ValueError, match=r"^events must be 1 or more and finite, not 0\.5$"):
        quantile_sd(0.5, 1.0, 0.5)
    with pytest.raises(ValueError, match="correlation must be from 0 to 1"):
        quantile_sd(0.5, 1.0, 2, -0.1)
