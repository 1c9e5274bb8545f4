"""What a plan's rule needs, metric by metric."""

import re
from typing import Any

import pytest

from meshtrial.analysis.findings import Role
from meshtrial.analysis.needed import Wanted, days_needed, needed_units
from meshtrial.plan.inference import MetricKind
from meshtrial.plan.model import Experiment
from meshtrial.stats.clusters import Likeness
from meshtrial.stats.size import mean_size, proportion_size
from meshtrial.stats.size_rates import Rates
from meshtrial.stats.size_supposed import Supposed
from plan_values import on, plan_of

METRICS = {
    "conversion": {"kind": "proportion", "outcome": "purchase", "window": "7d"},
    "revenue": {"kind": "mean", "outcome": "purchase", "value": "amount", "window": "7d"},
    "error_rate": {"kind": "proportion", "outcome": "error", "window": "1d"},
}
CONVERSION = Supposed(MetricKind.PROPORTION, 0.12)
REVENUE = Supposed(MetricKind.MEAN, 12.0, sd=30.0)
ERRORS = Supposed(MetricKind.PROPORTION, 0.01)
THREE = {
    "v1": {"weight": 60, "cluster": "a"},
    "v2": {"weight": 30, "cluster": "b"},
    "v3": {"weight": 10, "cluster": "c"},
}


def experiment(arms: Any = None, keys: Any = None, **decision: Any) -> Experiment:
    made: dict[str, Any] = on("/r", **({"arms": arms} if arms else {}), **(keys or {}))
    made["decision"] |= decision
    return plan_of({"r": made}, metrics=METRICS).experiments[0]


def wanted(per_day: float | None = 1000.0, **supposed: Supposed) -> Wanted:
    return Wanted(supposed or {"conversion": CONVERSION}, {}, {}, per_day)


def test_one_primary_takes_the_textbook_size() -> None:
    [found] = needed_units(experiment(), wanted())
    assert found.role is Role.PRIMARY
    assert found.sized.units == pytest.approx(2 * 4437.36, abs=0.01)


def test_a_guardrail_is_one_sided_against_its_margin_and_takes_its_part_of_beta() -> None:
    rule = {"guardrails": [{"metric": "error_rate", "direction": "down", "margin": "0.2pp"}]}
    primary, guardrail = needed_units(experiment(**rule), wanted(conversion=CONVERSION, error_rate=ERRORS))
    assert primary.sized.power == guardrail.sized.power == pytest.approx(0.9)
    assert primary.sized.units == pytest.approx(2 * proportion_size(0.12, 0.02, 0.05, 0.9))
    assert guardrail.sized.units == pytest.approx(2 * Rates(0.01, 0.0, 1.0, 0.002).size(0.05, 0.9))


def test_arms_and_primaries_share_alpha_and_small_arms_take_more() -> None:
    rule = {
        "primary": [
            {"metric": "conversion", "direction": "up", "minimum_effect": "2pp"},
            {"metric": "revenue", "direction": "up", "minimum_effect": "10% relative"},
        ]
    }
    found = needed_units(experiment(THREE, **rule), wanted(conversion=CONVERSION, revenue=REVENUE))
    assert [(one.entry.metric.id, one.arm.id) for one in found] == [
        ("conversion", "v2"), ("conversion", "v3"), ("revenue", "v2"), ("revenue", "v3"),
    ]  # fmt: skip
    assert {one.sized.alpha for one in found} == {0.05 / 4}
    assert found[1].sized.units == pytest.approx(proportion_size(0.12, 0.02, 0.0125, 0.8, 1 / 6) / 0.6)
    assert found[2].sized.units == pytest.approx(mean_size(30.0, 1.2, 0.0125, 0.8, 0.5) / 0.6)


def test_gatekeeping_leaves_alpha_whole_for_each_primary() -> None:
    rule = {
        "gatekeeping": True,
        "primary": [
            {"metric": "conversion", "direction": "up", "minimum_effect": "2pp"},
            {"metric": "revenue", "direction": "up", "minimum_effect": 1},
        ],
    }
    found = needed_units(experiment(**rule), wanted(conversion=CONVERSION, revenue=REVENUE))
    assert {one.sized.alpha for one in found} == {0.05}


def test_what_must_be_exceeded_is_taken_off_the_effect() -> None:
    primary = {"metric": "conversion", "direction": "up", "minimum_effect": "3pp", "require_above": "1pp"}
    [found] = needed_units(experiment(primary=[primary]), wanted())
    assert found.sized.units == pytest.approx(2 * Rates(0.12, 0.03, 1.0, 0.01).size(0.05, 0.8))


