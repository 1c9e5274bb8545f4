"""Simulated trials: the plan's own rule errs and finds as often as it should."""

import math
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest

from meshtrial.analysis import findings
from meshtrial.analysis.decision import Ruling
from meshtrial.analysis.drawn import Values
from meshtrial.analysis.simulated import Ran, Scenario, Simulated
from meshtrial.analysis.simulation import (
    GIVEN_EFFECT,
    MINIMUM_EFFECT,
    NO_EFFECT,
    Mean,
    Rate,
    Tally,
    generator,
    scenarios_of,
)
from meshtrial.plan.inference import MetricKind
from meshtrial.stats.contrast import Contrasted
from meshtrial.stats.estimate import Comparison
from meshtrial.stats.fixed import fixed
from meshtrial.stats.size_rates import Rates
from meshtrial.stats.size_supposed import Supposed
from plan_values import on, plan_of
from proof import often

METRICS = {
    "conversion": {"kind": "proportion", "outcome": "purchase", "window": "1d"},
    "revenue": {"kind": "mean", "outcome": "purchase", "value": "amount", "window": "1d"},
    "error_rate": {"kind": "proportion", "outcome": "error", "window": "1d"},
}
KNOWN = {
    "conversion": Supposed(MetricKind.PROPORTION, 0.3),
    "revenue": Supposed(MetricKind.MEAN, 12.0, sd=30.0),
    "error_rate": Supposed(MetricKind.PROPORTION, 0.05),
}
CONVERSION = {"metric": "conversion", "direction": "up", "minimum_effect": "6pp"}
ERRORS = {"metric": "error_rate", "direction": "down", "margin": "3pp"}
THREE = {
    "v1": {"weight": 34, "cluster": "a"},
    "v2": {"weight": 33, "cluster": "b"},
    "v3": {"weight": 33, "cluster": "c"},
}


def simulated(
    arms: Any = None, keys: Any = None, per_day: float = 1000.0, days: float | None = None, **decision: Any
) -> Simulated:
    """2,000 units that come in two days, and find a rise from 30% to 36% with a power of 81%."""
    made: dict[str, Any] = on("/r", **({"arms": arms} if arms else {}), **(keys or {}))
    rule = {"planned_units": 2000, "minimum_duration": "1d", "lateness": "0s", "primary": [CONVERSION]}
    made["decision"] |= rule | decision
    experiment = plan_of({"r": made}, metrics=METRICS).experiments[0]
    entries = experiment.decision
    decides = [*(e.metric for e in entries.primary), *(e.metric for e in entries.guardrails)]
    values = {metric.id: Values(metric, KNOWN[metric.id]) for metric in decides}
    return Simulated(experiment, values, per_day, days)


def runs_of(trial: Simulated, effects: Mapping[str, float], runs: int, seed: int = 1) -> list[Ran]:
    scenario = Scenario("", trial.experiment.treatments()[0].id, effects)
    return [trial.run(scenario, generator(seed, 0, run)) for run in range(runs)]


def share(ruling: Ruling, runs: list[Ran]) -> float:
    return sum(ran.decision is ruling for ran in runs) / len(runs)


def band(rate: float, runs: int) -> float:
    """Standard errors that 1 in 1000 counts are further off."""
    return 3.29 * math.sqrt(rate * (1 - rate) / runs)


def test_a_fixed_trial_ships_without_an_effect_in_half_of_alpha_and_with_it_in_its_power() -> None:
    # Better is one tail of the two. The interval reaches the minimum effect of 2.85 errors wherever it lies
    # above 0, because it is 3.92 errors wide.
    runs = often(1500, 20_000)
    trial = simulated()
    assert share(Ruling.SHIP, runs_of(trial, {}, runs)) == pytest.approx(0.025, abs=band(0.025, runs))
    power = Rates(0.3, 0.06).power(1000, 0.05)
    found = runs_of(trial, {"conversion": 0.06}, runs, seed=2)
    assert share(Ruling.SHIP, found) == pytest.approx(power, abs=band(power, runs) + 0.01)
    assert share(Ruling.WAIT, found) == 0


