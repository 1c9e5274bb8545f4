import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import ttest_ind

from meshtrial.stats.contrast import Contrast, Contrasted
from meshtrial.stats.estimate import Difference, NotEstimable
from meshtrial.stats.fixed import fixed, fixed_p_value
from meshtrial.stats.moments import Moments, mean_contrast
from meshtrial.stats.trend import Drift, day_weights, drift, later_contrast, trend_contrast


def told(contrast: Contrasted) -> Contrast:
    assert isinstance(contrast, Contrast)
    return contrast


def slopes(values: np.ndarray) -> Moments:
    """Of values by unit and day."""
    return Moments.of(values @ day_weights(values.shape[1]), 0.0)


def test_a_unit_s_slope_is_that_of_least_squares() -> None:
    values = np.random.default_rng(1).normal(size=9)
    assert values @ day_weights(9) == pytest.approx(np.polyfit(np.arange(9), values, 1)[0])
    with pytest.raises(ValueError, match="days"):
        day_weights(1)


def test_the_slope_of_the_effect_is_the_interaction_of_arm_and_day() -> None:
    rng = np.random.default_rng(2)
    units, days = 60, 7
    treated = np.arange(units) % 2 == 1
    day = np.arange(days)
    values = rng.normal(size=(units, 1)) + 0.1 * day + rng.normal(size=(units, days))
    values += treated[:, None] * (1 - 0.2 * day)
    found = told(trend_contrast(slopes(values[~treated]), slopes(values[treated])))

    arm, time = np.repeat(treated, days).astype(float), np.tile(day, units).astype(float)
    x = np.column_stack([np.ones(units * days), arm, time, arm * time])
    fit = sm.OLS(values.ravel(), x).fit(
        cov_type="cluster", cov_kwds={"groups": np.repeat(np.arange(units), days), "use_correction": False}
    )
    assert found.effect == pytest.approx(fit.params[3])
    # Without their factors for small samples, units of 30 in each arm have 29 / 30 of the variance.
    assert found.error == pytest.approx(fit.bse[3] * np.sqrt(30 / 29))
    per_unit = values @ day_weights(days)
    assert fixed_p_value(found) == pytest.approx(
        ttest_ind(per_unit[treated], per_unit[~treated], equal_var=False).pvalue
    )


def difference(early: float, late: float) -> Difference:
    """Of an effect that goes from one value to the other in 7 days."""
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 0.5, (2, 400, 7))
    course = np.linspace(early, late, 7)
    found = fixed(trend_contrast(slopes(noise[0]), slopes(noise[1] + course)), 0.05)
    assert isinstance(found, Difference)
    return found


@pytest.mark.parametrize(
    ("early", "late", "expected"),
    [
        (2, 1, Drift.NOVELTY),
        (-2, -1, Drift.NOVELTY),
        (1, 2, Drift.PRIMACY),
        (-1, -2, Drift.PRIMACY),
        (1, 1, Drift.NONE),
    ],
)
def test_an_effect_that_wears_off_is_told_from_one_that_grows(
    early: float, late: float, expected: Drift
) -> None:
    slope = difference(early, late)
    assert drift((early + late) / 2, slope, slope) is expected
    assert drift((early + late) / 2, slope, NotEstimable("nothing to take a share of")) is expected


def test_an_effect_that_changes_only_with_what_it_is_a_share_of_does_not_drift() -> None:
    fading, growing, steady = difference(2, 1), difference(1, 2), difference(1, 1)

    assert drift(1.5, fading, steady) is Drift.NONE
    assert drift(1.5, steady, fading) is Drift.NONE
    assert drift(1.5, fading, growing) is Drift.NONE


def test_late_units_next_to_early_ones_are_a_difference_in_differences() -> None:
    rng = np.random.default_rng(4)
    arms = [rng.normal(mean, sd, n) for mean, sd, n in ((0, 1, 30), (2, 2, 20), (0, 1, 25), (0.5, 3, 15))]
    early, late = (
        told(mean_contrast(Moments.of(control, 0), Moments.of(treatment, 0)))
        for control, treatment in (arms[:2], arms[2:])
    )
    found = told(later_contrast(early, late))
    variances = [x.var(ddof=1) / len(x) for x in arms]
    assert found.effect == pytest.approx(
        (arms[3].mean() - arms[2].mean()) - (arms[1].mean() - arms[0].mean())
    )
    assert found.error**2 == pytest.approx(sum(variances))
    terms = sum(v**2 / (len(x) - 1) for v, x in zip(variances, arms, strict=True))
    assert found.freedom == pytest.approx(sum(variances) ** 2 / terms)
    assert (found.control, found.treatment) == pytest.approx((early.effect, late.effect))
    assert (found.control_units, found.treatment_units) == (50, 40)


def test_what_cannot_be_told_of_one_side_is_told_of_neither() -> None:
    some = told(mean_contrast(Moments.of(np.arange(4.0), 0), Moments.of(np.arange(5.0), 0)))
    nothing = NotEstimable("no units")
    assert later_contrast(nothing, some) == NotEstimable("early units: no units")
    assert later_contrast(some, nothing) == NotEstimable("late units: no units")
    assert isinstance(trend_contrast(Moments(0.0), Moments(0.0)), NotEstimable)
