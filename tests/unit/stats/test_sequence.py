import math

import numpy as np
import pytest
from scipy.stats import norm, t

from meshtrial.stats.contrast import Contrast
from meshtrial.stats.estimate import Comparison, Difference, Interval, NotEstimable
from meshtrial.stats.sequence import (
    confidence_sequence,
    running_intersection,
    sequence_critical,
    sequence_p_value,
)

PLAIN = Contrast("Welch t", 10.0, 0.5, 0.1, 0.12, math.inf, 4000, 6000)


def estimated(comparison: Comparison) -> Difference:
    assert isinstance(comparison, Difference)
    return comparison


def test_the_closed_form_of_the_paper() -> None:
    n, alpha, tuned_for = 10_000, 0.05, 25_000
    r2 = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / tuned_for
    k = n * r2 + 1
    z = PLAIN.effect / PLAIN.error
    half = PLAIN.error * math.sqrt(2 * k / (n * r2) * math.log(math.sqrt(k) / alpha))
    found = estimated(confidence_sequence(PLAIN, alpha, tuned_for))

    assert found.interval.high == pytest.approx(0.5 + half, rel=1e-12)
    assert found.interval.low == pytest.approx(0.5 - half, rel=1e-12)
    assert found.p_value == pytest.approx(math.sqrt(k) * math.exp(-r2 * n * z * z / (2 * k)), rel=1e-12)
    assert (found.effect, found.method) == (0.5, "Welch t")


def test_it_is_narrowest_beside_the_fixed_interval_at_the_units_it_is_tuned_for() -> None:
    times = np.arange(1_000, 100_000, 100)
    widths = sequence_critical(times, 0.05, 20_000)
    assert abs(times[widths.argmin()] - 20_000) < 5_000
    assert widths.min() / norm.ppf(0.975) == pytest.approx(1.55, abs=0.01)
    other = sequence_critical(20_000, 0.05, 5_000), sequence_critical(20_000, 0.05, 80_000)
    assert min(other) > sequence_critical(20_000, 0.05, 20_000)


def test_few_degrees_of_freedom_widen_it_to_equal_tails_of_students_t() -> None:
    few = Contrast("clustered", 10.0, 0.5, 0.1, 0.12, 7.0, 40, 60)
    normal = float(sequence_critical(100, 0.05, 200))
    found = estimated(confidence_sequence(few, 0.05, 200))

    assert found.interval.high == pytest.approx(0.5 + few.error * t.isf(norm.sf(normal), 7), rel=1e-9)
    score = norm.isf(t.sf(few.effect / few.error, 7))
    assert found.p_value == pytest.approx(float(sequence_p_value(score, 100, 0.05, 200)), rel=1e-9)


def test_looks_with_and_without_degrees_of_freedom_go_together() -> None:
    times, freedom = np.array([50.0, 100.0, 100.0]), np.array([math.inf, 7.0, math.inf])
    together = sequence_critical(times, 0.05, 200, freedom)
    p_values = sequence_p_value(together, times, 0.05, 200, freedom)
    for look in range(3):
        assert together[look] == sequence_critical(times[look], 0.05, 200, freedom[look])
        assert p_values[look] == pytest.approx(0.05, rel=1e-9)


def test_a_margin_is_tested_as_its_own_effect() -> None:
    margin = estimated(confidence_sequence(PLAIN.above(0.4, relative=False), 0.05, 10_000))
    plain = estimated(confidence_sequence(PLAIN, 0.05, 10_000))
    assert margin.interval.low == pytest.approx(plain.interval.low - 0.4, abs=1e-12)
    assert margin.p_value > plain.p_value


def test_only_the_share_of_the_time_it_is_tuned_for_counts() -> None:
    by_units = confidence_sequence(PLAIN, 0.05, 20_000)
    assert estimated(confidence_sequence(PLAIN, 0.05, 5_000, time=2_500)).interval.low == pytest.approx(
        estimated(by_units).interval.low, rel=1e-12
    )


def test_no_effect_has_the_p_value_1_and_an_overwhelming_one_0() -> None:
    none = Contrast("Welch t", 10.0, 0.0, 0.1, 0.12, 500.0, 4000, 6000)
    huge = Contrast("Welch t", 10.0, 1e6, 0.1, 0.12, 500.0, 4000, 6000)
    assert estimated(confidence_sequence(none, 0.05, 10_000)).p_value == 1
    assert estimated(confidence_sequence(huge, 0.05, 10_000)).p_value == 0


def test_what_is_not_estimable_stays_so() -> None:
    why = NotEstimable("no units")
    assert confidence_sequence(why, 0.05, 100) == why


@pytest.mark.parametrize("freedom", [1.0, 3.0, 100.0])
def test_where_the_trial_has_hardly_begun_there_is_no_interval(freedom: float) -> None:
    few = Contrast("clustered", 10.0, 0.5, 0.1, 0.12, freedom, 2, 2)
    assert isinstance(confidence_sequence(few, 0.05, 10**9), NotEstimable)


@pytest.mark.parametrize(("alpha", "tuned_for", "time"), [(0.5, 10, 10), (0.05, 0, 10), (0.05, 10, 0)])
def test_impossible_parameters_are_refused(alpha: float, tuned_for: float, time: float) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        confidence_sequence(PLAIN, alpha, tuned_for, time)


def test_the_running_intersection_keeps_what_all_looks_agree_on() -> None:
    looks = [Interval(-1, 4), Interval(-2, 3), Interval(0, 5)]
    assert running_intersection(looks) == [Interval(-1, 4), Interval(-1, 3), Interval(0, 3)]


def test_looks_that_contradict_one_another_agree_on_nothing_from_then_on() -> None:
    found = running_intersection([Interval(0, 1), Interval(2, 3), Interval(0, 4)])
    assert [isinstance(part, NotEstimable) for part in found] == [False, True, True]
