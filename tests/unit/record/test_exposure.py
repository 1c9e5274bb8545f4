"""What an exposure span says of each kind of split."""

import hashlib
import hmac
import json
from typing import Any

import pytest

from meshtrial.assign.baggage import Carried
from meshtrial.assign.context import EMPTY, Context
from meshtrial.assign.decide import Assignment, decide
from meshtrial.assign.request import Request
from meshtrial.names import Plane
from meshtrial.plan.load import load
from meshtrial.plan.model import Plan
from meshtrial.pseudonym import PseudonymKey
from meshtrial.record.exposure import Attributes, exposure_attributes, unit_pseudonym
from plan_values import experiment

SECRET = b"sixteen bytes ok"
KEY = PseudonymKey.of(SECRET)


def pseudonym(kind: str, unit: str) -> str:
    return hmac.new(SECRET, f"{kind}\0{unit}".encode(), hashlib.sha256).hexdigest()[:32]


def plan_of(unit: object, **keys: Any) -> Plan:
    top: dict[str, Any] = {key: keys.pop(key) for key in ("cohorts", "layers") if key in keys}
    layered: dict[str, object] = {} if "layer" in keys else {"unit": unit}
    of_experiment = experiment(**keys)
    del of_experiment["unit"]
    document = {
        "apiVersion": "meshtrial/v1",
        "metrics": {"conversion": {"kind": "proportion", "outcome": "purchase", "window": "7d"}},
        "experiments": {"rank-v2": {**of_experiment, **layered}},
        **top,
    }
    return load(json.dumps(document), "plan.yaml")


def assigned(plan: Plan, context: Context = EMPTY, **headers: str) -> Assignment:
    sent = {name.replace("_", "-"): [value.encode()] for name, value in headers.items()}
    [assignment] = decide(Request("/", "", sent), plan, context)
    return assignment


def recorded(plan: Plan, context: Context = EMPTY, **headers: str) -> Attributes:
    assignment = assigned(plan, context, **headers)
    return exposure_attributes(assignment, unit_pseudonym(assignment, KEY), plan, Plane.EXT_PROC, KEY)


def test_a_plain_split_records_what_it_always_did() -> None:
    plan = plan_of({"header": "x-user-id"})

    said = recorded(plan, x_user_id="ann")

    assert said.pop("meshtrial.bucket") == int(hashlib.md5(b"rank-v2:ann").hexdigest(), 16) % 10_000
    assert said.pop("feature_flag.result.variant") in {"v1", "v2"}
    assert said == {
        "feature_flag.key": "rank-v2",
        "feature_flag.result.reason": "split",
        "feature_flag.context.id": pseudonym("header:x-user-id", "ann"),
        "feature_flag.version": plan.digest,
        "feature_flag.provider.name": "meshtrial",
        "meshtrial.phase": plan.experiments[0].phase,
        "meshtrial.unit.kind": "header:x-user-id",
        "meshtrial.key.id": KEY.id,
        "meshtrial.exposed": True,
        "meshtrial.plane": "ext_proc",
    }


def test_without_a_unit_there_is_no_pseudonym_and_nobody_was_exposed() -> None:
    plan = plan_of({"header": "x-user-id"})

    said = recorded(plan)

    assert (said["feature_flag.result.reason"], said["meshtrial.exposed"]) == ("default", False)
    assert not {"feature_flag.context.id", "meshtrial.key.id", "meshtrial.bucket"} & said.keys()
    assert unit_pseudonym(assigned(plan), KEY) is None


def test_a_groups_member_is_the_unit_and_the_group_stands_beside_it() -> None:
    plan = plan_of({"group": {"header": "x-store"}, "members": {"header": "x-user-id"}})

    said = recorded(plan, x_store="s7", x_user_id="ann")

    assert said["feature_flag.context.id"] == pseudonym("header:x-user-id", "ann")
    assert said["meshtrial.unit.kind"] == "header:x-user-id"
    assert said["meshtrial.group.id"] == pseudonym("header:x-store", "s7")
    assert said["meshtrial.group.kind"] == "header:x-store"
    assert "s7" not in json.dumps(said)


def test_a_group_whose_member_is_unknown_is_recorded_and_exposes_nobody() -> None:
    plan = plan_of({"group": {"header": "x-store"}, "members": {"header": "x-user-id"}})

    said = recorded(plan, x_store="s7")

    assert said["meshtrial.exposed"] is False
    assert "feature_flag.context.id" not in said
    assert (said["meshtrial.group.id"], said["meshtrial.key.id"]) == (
        pseudonym("header:x-store", "s7"),
        KEY.id,
    )


