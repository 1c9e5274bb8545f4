"""Sizes of two proportions against a margin, and the conventions of other calculators."""

import re

import numpy as np
import pytest
from scipy.stats import binom, norm

from meshtrial.stats.proportion import Proportion
from meshtrial.stats.score import score
from meshtrial.stats.size_conventions import Convention, conventional_size
from meshtrial.stats.size_rates import Rates


@pytest.mark.parametrize(
    ("treated", "control", "margin", "power", "per_treated", "treated_units", "control_units"),
    [
        (0.4, 0.05, 0.2, 0.8, 1.0, 79.8438, 79.8438),
        (0.1, 0.1, -0.2, 0.9, 2 / 3, 62.88, 41.92),
        (0.25, 0.05, 0.1, 0.9, 1.5, 173.2214, 259.8322),
    ],
)
def test_farrington_and_mannings_published_sizes_are_met(
    treated: float,
    control: float,
    margin: float,
    power: float,
    per_treated: float,
    treated_units: float,
    control_units: float,
) -> None:
    # Their table 1 and page 1451, at one-sided alpha 0.05, as gsDesign's tests give them.
    size = Rates(control, treated - control, 1 / per_treated, margin).size(0.1, power)

    assert size == pytest.approx(control_units, abs=0.005)
    assert size / per_treated == pytest.approx(treated_units, abs=0.005)


@pytest.mark.parametrize(("baseline", "effect", "beyond"), [(0.3, 0.0, -0.1), (0.2, 0.2, 0.05)])
def test_the_score_test_has_the_power_by_counting_all_outcomes(
    baseline: float, effect: float, beyond: float
) -> None:
    rates = Rates(baseline, effect, 1.0, beyond)
    units = round(rates.size(0.1, 0.8))
    every = np.arange(units + 1)
    chances = [binom.pmf(every, units, rate) for rate in (baseline, baseline + effect)]

    found = 0.0
    for had in np.flatnonzero(chances[0] > 1e-5):
        for treated in np.flatnonzero(chances[1] > 1e-5):
            z = score(Proportion(units, int(had)), Proportion(units, int(treated)), beyond)
            found += chances[0][had] * chances[1][treated] * (z > norm.isf(0.05))

    assert found == pytest.approx(0.8, abs=0.015)


def test_without_a_margin_the_score_test_is_the_pooled_z_test() -> None:
    assert Rates(0.12, 0.02).size(0.05, 0.8) == pytest.approx(4437.4, abs=0.05)
    near = Rates(0.12, 0.02, beyond=1e-9).size(0.05, 0.8)
    assert near == pytest.approx(Rates(0.12, 0.02).size(0.05, 0.8), rel=1e-6)


def test_a_rise_over_a_required_gain_takes_what_is_left_of_it() -> None:
    assert Rates(0.12, 0.03, beyond=0.01).size(0.05, 0.8) > Rates(0.12, 0.03).size(0.05, 0.8)
    assert Rates(0.12, 0.03, beyond=0.01).power(1e5, 0.05) > 0.999


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        (
            {"baseline": 0.1, "effect": -0.05, "beyond": -0.05},
            "effect must be at least 1e-12 either way of -0.05, not -0.05",
        ),
        (
            {"baseline": 0.1, "effect": 0.0, "beyond": -1.0},
            "beyond must be above -1 and below 1, not -1",
        ),
    ],
)
def test_rates_that_are_not_apart_are_refused(rates: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^{re.escape(message)}$"):
        Rates(**rates)


PUBLISHED = {
    # To 5% from 7%, from 12% to 14%: alpha 0.05, power 0.8, by statsmodels and by hand.
    (0.05, 0.02): (2212.2, 2209.5, 2198.5, 1964.8, 1865.1),
    (0.12, 0.02): (4437.4, 4434.6, 4432.5, 4230.4, 4145.2),
}


@pytest.mark.parametrize("rates", PUBLISHED)
def test_other_conventions_give_what_other_calculators_give(rates: tuple[float, float]) -> None:
    found = [conventional_size(convention, *rates, 0.05, 0.8) for convention in Convention]
    assert found == pytest.approx(PUBLISHED[rates], abs=0.06)


def test_evan_millers_own_inputs_give_his_size() -> None:
    assert conventional_size(Convention.EVAN_MILLER, 0.2, 0.05, 0.05, 0.8) == pytest.approx(1030, abs=0.5)
