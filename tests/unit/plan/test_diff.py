"""What a diff warns of: one change at a time to a plan that is otherwise the same."""

from fractions import Fraction
from typing import Any

import pytest

from meshtrial.plan.diff import Change, diff
from meshtrial.plan.model import Plan
from plan_values import experiment, plan_of

THREE = {"v1": 40, "v2": 30, "v3": 30}
FIRM = {"firm": [{"header": "x-plan", "in": ["firm"]}]}
LAYER = {"shared": {"unit": {"header": "x-user-id"}}}


def plan(weights: dict[str, Any] | None = None, sections: dict[str, Any] | None = None, **keys: Any) -> Plan:
    arms = {arm: {"weight": weight, "cluster": arm} for arm, weight in (weights or THREE).items()}
    return plan_of({"rank": experiment(arms, **keys)}, **(sections or {}))


def change(old: Plan, new: Plan) -> Change:
    [found] = diff(old, new).changes
    return found


def warned(found: Change) -> list[str]:
    return [warning.bias.value for warning in found.warnings]


def moves(found: Change) -> list[tuple[str, str, Fraction]]:
    assert found.moves is not None
    return [
        (move.old.arm if move.old else "", move.new.arm if move.new else "", move.share)
        for move in found.moves
    ]


@pytest.mark.parametrize(
    ("keys", "expected", "anew"),
    [
        ({"salt": "other"}, ["bucketing"], True),
        ({"hash": "xxh64"}, ["bucketing"], True),
        ({"buckets": 1000}, ["bucketing"], True),
        ({"unit": {"header": "x-account"}}, ["unit"], True),
        ({"unit": {"group": {"header": "x-store"}, "members": {"header": "x-user-id"}}}, ["unit"], True),
        ({"control": "v2"}, ["control", "arms-mixed"], False),
        ({"match": {"path_prefix": "/a"}}, ["who-takes-part"], False),
        ({"audience": [{"percentage": "50%"}]}, ["who-takes-part"], False),
        ({"paused": True}, ["mode"], False),
        ({"sticky": True}, ["sticky"], False),
        ({"ramp": "50%"}, ["back-to-control"], False),
        ({"exposures": "all"}, [], False),
    ],
)
def test_a_changed_key_is_warned_of_by_its_name(
    keys: dict[str, Any], expected: list[str], anew: bool
) -> None:
    found = change(plan(), plan(**keys))

    assert warned(found) == expected
    assert (found.kind, found.reassigned) == ("changed", anew)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"v1": 30, "v2": 30, "v3": 40}, []),
        ({"v1": 50, "v2": 30, "v3": 20}, ["back-to-control"]),
        ({"v1": 30, "v2": 40, "v3": 30}, ["arms-mixed"]),
        ({"v1": 40, "v3": 30, "v2": 30}, ["arm-order", "arms-mixed"]),
        ({"v1": 70, "v2": 30}, ["arm-removed", "back-to-control"]),
        ({"v1": 30, "v2": 30, "v3": 30, "v4": 10}, []),
    ],
)
def test_weights_and_arms_are_warned_of_where_units_leave_an_arm(
    weights: dict[str, int], expected: list[str]
) -> None:
    assert warned(change(plan(), plan(weights))) == expected


def test_an_arm_that_leads_elsewhere_is_another_thing() -> None:
    new = plan_of({"rank": experiment({a: {"weight": w, "cluster": "m"} for a, w in THREE.items()})})
    found = change(plan(), new)

    assert warned(found) == ["arm-meaning"]
    assert found.moves == ()
    assert found.old_phase != found.new_phase


def test_a_lane_that_grows_moves_the_units_of_the_next_one() -> None:
    found = change(plan(), plan({"v1": 30, "v2": 40, "v3": 30}))

    assert moves(found) == [("v3", "v2", Fraction(1, 10)), ("v1", "v3", Fraction(1, 10))]
    assert found.moves is not None
    assert [move.of_place for move in found.moves] == [Fraction(1, 3), Fraction(1, 4)]
    assert found.warnings[0].consequence.startswith(
        "units go from arm to arm: 33.33% of `v3`'s units to `v2`;"
    )
    assert found.old_phase != found.new_phase


def test_a_new_salt_is_the_product_of_the_shares() -> None:
    found = change(plan({"v1": 50, "v2": 50}), plan({"v1": 50, "v2": 50}, salt="other"))

    assert moves(found) == [("v2", "v1", Fraction(1, 4)), ("v1", "v2", Fraction(1, 4))]


def test_murmur_with_more_buckets_moves_nobody_as_its_buckets_are_ranges() -> None:
    found = change(plan(hash="murmur2", buckets=100), plan(hash="murmur2", buckets=10_000))

    assert (found.moves, found.reassigned, warned(found)) == ((), False, ["bucketing"])


def test_a_slice_that_shrinks_lets_units_out() -> None:
    old = plan(layer="shared", slice=["0%", "50%"], sections={"layers": LAYER})
    new = plan(layer="shared", slice=["0%", "40%"], sections={"layers": LAYER})
    found = change(old, new)

    assert warned(found) == ["slice"]
    assert found.warnings[0].consequence.startswith("10% of units leave the experiment:")
    assert sum(share for _, _, share in moves(found)) == Fraction(1, 10)
    assert {move.new.reason.value for move in found.moves or () if move.new} == {"outside"}