def test_a_switchback_records_its_key_and_the_number_of_the_window() -> None:
    plan = plan_of({"switchback": {"key": {"header": "x-city"}, "window": "30m", "washout": "5m"}})
    start = 1_000_000 * 1800 * 10**9

    split = recorded(plan, Context(now=start + 300 * 10**9), x_city="pune")
    washed = recorded(plan, Context(now=start + 299 * 10**9), x_city="pune")

    assert split["feature_flag.context.id"] == pseudonym("header:x-city", "pune")
    assert (split["meshtrial.window"], split["meshtrial.exposed"]) == (1_000_000, True)
    assert (washed["feature_flag.result.reason"], washed["meshtrial.exposed"]) == ("washout", False)


def test_cohort_and_strata_are_recorded_in_clear() -> None:
    weights = {"v1": {"default": 50, "enterprise": 90}, "v2": {"default": 50, "enterprise": 10}}
    plan = plan_of(
        {"header": "x-user-id"},
        cohorts={"enterprise": [{"header": "x-plan", "in": ["enterprise"]}]},
        arms={arm: {"weight": weight, "cluster": arm} for arm, weight in weights.items()},
        strata=["x-country", "x-device"],
    )

    inside = recorded(plan, x_user_id="ann", x_plan="enterprise", x_country="IN")

    assert inside["meshtrial.cohort"] == "enterprise"
    assert inside["meshtrial.strata.x-country"] == "IN"
    assert "meshtrial.strata.x-device" not in inside
    assert recorded(plan, x_user_id="ann")["meshtrial.cohort"] == "default"


def test_the_layer_is_named_and_a_unit_that_it_holds_out_is_not_exposed() -> None:
    layers = {"ranking": {"unit": {"header": "x-user-id"}, "holdout": "50%"}}
    plan = plan_of(None, layers=layers, layer="ranking", slice=["50%", "100%"])

    seen = {
        said["feature_flag.result.reason"]: said
        for n in range(20)
        if (said := recorded(plan, x_user_id=f"u{n}"))
    }

    assert seen["split"]["meshtrial.layer"] == seen["holdout"]["meshtrial.layer"] == "ranking"
    assert (seen["split"]["meshtrial.exposed"], seen["holdout"]["meshtrial.exposed"]) == (True, False)


@pytest.mark.parametrize("headers", [{}, {"x_user_id": "ann"}])
def test_a_carried_arm_names_the_unit_that_an_earlier_hop_chose_it_for(headers: dict[str, str]) -> None:
    plan = plan_of({"header": "x-user-id"}, carry=True)
    ann = pseudonym("header:x-user-id", "ann")
    carried = {"rank-v2": Carried("v2", ann, "header:x-user-id", "00ff00ff00ff00ff", 2**31)}

    said = recorded(plan, Context(carried=carried, pseudonym=KEY.pseudonym), **headers)

    assert (said["feature_flag.result.variant"], said["feature_flag.result.reason"]) == ("v2", "carried")
    assert (said["feature_flag.context.id"], said["meshtrial.key.id"]) == (ann, KEY.id)
    assert (said["meshtrial.phase"], said["meshtrial.exposed"]) == ("00ff00ff00ff00ff", False)


def test_a_groups_neighbours_are_recorded_by_their_pseudonyms() -> None:
    grouped = {"group": {"header": "x-store"}, "members": {"header": "x-user-id"}}
    plan = plan_of(grouped, neighbours={"header": "x-neighbours"})

    said = recorded(plan, x_store="s1", x_user_id="ann", x_neighbours="s2,\ts 3 , ,s2,s4")

    assert said["meshtrial.neighbours"] == ",".join(
        pseudonym("header:x-store", s) for s in ("s2", "s 3", "s4")
    )
    assert "meshtrial.neighbours" not in recorded(plan, x_store="s1", x_user_id="ann", x_neighbours=", ,")
    assert "meshtrial.neighbours" not in recorded(plan, x_store="s1", x_user_id="ann")
    assert "meshtrial.neighbours" not in recorded(plan, x_user_id="ann", x_neighbours="s2")


def test_of_many_neighbours_a_hundred_are_recorded_and_none_that_could_be_no_group() -> None:
    grouped = {"group": {"header": "x-store"}, "members": {"header": "x-user-id"}}
    plan = plan_of(grouped, neighbours={"header": "x-neighbours"})
    named = ",".join(["x" * 1025, *(f"s{number}" for number in range(101))])

    said = recorded(plan, x_store="s1", x_user_id="ann", x_neighbours=named)

    expected = [pseudonym("header:x-store", f"s{number}") for number in range(100)]
    assert str(said["meshtrial.neighbours"]).split(",") == expected
