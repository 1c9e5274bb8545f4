"""What looks cost, against published tables and simulated paths."""

import math

import numpy as np
import pytest

from meshtrial.plan.inference import Boundary, MetricKind, Shape
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.size_looks import Looks, boundary_looks, one_look, sequence_looks
from meshtrial.stats.size_sought import Sought
from meshtrial.stats.size_supposed import Supposed
from meshtrial.stats.size_trial import Sized
from proof import often

FIVE = (0.2, 0.4, 0.6, 0.8, 1.0)
FOURTEEN = tuple((day + 1) / 14 for day in range(14))


def test_one_look_costs_nothing() -> None:
    looks = one_look(0.05, 0.8)
    assert (looks.most, looks.expected_with, looks.expected_without) == (1.0, 1.0, 1.0)


def test_five_looks_cost_what_jennison_and_turnbull_say() -> None:
    looks = boundary_looks(Boundary(Shape.OBRIEN_FLEMING, spending=False), 0.05, 0.8, FIVE)
    assert looks.most == pytest.approx(1.028, abs=6e-4)
    assert looks.expected_with == pytest.approx(0.818, abs=6e-4)
    assert looks.power(1.0) == pytest.approx(0.8, abs=1e-8)
    assert looks.power(2.0) > 0.97


def test_futility_shortens_trials_without_an_effect_and_keeps_the_power() -> None:
    futility = Boundary(Shape.HWANG_SHIH_DECANI, -2.0)
    looks = boundary_looks(Boundary(Shape.OBRIEN_FLEMING), 0.05, 0.8, FIVE, futility)
    assert looks.expected_without < 0.75
    assert looks.power(1.0) == pytest.approx(0.8, abs=1e-6)


def paths(drift: float, runs: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """The z values at fourteen looks of trials whose last one has this mean."""
    times = np.array(FOURTEEN)
    steps = np.random.default_rng(seed).normal(drift / 14, math.sqrt(1 / 14), (runs, 14))
    return np.asarray(np.cumsum(steps, axis=1) / np.sqrt(times))


def test_a_confidence_sequence_costs_what_simulated_trials_take() -> None:
    looks = sequence_looks(0.05, 0.8, FOURTEEN)
    # The boundary of the paper, with its own tuning, in units of the last look's information.
    evidence = 2 * math.log(1 / 0.05)
    rho, times = 1 / (evidence + math.log(1 + evidence)), np.array(FOURTEEN)
    bounds = np.sqrt((1 + rho / times) * (np.log(1 + times / rho) + evidence))
    assert looks.bounds == pytest.approx(bounds, rel=1e-12)

    runs = often(20_000, 200_000)
    crossed = np.abs(paths(looks.drift, runs, 11)) > bounds
    ended = np.where(crossed.any(axis=1), times[crossed.argmax(axis=1)], 1.0)
    assert crossed.any(axis=1).mean() == pytest.approx(0.8, abs=3.3 * math.sqrt(0.16 / runs))
    error = 3.3 * float(ended.std()) / math.sqrt(runs)
    assert ended.mean() * looks.most == pytest.approx(looks.expected_with, abs=error * looks.most)
    assert looks.most == pytest.approx((looks.drift / 2.8016) ** 2, rel=1e-4)

    false = (np.abs(paths(0.0, runs, 12)) > bounds).any(axis=1).mean()
    assert false < 0.05
    assert looks.expected_without == pytest.approx(looks.most, rel=0.02)


def test_more_looks_find_an_effect_in_a_smaller_trial() -> None:
    few, many = (sequence_looks(0.05, 0.8, tuple((k + 1) / count for k in range(count))) for count in (3, 60))
    assert many.most < few.most
    assert many.expected_with < few.expected_with


def test_the_last_look_is_at_the_end() -> None:
    with pytest.raises(ValueError, match=r"^the last look must be at time 1, not 0\.9$"):
        sequence_looks(0.05, 0.8, (0.5, 0.9))
    with pytest.raises(ValueError, match="power must be above"):
        sequence_looks(0.05, 0.01, (1.0,))


def sized(looks: Looks, control_share: float = 0.5) -> Sized:
    sought = Sought(Supposed(MetricKind.PROPORTION, 0.12), 0.02, ratio=1 / control_share - 1)
    return Sized(sought, 0.05, 0.8, looks, control_share)


def test_a_trial_of_looks_is_as_much_larger_as_they_cost() -> None:
    once, often_looked = sized(one_look(0.05, 0.8)), sized(sequence_looks(0.05, 0.8, FOURTEEN))
    assert once.units == once.one_look_units == pytest.approx(2 * 4437.36, abs=0.01)
    assert often_looked.units == pytest.approx(once.units * often_looked.looks.most)
    assert often_looked.one_look_units == once.units


@pytest.mark.parametrize("looks", [one_look(0.05, 0.8), sequence_looks(0.05, 0.8, FOURTEEN)])
def test_the_curve_passes_through_the_size(looks: Looks) -> None:
    trial = sized(looks)
    half, whole, twice = trial.curve([trial.units / 2, trial.units, 2 * trial.units])
    assert whole.power == pytest.approx(0.8, abs=1e-4)
    assert whole.detectable == pytest.approx(0.02, abs=1e-9)
    assert not isinstance(half.power, NotEstimable)
    assert not isinstance(twice.power, NotEstimable)
    assert half.power < 0.6
    assert twice.power > 0.95
    assert half.detectable == pytest.approx(0.02 * math.sqrt(2), rel=0.02)
    assert twice.detectable == pytest.approx(0.02 / math.sqrt(2), rel=0.02)


def test_a_small_treatment_arm_is_counted_in_the_units_of_all_arms() -> None:
    trial = sized(one_look(0.05, 0.8), 0.9)
    assert trial.units == pytest.approx(24_113, abs=1)
    assert trial.power_with(trial.units) == pytest.approx(0.8, abs=1e-4)