def test_a_direction_down_turns_effect_and_margin_and_shares_count_controls_error() -> None:
    rule = {
        "primary": [{"metric": "revenue", "direction": "down", "minimum_effect": "10% relative"}],
        "guardrails": [{"metric": "conversion", "direction": "up", "margin": "5% relative"}],
    }
    primary, guardrail = needed_units(experiment(**rule), wanted(conversion=CONVERSION, revenue=REVENUE))
    assert primary.sized.sought.effect == pytest.approx(-1.2)
    assert (guardrail.sized.sought.beyond, guardrail.sized.sought.relative) == (-0.05, True)
    assert guardrail.sized.sought.gap == pytest.approx(0.006)


def test_a_share_of_a_negative_baseline_stays_on_its_side() -> None:
    rule = {
        "primary": [{"metric": "conversion", "direction": "up", "minimum_effect": "2pp"}],
        "guardrails": [{"metric": "revenue", "direction": "up", "margin": "5% relative"}],
    }
    loss = Supposed(MetricKind.MEAN, -12.0, sd=30.0)
    _, guardrail = needed_units(experiment(**rule), wanted(conversion=CONVERSION, revenue=loss))
    assert guardrail.sized.sought.gap == pytest.approx(0.6)


def test_an_expected_effect_takes_the_place_of_the_minimum() -> None:
    expecting = Wanted({"conversion": CONVERSION}, {"conversion": 0.04}, {}, None)
    [found] = needed_units(experiment(), expecting)
    assert found.sized.units == pytest.approx(2 * proportion_size(0.12, 0.04, 0.05, 0.8))


def test_looks_by_share_and_by_time_cost_what_their_times_do() -> None:
    by_share = experiment(method="group_sequential", looks=5, boundary="obrien_fleming")
    [found] = needed_units(by_share, wanted(None))
    assert found.sized.looks.most == pytest.approx(1.028, abs=6e-4)

    # 8,876 units at 1,000 a day are there after 8.9 days; windows of 7 days and an hour close after them.
    weekly = experiment(method="group_sequential", looks={"every": "3d"}, minimum_duration="1d")
    [found] = needed_units(weekly, wanted())
    after = [(age - 7 - 1 / 24) / 8.876 for age in (1 + 7 + 1 / 24, 9, 12, 15)]
    assert found.sized.looks.times == pytest.approx([*after, 1.0])


def test_a_sequential_trial_is_looked_at_each_day() -> None:
    [found] = needed_units(experiment(method="sequential"), wanted())
    assert found.sized.looks.times == pytest.approx([day / 9 for day in range(1, 10)])
    assert 1.7 < found.sized.looks.most < 1.85


def test_groups_take_the_design_effect() -> None:
    groups = {"unit": {"group": {"header": "x-store"}, "members": {"header": "x-user-id"}}}
    made = experiment(keys=groups)
    alike = Wanted({"conversion": CONVERSION}, {}, {"conversion": Likeness(0.05, 40.0, 0.0)}, None)
    [found] = needed_units(made, alike)
    assert found.sized.sought.inflation == pytest.approx(2.95)
    assert found.sized.units > 2.95 * 2 * 4400


def test_days_count_windows_lateness_and_the_minimum_duration() -> None:
    rule = experiment().decision
    assert days_needed(rule, 8876, 500) == pytest.approx(2 * 8.876 + 7 + 1 / 24)
    assert days_needed(rule, 8876, 1000) == pytest.approx(14 + 7 + 1 / 24)


@pytest.mark.parametrize(
    ("made", "given", "message"),
    [
        (
            experiment(keys={"unit": {"switchback": {"key": {"header": "x-user-id"}, "window": "30m"}}}),
            wanted(),
            "a switchback has no size here: it depends on how alike the windows of one key are",
        ),
        (experiment(), wanted(revenue=REVENUE), "nothing is supposed of conversion"),
        (
            experiment(keys={"ramp": "0%"}),
            wanted(),
            "control and arm v2 must both get units; see `meshtrial check`",
        ),
        (
            experiment(method="sequential"),
            wanted(None),
            "a sequential trial's size depends on how often it is looked at: --units-per-day",
        ),
        (
            experiment(method="group_sequential", looks={"every": "3d"}),
            wanted(None),
            "looks every so often are shares of the units only at a known --units-per-day",
        ),
        (
            experiment(),
            Wanted({"conversion": CONVERSION}, {"conversion": -0.02}, {}, None),
            "conversion: an effect of -0.02 does not lie beyond what is required; expect a larger one",
        ),
        (
            experiment(primary=[{"metric": "revenue", "direction": "up", "minimum_effect": "5% relative"}]),
            wanted(revenue=Supposed(MetricKind.MEAN, sd=1.0)),
            "a share of the baseline needs a baseline that is not 0",
        ),
    ],
)
def test_what_has_no_size_is_refused(made: Experiment, given: Wanted, message: str) -> None:
    with pytest.raises(ValueError, match=rf"^{re.escape(message)}$"):
        needed_units(made, given)
