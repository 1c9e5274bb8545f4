"""What the reader makes of units, cohorts, layers and ramps."""

from pathlib import Path

from meshtrial.plan.load import load
from meshtrial.plan.model import Mode, Plan
from meshtrial.plan.traffic import Switchback

GOOD = Path(__file__).parents[2] / "plans" / "good"


def named(name: str) -> Plan:
    return load((GOOD / f"{name}.yaml").read_text("utf-8"), name)


def test_units_have_the_kinds_that_outcomes_join_on() -> None:
    claim = "metadata:envoy.filters.http.jwt_authn:payload"
    units = {e.id: e.unit for e in named("units").experiments}

    assert {key: (unit.kind, unit.group_kind) for key, unit in units.items()} == {
        "by-header": ("header:x-user-id", None),
        "by-cookie": ("cookie:Sid", None),
        "by-query": ("query:user[id]", None),
        "by-request": ("request", None),
        "by-claim": (f"{claim}.sub", None),
        "by-minted-cookie": ("cookie:mt", None),
        "by-store": ("cookie:Sid", "header:x-store"),
        "by-tenant": ("request", f"{claim}.tenant"),
        "by-window": ("header:x-region", None),
        "by-plain-window": ("query:city", None),
    }
    assert {key: unit.switchback for key, unit in units.items() if unit.switchback} == {
        "by-plain-window": Switchback(3600, 0, 0),
        "by-window": Switchback(1800, 90, 300),
    }
    told = [experiment.unit.switchback for experiment in named("inference").experiments]
    assert [found for found in told if found] == [Switchback(1800, 0, 0, carryover=1800)]
    assert {key: unit.mint for key, unit in units.items() if unit.mint} == {"by-minted-cookie": 34_560_000}


def test_weights_by_cohort_are_splits_in_the_order_of_the_cohorts() -> None:
    [experiment] = named("cohorts").experiments
    lanes = {s.id: [(x.arm.id, x.start, x.live, x.end) for x in s.lanes] for s in experiment.splits}

    assert [*lanes] == ["default", "staff", "enterprise"]
    assert lanes == {
        "default": [("v3", 0, 2500, 2500), ("v2", 2500, 5000, 5000)],
        "staff": [("v3", 0, 5000, 5000), ("v2", 5000, 10_000, 10_000)],
        "enterprise": [("v3", 0, 0, 0), ("v2", 0, 1000, 1000)],
    }
    assert [str(source) for source in experiment.strata] == ["header:x-country", "header:x-plan"]


def test_slices_are_buckets_of_the_layer_and_begin_after_its_holdout() -> None:
    plan = named("layers")

    assert {e.id: e.slice for e in plan.experiments} == {
        "rank-v2": (200, 5000),
        "rank-v3": (5000, 7550),
        "tone": (0, 333),
        "length": (333, 666),
        "colour": (0, 10_000),
    }
    assert {layer.id: layer.holdout for layer in plan.layers} == {"ranking": 200, "whole": 0, "wording": 0}


def test_a_ramp_makes_the_first_part_of_each_lane_live_rounded_down() -> None:
    lanes = {e.id: e.splits[0].lanes[0] for e in named("running").experiments}

    assert {key: (lane.live, lane.end) for key, lane in lanes.items() if lane.live < lane.end} == {
        "ramped": (500, 5000),
        "not-begun": (0, 5000),
        "sticky": (1666, 5000),
    }


def test_killed_counts_more_than_paused() -> None:
    modes = {e.id: e.mode for e in named("running").experiments if e.mode is not Mode.RUNNING}

    assert modes == {"paused": Mode.PAUSED, "killed": Mode.KILLED}
