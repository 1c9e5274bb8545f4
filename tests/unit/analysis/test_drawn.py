"""Simulated values have the means, spreads and correlations that are supposed."""

import math
import re
from typing import Any

import numpy as np
import pytest

from meshtrial.analysis.drawn import DENOMINATOR, Shape, Values
from meshtrial.plan.inference import Covariate, Events, Metric, MetricKind, Window
from meshtrial.stats.joint import Joint
from meshtrial.stats.ratio import linearised_arm
from meshtrial.stats.size_supposed import Supposed

WEEK = Window(0, 604_800)
MANY = 200_000


def metric(kind: MetricKind, covariates: int = 0) -> Metric:
    before = tuple(Covariate(Events("visit", None), (n + 1) * 86_400) for n in range(covariates))
    denominator = Events("impression", None) if kind is MetricKind.RATIO else None
    return Metric("m", kind, Events("purchase", None), WEEK, denominator, covariates=before)


def drawn(values: Values, value: float, units: int = MANY, seed: int = 1) -> Joint:
    [sample] = values.draw(value, np.array([units]), np.random.default_rng(seed))
    assert sample.units == units
    return sample


@pytest.mark.parametrize(
    ("kind", "supposed", "shape", "value", "variance"),
    [
        (MetricKind.PROPORTION, {"baseline": 0.12}, Shape.NORMAL, 0.14, 0.14 * 0.86),
        (MetricKind.MEAN, {"baseline": 12.0, "sd": 30.0}, Shape.NORMAL, 13.0, 900.0),
        (MetricKind.MEAN, {"baseline": 12.0, "sd": 9.0}, Shape.LOGNORMAL, 13.0, 81.0),
        (MetricKind.QUANTILE, {"baseline": 250.0, "sd": 153.0}, Shape.NORMAL, 240.0, 153.0**2),
        (MetricKind.COUNT, {"baseline": 3.0}, Shape.NORMAL, 3.5, 3.5),
        (MetricKind.COUNT, {"baseline": 3.0, "dispersion": 2.0}, Shape.NORMAL, 3.5, 7.0),
        (MetricKind.COUNT, {"baseline": 3.0, "sd": 4.0}, Shape.NORMAL, 3.5, 16.0),
    ],
)
@pytest.mark.parametrize("covariates", [0, 2])
def test_values_have_the_mean_and_spread_that_are_supposed(
    kind: MetricKind, supposed: Any, shape: Shape, value: float, variance: float, covariates: int
) -> None:
    known = Supposed(kind, removed=0.4 if covariates else 0.0, **supposed)
    sample = drawn(Values(metric(kind, covariates), known, shape), value)

    own = sample.linear([1.0, *[0.0] * covariates])
    mean, spread = own.mean(), own.variance()
    assert isinstance(mean, float)
    assert mean == pytest.approx(value, abs=4 * math.sqrt(variance / MANY))
    assert spread == pytest.approx(variance, rel=0.05)
    if kind is MetricKind.PROPORTION:
        assert sample.shifts[0] == 0
        assert own.total == own.squares == round(own.total)
    if covariates:
        covariance = sample.covariance()
        assert isinstance(covariance, np.ndarray)
        explained = covariance[0, 1] ** 2 / covariance[0, 0] / covariance[1, 1]
        assert explained == pytest.approx(0.4, abs=0.02)
        assert abs(covariance[0, 2]) / math.sqrt(covariance[0, 0]) < 0.02
        assert np.abs(np.array(sample.means())[1:]).max() < 0.02


@pytest.mark.parametrize("covariates", [0, 1])
def test_a_ratio_has_the_value_and_the_linear_spread_that_are_supposed(covariates: int) -> None:
    known = Supposed(MetricKind.RATIO, 0.1, sd=0.3, removed=0.25 if covariates else 0.0)
    sample = drawn(Values(metric(MetricKind.RATIO, covariates), known), 0.12)
    linear = linearised_arm([1.0], [sample])
    assert isinstance(linear, list)
    covariance = linear[0].covariance()
    assert isinstance(covariance, np.ndarray)
    assert np.asarray(linear[0].means())[0] == pytest.approx(0.12, abs=4 * 0.3 / math.sqrt(MANY))
    assert covariance[0, 0] == pytest.approx(0.09, rel=0.03)
    assert np.asarray(sample.means())[1] == pytest.approx(DENOMINATOR, rel=0.01)
    if covariates:
        assert np.asarray(linear[0].means())[1] == pytest.approx(0.1, abs=4 * 0.3 / math.sqrt(MANY))
        assert covariance[0, 1] ** 2 / covariance[0, 0] / covariance[1, 1] == pytest.approx(0.25, abs=0.02)


def test_cells_are_drawn_apart_and_add_up_to_what_one_would_be() -> None:
    units = np.array([1, 2, 500, 40_000])
    values = Values(metric(MetricKind.MEAN), Supposed(MetricKind.MEAN, 12.0, sd=3.0))
    for shape in Shape:
        cells = Values(values.metric, values.supposed, shape).draw(12.0, units, np.random.default_rng(2))
        assert [cell.units for cell in cells] == units.tolist()
        whole = cells[0] + cells[1] + cells[2] + cells[3]
        assert whole.linear([1.0]).mean() == pytest.approx(12.0, abs=0.08)
        assert whole.linear([1.0]).variance() == pytest.approx(9.0, rel=0.06)
        assert cells[0].linear([1.0]).squares == pytest.approx(cells[0].linear([1.0]).total ** 2)


def test_sums_of_squares_of_normal_values_vary_as_those_of_units_do() -> None:
    values = Values(metric(MetricKind.MEAN), Supposed(MetricKind.MEAN, 0.0, sd=2.0))
    cells = values.draw(0.0, np.full(20_000, 6), np.random.default_rng(3))
    spreads = np.array([cell.linear([1.0]).variance() for cell in cells])
    assert spreads.mean() == pytest.approx(4.0, rel=0.02)
    assert spreads.var() == pytest.approx(2 * 16 / 5, rel=0.06)


@pytest.mark.parametrize(
    ("kind", "supposed", "shape", "message"),
    [
        (
            MetricKind.MEAN,
            {"baseline": 0.0, "sd": 1.0},
            Shape.LOGNORMAL,
            "m: only a mean above 0 has lognormal values",
        ),
        (
            MetricKind.COUNT,
            {"baseline": 4.0, "sd": 1.0},
            Shape.NORMAL,
            "m: counts that vary less than Poisson's are not drawn",
        ),
        (MetricKind.COUNT, {"baseline": 0.0, "sd": 1.0}, Shape.NORMAL, "m: a count is drawn above 0"),
    ],
)
def test_values_that_cannot_be_drawn_are_refused(
    kind: MetricKind, supposed: Any, shape: Shape, message: str
) -> None:
    with pytest.raises(ValueError, match=rf"^{re.escape(message)}$"):
        Values(metric(kind), Supposed(kind, **supposed), shape)