def test_guardrails_take_their_share_of_the_trials_that_ship() -> None:
    runs = often(1000, 10_000)
    trial = simulated(guardrails=[ERRORS])
    found = runs_of(trial, {"conversion": 0.06}, runs)
    both = Rates(0.3, 0.06).power(1000, 0.05) * Rates(0.05, 0.0, 1.0, 0.03).power(1000, 0.05)
    assert share(Ruling.SHIP, found) == pytest.approx(both, abs=band(both, runs) + 0.02)

    at_margin = runs_of(trial, {"conversion": 0.2, "error_rate": 0.03}, runs, seed=3)
    assert share(Ruling.SHIP, at_margin) == pytest.approx(0.025, abs=band(0.025, runs) + 0.005)
    harmed = runs_of(trial, {"conversion": 0.06, "error_rate": 0.1}, 50, seed=4)
    assert share(Ruling.ROLL_BACK, harmed) == 1
    assert {ran.arm for ran in harmed} == {"v2"}


LOOKED_AT: dict[str, dict[str, Any]] = {
    "sequential": {"method": "sequential"},
    "group_sequential": {"method": "group_sequential", "looks": 5},
    "pocock": {"method": "group_sequential", "looks": 5, "boundary": "pocock"},
}


@pytest.mark.parametrize(("rule", "runs"), [("sequential", 600), ("group_sequential", 400), ("pocock", 200)])
def test_looks_do_not_ship_more_without_an_effect(rule: str, runs: int) -> None:
    runs = often(runs, 10_000)
    trial = simulated(per_day=200, **LOOKED_AT[rule])
    found = share(Ruling.SHIP, runs_of(trial, {}, runs))
    assert found <= 0.025 + 3.09 * math.sqrt(0.025 * 0.975 / runs)
    if rule != "sequential":
        assert found >= 0.02 - band(0.02, runs)


def test_naive_peeking_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def naive(contrast: Contrasted, alpha: float, _tuned: float, _time: float) -> Comparison:
        return fixed(contrast, alpha)

    monkeypatch.setattr(findings, "confidence_sequence", naive)
    runs = often(600, 10_000)
    found = share(Ruling.SHIP, runs_of(simulated(per_day=200, method="sequential"), {}, runs))
    assert found > 0.025 + 2 * 3.09 * math.sqrt(0.025 * 0.975 / runs)


def test_a_sequential_trial_is_looked_at_each_day_and_stops_early_with_a_large_effect() -> None:
    trial = simulated(per_day=200, method="sequential")
    found = runs_of(trial, {"conversion": 0.2}, 40)
    assert share(Ruling.SHIP, found) == 1
    # Units of a day are final a day later: verdicts come after whole days, each with all units until then.
    assert {ran.days for ran in found} <= {float(day) for day in range(2, 12)}
    assert np.mean([ran.days for ran in found]) < 6
    for ran in found:
        assert ran.units == pytest.approx(200 * (ran.days - 1), abs=6 * math.sqrt(200 * ran.days))


def test_a_fixed_trial_lasts_until_its_units_are_final_or_its_minimum_duration() -> None:
    # 2,000 units in two days, to the next hour, and a window of a day.
    found = runs_of(simulated(), {}, 30)
    assert np.mean([ran.days for ran in found]) == pytest.approx(3 + 0.5 / 24, abs=0.03)
    assert min(ran.units for ran in found) >= 2000
    assert max(ran.units for ran in found) < 2100
    old = runs_of(simulated(minimum_duration="10d"), {}, 5)
    assert {ran.days for ran in old} == {11.0}
    assert np.mean([ran.units for ran in old]) == pytest.approx(10_000, rel=0.05)


def test_looks_of_a_group_sequential_trial_are_where_the_plan_says() -> None:
    found = runs_of(simulated(method="group_sequential", looks=2, per_day=400), {"conversion": 0.25}, 30)
    assert share(Ruling.SHIP, found) == 1
    assert np.mean([ran.units for ran in found]) == pytest.approx(1000, abs=30)
    assert np.mean([ran.days for ran in found]) == pytest.approx(2.5 + 1, abs=0.1)


def test_a_trial_that_is_given_up_waits() -> None:
    found = runs_of(simulated(days=2.5), {}, 5)
    assert {(ran.decision, ran.days) for ran in found} == {(Ruling.WAIT, 2.5)}
    assert max(ran.units for ran in found) < 2000


def test_of_several_arms_the_one_with_the_effect_ships() -> None:
    trial = simulated(arms=THREE, planned_units=4000)
    tally = Tally.of(Scenario("", "v2", {}), ["v2", "v3"], runs_of(trial, {"conversion": 0.12}, 60))
    assert tally.shipped["v2"].share > 0.95
    assert tally.shipped["v3"].count <= 2


