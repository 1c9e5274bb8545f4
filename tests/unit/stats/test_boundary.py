"""Crossing chances and bounds against published tables and scipy's multivariate normal."""

import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from meshtrial.plan.inference import Boundary, Shape
from meshtrial.stats.boundary import exact_bounds, spending_bounds
from meshtrial.stats.integration import crossing
from meshtrial.stats.spending import spent
from stats_cases import near

OBRIEN_FLEMING, POCOCK = Boundary(Shape.OBRIEN_FLEMING), Boundary(Shape.POCOCK)


def even(looks: int) -> list[float]:
    return [(k + 1) / looks for k in range(looks)]


def inside(times: list[float], low: list[float], high: list[float], effect: float = 0.0) -> float:
    """The chance to stay within all bounds, by scipy."""
    t = np.array(times)
    correlations = np.sqrt(np.minimum.outer(t, t) / np.maximum.outer(t, t))
    limits = {"lower_limit": low, "abseps": 1e-7, "releps": 1e-7, "maxpts": 4_000_000, "rng": 12}
    return float(multivariate_normal.cdf(high, effect * np.sqrt(t), correlations, **limits))


@pytest.mark.parametrize(("looks", "constant"), [(2, 2.038), (3, 2.083), (4, 2.113), (5, 2.136)])
def test_wang_tsiatis_constants_are_those_published(looks: int, constant: float) -> None:
    bounds = exact_bounds(Boundary(Shape.WANG_TSIATIS, 0.25), 0.05, even(looks)).z

    assert bounds[-1] == near(constant, 0.0006)
    assert bounds[0] == pytest.approx(bounds[-1] * looks**0.25)


def test_wang_tsiatis_has_obrien_fleming_and_pocock_at_its_ends() -> None:
    for parameter, shape in ((0.0, OBRIEN_FLEMING), (0.5, POCOCK)):
        ours = exact_bounds(Boundary(Shape.WANG_TSIATIS, parameter), 0.05, even(4)).z
        assert ours == pytest.approx(exact_bounds(shape, 0.05, even(4)).z)


def test_bounds_of_pocock_spending_are_those_of_ldbounds() -> None:
    pocock = spending_bounds(POCOCK, 0.05, even(5)).z
    assert pocock.tolist() == near([2.4380, 2.4268, 2.4102, 2.3966, 2.3860], 1e-4)


@pytest.mark.parametrize("effect", [0.0, 1.7, -3.0])
def test_the_chance_to_stay_within_uneven_bounds_is_scipys(effect: float) -> None:
    times, low, high = [0.1, 0.35, 0.37, 1.0], [-math.inf, -1.0, -2.5, -1.5], [2.5, 2.0, math.inf, 1.8]

    below, above = crossing(times, low, high, effect)

    for k in range(1, 5):
        stayed = inside(times[:k], low[:k], high[:k], effect)
        assert 1 - below[:k].sum() - above[:k].sum() == near(stayed, 3e-7)


def test_crossing_is_exact_over_many_looks_that_hardly_differ() -> None:
    times = [0.5 + 0.001 * k for k in range(1, 300)]
    z = [1.96] * len(times)

    below, above = crossing(times, [-x for x in z], z)
    coarse_below, coarse_above = crossing(times[::298], [-1.96, -1.96], [1.96, 1.96])

    assert above == pytest.approx(below, rel=1e-12)
    assert below.sum() + above.sum() > coarse_below.sum() + coarse_above.sum()
    # Ornstein-Uhlenbeck paths, simulated: the discrete walk itself.
    rng = np.random.default_rng(11)
    steps = np.sqrt(np.diff(times, prepend=0)) * rng.standard_normal((20_000, len(times)))
    crossed = (np.abs(steps.cumsum(axis=1) / np.sqrt(times)) >= 1.96).any(axis=1).mean()
    assert below.sum() + above.sum() == near(crossed, 3.3 * math.sqrt(0.14 * 0.86 / 20_000))


def test_correlations_come_from_information_and_alpha_from_time() -> None:
    times, information = [0.3, 0.6, 1.0], [5.0, 6.0, 40.0]

    bounds = spending_bounds(POCOCK, 0.05, times, information)

    stayed = [inside(information[:k], (-bounds.z[:k]).tolist(), bounds.z[:k].tolist()) for k in range(1, 4)]
    assert [1 - chance for chance in stayed] == near([2 * spent(POCOCK, 0.025, t) for t in times], 3e-7)