def test_a_layer_that_hashes_as_the_arms_did_leaves_shares_unknown() -> None:
    layers = {"shared": {"unit": {"header": "x-user-id"}, "salt": "rank"}}
    found = change(plan(), plan(layer="shared", salt="other", sections={"layers": layers}))

    assert found.moves is None
    assert warned(found) == ["bucketing", "shares-unknown", "layer"]


def test_shares_are_by_cohort_and_changed_cohorts_are_warned_of() -> None:
    by_cohort = {"v1": {"default": 50, "firm": 90}, "v2": {"default": 50, "firm": 10}}
    grown = {"v1": {"default": 50, "firm": 80}, "v2": {"default": 50, "firm": 20}}
    old, new = (plan(weights, {"cohorts": FIRM}) for weights in (by_cohort, grown))
    found = change(old, new)

    assert [(move.cohort, move.share) for move in found.moves or ()] == [("firm", Fraction(1, 10))]
    assert warned(found) == []
    other = {"firm": [{"header": "x-plan", "in": ["company"]}]}
    assert warned(change(old, plan(by_cohort, {"cohorts": other}))) == ["cohorts"]


def test_a_sticky_experiment_keeps_those_whom_it_has_met() -> None:
    found = change(plan(sticky=True, ramp="10%"), plan(sticky=True, ramp="20%"))

    assert warned(found) == ["sticky"]


RULE: dict[str, Any] = {
    "method": "group_sequential", "alpha": 0.05, "power": 0.8, "planned_units": 8876, "looks": 5,
    "minimum_duration": "14d",
    "primary": [{"metric": "conversion", "direction": "up", "minimum_effect": "2pp"}],
    "guardrails": [{"metric": "errors", "direction": "down", "margin": "0.5pp"}],
}  # fmt: skip
METRICS: dict[str, Any] = {
    "conversion": {"kind": "proportion", "outcome": "purchase", "window": "7d"},
    "errors": {"kind": "ratio", "request": "error", "window": "1d"},
    "visits": {"kind": "count", "outcome": "visit", "window": "1d"},
}


def judged(rule: dict[str, Any] | None = None, metrics: dict[str, Any] | None = None, **keys: Any) -> Plan:
    """A plan by `RULE` and `METRICS`, but for these keys of the rule and these metrics."""
    return plan(decision=RULE | (rule or {}), sections={"metrics": METRICS | (metrics or {})}, **keys)


PRIMARY = RULE["primary"][0]


@pytest.mark.parametrize(
    ("rule", "metrics", "differing"),
    [
        ({"alpha": 0.1}, {}, "`alpha` differs"),
        ({"lateness": "0s", "planned_units": 9000}, {}, "`planned_units` and `lateness` differ"),
        ({"looks": [*["20%", "40%"], "100%"]}, {}, "`looks` differs"),
        ({"spending": "pocock"}, {}, "`spending` differs"),
        ({"boundary": "pocock"}, {}, "`boundary` differs"),
        ({"primary": [{**PRIMARY, "direction": "down"}]}, {}, "`primary` differs"),
        (
            {"guardrails": [{"metric": "errors", "direction": "down", "margin": 0.01}]},
            {},
            "`guardrails` differs",
        ),
        ({"secondary": ["visits"]}, {}, "`secondary` differs"),
        ({}, {"conversion": {**METRICS["conversion"], "window": "8d"}}, "metric `conversion` differs"),
        ({}, {"errors": {**METRICS["errors"], "covariate": "7d"}}, "metric `errors` differs"),
    ],
)
def test_a_changed_rule_is_an_amendment_that_names_what_differs(
    rule: dict[str, Any], metrics: dict[str, Any], differing: str
) -> None:
    found = change(judged(), judged(rule, metrics))

    assert warned(found) == ["decision-rule"]
    assert found.warnings[0].consequence == (
        f"{differing}: an amendment, since from then on the trial is judged by a rule made after the data "
        "began, for which no error rate is known to hold"
    )
    assert (found.moves, found.old_phase) == ((), found.new_phase)


def test_a_metric_that_no_rule_names_is_no_amendment() -> None:
    assert change(judged(), judged(metrics={"visits": METRICS["errors"]})).kind == "same"


def test_what_is_analysed_of_a_switchback_is_an_amendment_too() -> None:
    def switched(**keys: str) -> Plan:
        return plan(unit={"switchback": {"key": {"header": "x-city"}, "window": "1h", **keys}})

    found = change(switched(), switched(carryover="30m"))

    assert [w.consequence.partition(":")[0] for w in found.warnings] == ["`carryover` differs"]
    assert found.old_phase == found.new_phase


def test_experiments_that_come_and_go_are_told_and_the_rest_is_left_alone() -> None:
    one = {"one": experiment(match={"path_prefix": "/1"}), "two": experiment(match={"path_prefix": "/2"})}
    other = {"two": one["two"], "three": experiment(match={"path_prefix": "/3"})}
    found = {c.id: c for c in diff(plan_of(one), plan_of(other)).changes}

    assert {name: c.kind.value for name, c in found.items()} == {
        "one": "removed",
        "three": "added",
        "two": "same",
    }
    assert (warned(found["one"]), warned(found["three"])) == (["experiment-removed"], [])
    assert (found["one"].new_phase, found["three"].old_phase) == (None, None)
    assert moves(found["three"]) == [("", "v2", Fraction(1, 2)), ("", "v1", Fraction(1, 2))]