def test_secondary_metrics_are_not_drawn_and_decide_nothing() -> None:
    found = runs_of(simulated(secondary=["revenue"]), {"conversion": 0.3}, 3)
    assert share(Ruling.SHIP, found) == 1


def test_a_short_trial_with_little_traffic_is_simulated_in_coarser_steps() -> None:
    trial = simulated(planned_units=50, minimum_duration="60s", per_day=10, primary=[CONVERSION])
    assert len(trial.blocks[0]) <= 2001
    [ran] = runs_of(trial, {}, 1)
    assert ran.units == pytest.approx(50, abs=3)


def test_a_run_is_the_same_whoever_makes_it() -> None:
    trial, again = simulated(), simulated()
    scenario = Scenario("", "v2", {"conversion": 0.06})
    assert trial.run(scenario, generator(7, 1, 3)) == again.run(scenario, generator(7, 1, 3))
    others = {trial.run(scenario, generator(7, 1, run)).units for run in range(8)}
    assert len(others) > 1


def test_scenarios_are_no_effect_the_minimum_effect_and_what_is_given() -> None:
    revenue = {"metric": "revenue", "direction": "down", "minimum_effect": "10% relative"}
    trial = simulated(primary=[CONVERSION, revenue])
    none, least = scenarios_of(trial, {})
    assert (none.name, none.effects) == (NO_EFFECT, {})
    assert (least.name, least.arm) == (MINIMUM_EFFECT, "v2")
    assert least.effects == pytest.approx({"conversion": 0.06, "revenue": -1.2})
    given = scenarios_of(trial, {"revenue": 3.0})[2]
    assert (given.name, given.effects) == (GIVEN_EFFECT, {"revenue": 3.0})


def test_counts_have_wilsons_interval_and_means_their_error() -> None:
    # Newcombe 1998, table I: 81 of 263 at 95% is 0.2553 to 0.3662.
    rate = Rate(81, 263)
    assert (rate.interval.low, rate.interval.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert (Rate(0, 9).interval.low, Rate(9, 9).interval.high) == (0, 1)
    mean = Mean.of([1.0, 2.0, 3.0, 10.0])
    assert (mean.value, mean.highest) == (4.0, 10.0)
    assert mean.error == pytest.approx(math.sqrt(50 / 3 / 4))
    assert Mean.of([5.0]).error == 0


def test_a_tally_counts_every_ruling() -> None:
    runs = [
        Ran(Ruling.SHIP, "v2", 3.0, 10),
        Ran(Ruling.WAIT, None, 9.0, 90),
        Ran(Ruling.REVIEW, "v2", 3.0, 20),
    ]
    tally = Tally.of(Scenario("", "v2", {}), ["v2"], runs)
    assert {ruling: rate.count for ruling, rate in tally.decisions.items()} == {
        Ruling.SHIP: 1, Ruling.KEEP_CONTROL: 0, Ruling.ROLL_BACK: 0, Ruling.REVIEW: 1, Ruling.WAIT: 1,
    }  # fmt: skip
    assert tally.shipped == {"v2": Rate(1, 3)}
    assert (tally.days.value, tally.units.value) == (5.0, 40.0)


GROUPS = {"unit": {"group": {"header": "x-store"}, "members": {"header": "x-user-id"}}}
SWITCHBACK = {"unit": {"switchback": {"key": {"header": "x-user-id"}, "window": "30m"}}}


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            partial(simulated, keys=GROUPS),
            "groups are not simulated: only units independent of each other",
        ),
        (
            partial(simulated, keys=SWITCHBACK),
            "switchbacks are not simulated: only units independent of each other",
        ),
        (
            partial(simulated, keys={"ramp": "0%"}),
            "arm v2 gets no units under the present ramp, so nothing is compared",
        ),
        (partial(simulated, per_day=0.0), "units per day must be above 0 and finite, not 0"),
        (
            partial(simulated, days=1.0),
            "the trial is given up before its first look: it takes 1 days until the first unit is final",
        ),
    ],
)
def test_what_is_not_simulated_is_refused(made: Any, message: str) -> None:
    with pytest.raises(ValueError, match=rf"^{re.escape(message)}$"):
        made()


def test_a_metric_of_which_nothing_is_supposed_is_refused() -> None:
    trial = simulated()
    with pytest.raises(ValueError, match=r"^nothing is supposed of conversion$"):
        Simulated(trial.experiment, {}, 1000.0)