def test_a_look_without_new_information_has_the_bound_of_all_that_is_spent_by_then() -> None:
    bounds = spending_bounds(POCOCK, 0.05, [0.3, 0.6, 1.0], [7.0, 7.0, 7.0])

    assert bounds.z == pytest.approx(norm.isf([spent(POCOCK, 0.025, t) for t in (0.3, 0.6, 1.0)]))
    assert bounds.spent[-1] == pytest.approx(0.05)


def test_an_increment_too_small_for_a_bound_is_left_to_the_next_look() -> None:
    early = spending_bounds(OBRIEN_FLEMING, 0.05, [0.01, 0.02, 0.5, 1.0])

    assert early.z[:2].tolist() == [math.inf, math.inf]
    assert early.spent[:2].tolist() == [0.0, 0.0]
    assert early.z[2:] == pytest.approx(spending_bounds(OBRIEN_FLEMING, 0.05, [0.5, 1.0]).z)


def test_a_time_that_comes_again_has_nothing_left_to_spend() -> None:
    bounds = spending_bounds(POCOCK, 0.05, [0.5, 0.5, 1.0], [1.0, 1.1, 2.0])

    assert bounds.z[1] == math.inf
    assert bounds.spent.tolist() == pytest.approx([0.0310, 0.0310, 0.05], abs=1e-4)


def test_spending_functions_have_their_published_values() -> None:
    # Lan & DeMets at alpha .025: 2(1 - Phi(2.2414 / sqrt t)), .025 log(1 + (e - 1) t).
    assert spent(OBRIEN_FLEMING, 0.025, 0.5) == pytest.approx(2 * norm.sf(norm.isf(0.0125) / math.sqrt(0.5)))
    assert spent(POCOCK, 0.025, 0.4) == near(0.013078429, 1e-9)
    assert spent(Boundary(Shape.HWANG_SHIH_DECANI, 0.0), 0.025, 0.4) == pytest.approx(0.01)
    assert spent(Boundary(Shape.HWANG_SHIH_DECANI, -4.0), 0.025, 0.2) == near(0.00057163, 1e-8)
    for shape in (OBRIEN_FLEMING, POCOCK, Boundary(Shape.HWANG_SHIH_DECANI, 40.0)):
        assert spent(shape, 0.1, 0.0) == 0
        assert spent(shape, 0.1, 1.0) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("boundary", "message"),
    [
        (Boundary(Shape.WANG_TSIATIS, 0.2), "not a spending function"),
        (Boundary(Shape.HWANG_SHIH_DECANI), "not a spending function"),
        (Boundary(Shape.HWANG_SHIH_DECANI, 41.0), "parameter must be in"),
        (Boundary(Shape.HWANG_SHIH_DECANI, math.nan), "parameter must be in"),
    ],
)
def test_what_is_no_spending_function_is_refused(boundary: Boundary, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spending_bounds(boundary, 0.05, [0.5, 1.0])


@pytest.mark.parametrize(
    ("boundary", "times", "message"),
    [
        (Boundary(Shape.HWANG_SHIH_DECANI, -4.0), [0.5, 1.0], "no exact boundary"),
        (Boundary(Shape.WANG_TSIATIS), [0.5, 1.0], "no exact boundary"),
        (Boundary(Shape.WANG_TSIATIS, 0.6), [0.5, 1.0], "no exact boundary"),
        (POCOCK, [0.5, 0.9], "last look must be at time 1"),
        (POCOCK, [0.5, 0.5, 1.0], "ascend"),
        (POCOCK, [], "there must be a look"),
        (POCOCK, [0.0, 1.0], "there must be a look"),
    ],
)
def test_looks_without_exact_bounds_are_refused(boundary: Boundary, times: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        exact_bounds(boundary, 0.05, times)


def test_times_that_descend_or_leave_0_to_1_are_refused() -> None:
    for times in ([0.5, 0.4], [0.5, 1.2], [-0.1, 1.0], [math.nan, 1.0]):
        with pytest.raises(ValueError, match=r"time|look"):
            spending_bounds(POCOCK, 0.05, times, [1.0, 2.0])
    with pytest.raises(ValueError, match="information must ascend"):
        spending_bounds(POCOCK, 0.05, [0.5, 1.0], [2.0, 1.9])
    for alpha in (0.0, 1.0, math.nan):
        with pytest.raises(ValueError, match="alpha"):
            spending_bounds(POCOCK, alpha, [0.5, 1.0])
