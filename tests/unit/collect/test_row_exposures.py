"""A file's rows, held against a plan."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from meshtrial.collect.row_cells import RowFlaw
from meshtrial.collect.row_exposures import (
    ExposureColumns,
    Place,
    exposure_columns,
    plan_item,
    strata_left_out,
)
from meshtrial.errors import SettingError
from meshtrial.plan.load import load
from meshtrial.plan.model import Mode
from plan_values import ARMS, experiment, on, plan_of

PLACE = Place(unit="user", arm="variant", time="at")
ROW = {"user": "ann", "variant": "v2", "at": "2026-03-01T12:00:00Z"}
PLAN = plan_of({"rank-v2": experiment()})


def columns(place: Place = PLACE, phase: str | None = None, **keys: Any) -> ExposureColumns:
    sections = {"cohorts": keys.pop("cohorts")} if "cohorts" in keys else {}
    plan = plan_of({"rank-v2": experiment(**keys)}, **sections)
    return exposure_columns(plan.experiments[0], plan.digest, place, phase)


def refusal(place: Place = PLACE, phase: str | None = None, **keys: Any) -> str:
    with pytest.raises(SettingError) as refused:
        columns(place, phase, **keys)
    return str(refused.value)


WEIGHTS = {
    "v1": {**ARMS["v1"], "weight": {"default": 50, "gold": 0}},
    "v2": {**ARMS["v2"], "weight": {"default": 50, "gold": 100}},
}
COHORTS = {"gold": [{"header": "x-plan", "in": ["gold"]}]}
GROUPED: dict[str, Any] = {"unit": {"group": {"header": "x-shop"}, "members": {"header": "x-user-id"}}}


def test_phase_digest_and_kind_are_the_plans() -> None:
    assert columns().item(ROW) == {
        "unit": {"kind": "header:x-user-id", "value": "ann"},
        "experiment": "rank-v2",
        "arm": "v2",
        "phase": PLAN.experiments[0].phase,
        "plan": PLAN.digest,
        "time": "2026-03-01T12:00:00.000000Z",
    }
    assert columns(phase=PLAN.experiments[0].phase).needed() == ("user", "variant", "at")


def test_times_without_an_offset_and_numbers_are_read_as_those_of_outcomes() -> None:
    local = columns(replace(PLACE, zone=UTC)).item({**ROW, "user": 7, "at": "2026-03-01 12:00:00"})

    assert (local["unit"]["value"], local["time"]) == ("7", "2026-03-01T12:00:00.000000Z")


def test_cohorts_groups_and_strata_come_from_their_columns() -> None:
    cohorts = columns(replace(PLACE, cohort="tier"), arms=WEIGHTS, cohorts=COHORTS)
    groups = columns(replace(PLACE, group="shop"), **GROUPED)
    strata = columns(replace(PLACE, strata=(("x-country", "country"),)), strata=["x-country"])

    assert cohorts.item({**ROW, "tier": "gold"})["cohort"] == "gold"
    assert cohorts.item({**ROW, "tier": "default"})["cohort"] == "default"
    assert groups.item({**ROW, "shop": "s1"})["group"] == {"kind": "header:x-shop", "value": "s1"}
    assert strata.item({**ROW, "country": "IN"})["strata"] == {"x-country": "IN"}
    assert "strata" not in strata.item({**ROW, "country": None})


def test_the_plan_that_follows_them_is_the_experiments_part_of_it_as_it_ran() -> None:
    plan = plan_of({"rank-v2": on("/a/", paused=True), "other": on("/b/")})
    chosen = plan.experiment("rank-v2")
    assert chosen is not None

    item = plan_item(plan, chosen, datetime(2026, 3, 1, 12, tzinfo=UTC))

    recorded = load(item.pop("document"), "recorded").experiments
    assert recorded == (replace(chosen, mode=Mode.RUNNING),)
    assert recorded[0].phase == chosen.phase
    assert item == {
        "experiment": "rank-v2",
        "phase": chosen.phase,
        "plan": plan.digest,
        "time": "2026-03-01T12:00:00+00:00",
    }


def test_strata_without_a_column_are_told() -> None:
    listed = plan_of({"rank-v2": experiment(strata=["x-a", "x-b"])}).experiments[0]

    assert strata_left_out(listed, PLACE) == ("x-a", "x-b")
    assert strata_left_out(listed, replace(PLACE, strata=(("x-b", "b"),))) == ("x-a",)
    assert strata_left_out(PLAN.experiments[0], PLACE) == ()


@pytest.mark.parametrize(
    ("cells", "rule"),
    [
        ({"variant": "v3"}, "`variant` must be an arm of `rank-v2` (v1, v2), not `v3`"),
        ({"variant": None}, "`variant` is empty"),
        ({"user": ""}, "`user` is empty"),
        ({"at": "never"}, "`at` must be a time such as"),
        ({"tier": "silver"}, "`tier` must be a cohort with weights (default, gold), not `silver`"),
    ],
)
def test_a_row_that_is_no_exposure_of_the_experiment_names_the_rule(
    cells: dict[str, object], rule: str
) -> None:
    found = columns(replace(PLACE, cohort="tier"), arms=WEIGHTS, cohorts=COHORTS)

    with pytest.raises(RowFlaw) as flaw:
        found.item({**ROW, "tier": "gold", **cells})
    assert str(flaw.value).startswith(rule)


def test_what_no_row_could_mend_is_one_error() -> None:
    assert refusal(phase="0" * 16) == (
        f"--phase {'0' * 16}: the plan has `rank-v2` in phase {PLAN.experiments[0].phase}; import with the "
        f"plan that was in force"
    )
    assert refusal(arms=WEIGHTS, cohorts=COHORTS) == (
        "`rank-v2` has weights by cohort: say with --cohort-column which column has them"
    )
    assert refusal(replace(PLACE, cohort="tier")) == (
        "--cohort-column tier: it is not so that `rank-v2` has weights by cohort"
    )
    assert refusal(**GROUPED) == "`rank-v2` randomises groups: say with --group-column which column has them"
    assert refusal(replace(PLACE, group="shop")).startswith("--group-column shop: it is not so")
    assert (
        refusal(replace(PLACE, strata=(("x-a", "a"),))) == "--stratum x-a: the strata of `rank-v2` are none"
    )
    twice = replace(PLACE, strata=(("x-b", "a"), ("x-b", "b")))
    assert refusal(twice, strata=["x-b"]) == "--stratum x-b: the strata of `rank-v2` are x-b, each once"
    switchback = {"switchback": {"key": {"header": "x-city"}, "window": "30m"}}
    assert refusal(unit=switchback) == "`rank-v2` is a switchback: its exposures cannot be imported"
