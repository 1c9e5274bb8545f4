"""Cells to contrasts: strata weighed, ratios and covariates, against sums over the units themselves."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from judged_rows import PLAN
from meshtrial.analysis.cells import Clock, Key
from meshtrial.analysis.contrasts import measured_of
from meshtrial.analysis.measured import Measured
from meshtrial.analysis.strata import strata_of
from meshtrial.plan.inference import Covariate, Events, Metric, MetricKind, Window
from meshtrial.stats.contrast import Contrast
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.joint import Joint

HOUR = 3600 * 10**9
CLOCK = Clock(HOUR)
BUYS = Events("purchase", None)
WINDOW = Window(0, 10)
CONVERSION = PLAN.experiments[0].decision.primary[0].metric
MEAN = Metric("revenue", MetricKind.MEAN, Events("purchase", "amount"), WINDOW)
RATIO = Metric("ctr", MetricKind.RATIO, BUYS, WINDOW, denominator=Events("view", None))
Values = npt.NDArray[np.float64]
"""Of units and variables."""
Units = dict[tuple[int, str, str], Values]
"""By hour, cohort and arm."""


def measured(metric: Metric, units: Units, shift: float = 0.0) -> Measured:
    """The contrast of units; each hour is a cell."""
    keys = {cell: Key(cell[0] * HOUR, "p", cell[1], cell[2]) for cell in units}
    cells = {keys[cell]: Joint.of(values, [shift] * values.shape[1]) for cell, values in units.items()}
    counts = {key: cells[key].units for key in cells}
    return measured_of(metric, cells, strata_of(counts, "v1", "v2", CLOCK), ("v1", "v2"), CLOCK)


def drawn(seed: int, variables: int = 1, days: int = 3, rate: float | None = None) -> Units:
    """Units of both arms over days, whose level rises; 60 to 120 of each arm a day, in two hours."""
    chance = np.random.default_rng(seed)
    units: Units = {}
    for day in range(days):
        for hour in (24 * day + 1, 24 * day + 9):
            for arm in ("v1", "v2"):
                n = int(chance.integers(60, 120))
                values = chance.gamma(2 + day, size=(n, variables))
                if rate is not None:
                    values = (chance.random((n, variables)) < rate + 0.1 * day).astype(float)
                units[hour, "default", arm] = values
    return units


def by_day(units: Units) -> list[tuple[float, Values, Values]]:
    """Weight, control, treatment of each day."""
    days = sorted({hour // 24 for hour, _, _ in units})
    pairs = [
        tuple(
            np.concatenate([v for (hour, _, a), v in sorted(units.items()) if (hour // 24, a) == (day, arm)])
            for arm in ("v1", "v2")
        )
        for day in days
    ]
    weights = [len(c) * len(t) / (len(c) + len(t)) for c, t in pairs]
    return [(w / sum(weights), c, t) for w, (c, t) in zip(weights, pairs, strict=True)]


def contrast(found: Measured) -> Contrast:
    assert isinstance(found.contrast, Contrast)
    return found.contrast


def test_a_mean_is_compared_within_days() -> None:
    units = drawn(1)

    found = measured(MEAN, units)

    days = by_day(units)
    told = contrast(found)
    assert told.effect == pytest.approx(sum(w * (t.mean() - c.mean()) for w, c, t in days))
    assert told.control == pytest.approx(sum(w * c.mean() for w, c, _ in days))
    variances = [w * w * (c.var(ddof=1) / len(c) + t.var(ddof=1) / len(t)) for w, c, t in days]
    assert told.error == pytest.approx(math.sqrt(sum(variances)))
    assert found.values == pytest.approx((told.control, told.treatment))
    assert found.time == pytest.approx(sum(len(c) * len(t) / (len(c) + len(t)) for _, c, t in days))
    assert (found.control_units, found.treatment_units) == tuple(
        sum(len(v) for (_, _, a), v in units.items() if a == arm) for arm in ("v1", "v2")
    )


def test_one_day_is_welchs_test() -> None:
    units = drawn(2, days=1)
    [(_, control, treatment)] = by_day(units)

    told = contrast(measured(MEAN, units))

    welch = stats.ttest_ind(treatment[:, 0], control[:, 0], equal_var=False)
    assert told.effect / told.error == pytest.approx(welch.statistic)
    assert told.freedom == pytest.approx(welch.df)


def test_a_proportion_is_compared_within_days() -> None:
    units = drawn(3, rate=0.2)

    found = measured(CONVERSION, units)

    told, days = contrast(found), by_day(units)
    assert told.effect == pytest.approx(sum(w * (t.mean() - c.mean()) for w, c, t in days))
    variances = [w * w * (c.var() / len(c) + t.var() / len(t)) for w, c, t in days]
    assert told.error == pytest.approx(math.sqrt(sum(variances)))
    assert [(s.control.units, s.treatment.units) for s in found.strata] == [
        (len(c), len(t)) for _, c, t in days
    ]


def test_a_day_in_which_nobody_has_the_outcome_counts_without_an_error() -> None:
    units = drawn(4, rate=0.2, days=2)
    for cell in units:
        if cell[0] >= 24:
            units[cell] = np.zeros_like(units[cell])

    told = contrast(measured(CONVERSION, units))

    weight, control, treatment = by_day(units)[0]
    assert told.effect == pytest.approx(weight * (treatment.mean() - control.mean()))
    assert told.control == pytest.approx(weight * control.mean())


def test_where_nothing_varies_there_are_values_and_no_contrast() -> None:
    units = {cell: np.full_like(values, 3.0) for cell, values in drawn(5).items()}

    found = measured(MEAN, units)

    assert isinstance(found.contrast, NotEstimable)
    assert found.values == (3.0, 3.0)


def test_a_ratio_is_of_sums_and_its_error_by_the_delta_method() -> None:
    units = drawn(6, variables=2, days=1)

    told = contrast(measured(RATIO, units))

    [(_, control, treatment)] = by_day(units)
    values, variances = [], []
    for arm in (control, treatment):
        x, y = arm[:, 0], arm[:, 1]
        ratio = x.sum() / y.sum()
        values.append(ratio)
        variances.append(np.var(x - ratio * y, ddof=1) / (len(arm) * y.mean() ** 2))
    assert (told.control, told.treatment) == pytest.approx(tuple(values))
    assert told.error == pytest.approx(math.sqrt(sum(variances)), rel=1e-6)


def test_a_covariate_takes_its_slope_off_within_days() -> None:
    units = drawn(7, variables=2)
    for values in units.values():
        values[:, 0] += 2 * values[:, 1]
    before = Covariate(MEAN.events, 86_400)
    adjusted = Metric("revenue", MetricKind.MEAN, MEAN.events, WINDOW, covariates=(before,))

    found = measured(adjusted, units)

    days = by_day(units)
    groups = [arm for _, c, t in days for arm in (c, t)]
    moved = [group - group.mean(axis=0) for group in groups]
    slope = sum((g[:, 0] * g[:, 1]).sum() for g in moved) / sum((g[:, 1] ** 2).sum() for g in moved)
    expected = sum(
        w * (t[:, 0].mean() - c[:, 0].mean() - slope * (t[:, 1].mean() - c[:, 1].mean())) for w, c, t in days
    )
    told = contrast(found)
    assert told.effect == pytest.approx(expected)
    plain = measured(MEAN, {cell: values[:, :1] for cell, values in units.items()})
    assert isinstance(found.unadjusted, Contrast)
    assert found.unadjusted.effect == pytest.approx(contrast(plain).effect)
    assert found.unadjusted.error == pytest.approx(contrast(plain).error)
    assert found.removed == pytest.approx(1 - (told.error / found.unadjusted.error) ** 2)


def test_with_few_units_a_covariate_is_not_used_and_it_is_said_why() -> None:
    few = {(1, "default", arm): values[:6] for (_, _, arm), values in drawn(8, variables=2, days=1).items()}
    before = Covariate(MEAN.events, 86_400)
    adjusted = Metric("revenue", MetricKind.MEAN, MEAN.events, WINDOW, covariates=(before,))

    found = measured(adjusted, few)

    assert isinstance(found.removed, NotEstimable)
    assert "units more are needed" in found.removed.reason
    assert found.contrast == found.unadjusted


def test_the_order_of_cells_and_the_shift_of_sums_change_nothing() -> None:
    units = drawn(9)

    one = contrast(measured(MEAN, units))
    other = contrast(measured(MEAN, dict(reversed(units.items())), shift=2.0))

    for name in ("control", "effect", "error", "freedom"):
        assert getattr(other, name) == pytest.approx(getattr(one, name))


def test_while_outcomes_are_few_a_proportion_is_too_early_and_has_a_safe_p_value() -> None:
    chance = np.random.default_rng(3)
    units: Units = {
        (hour, "default", arm): (chance.random((40, 1)) < (0.2 if arm == "v2" else 0.01)).astype(float)
        for hour in range(8)
        for arm in ("v1", "v2")
    }

    found = measured(CONVERSION, units)

    assert found.too_early is not None
    assert "needs 10 units with the outcome" in found.too_early.reason
    assert found.early_p is not None
    assert found.early_p < 0.05
    assert measured(CONVERSION, drawn(3, rate=0.3)).early_p is None
