import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from meshtrial.assign.baggage import Carried
from meshtrial.assign.context import Context, Kept
from meshtrial.assign.decide import Assignment, decide
from meshtrial.assign.mutation import mutation_of
from meshtrial.assign.request import Request
from meshtrial.assign.unit import NoUnit
from meshtrial.names import Reason
from meshtrial.plan.load import load
from meshtrial.plan.model import Experiment, Plan
from plan_values import experiment, on, plan_of
from small_plans import loaded

PLANS = Path(__file__).parents[2] / "plans" / "good"
CONVERSION = {"kind": "proportion", "outcome": "purchase", "window": "7d"}


def of_user(name: str, path: str = "/") -> Request:
    return Request(path, "", {"x-user-id": (name.encode(),)})


def users(plan: Plan, count: int) -> Counter[str]:
    return Counter(decide(of_user(f"user_{i}"), plan)[0].arm.id for i in range(count))


def test_a_hundred_buckets_are_the_textbook_split_by_experiment_and_user() -> None:
    plan = load((PLANS / "textbook.yaml").read_text("utf-8"), "textbook.yaml")
    expected = Counter(
        "treatment"
        if int(hashlib.md5(f"exp_001:user_{i}".encode()).hexdigest(), 16) % 100 < 50
        else "control"
        for i in range(5000)
    )

    assert users(plan, 5000) == expected


def test_an_empty_salt_is_the_textbook_split_by_user_alone() -> None:
    plan = load((PLANS / "bare-unit.yaml").read_text("utf-8"), "bare-unit.yaml")
    expected = Counter(
        "treatment" if int(hashlib.md5(f"user_{i}".encode()).hexdigest(), 16) % 100 < 100 * 0.2 else "control"
        for i in range(5000)
    )

    assert users(plan, 5000) == expected


def test_a_request_in_no_experiment_has_an_empty_decision_that_changes_nothing() -> None:
    plan = load((PLANS / "two-experiments.yaml").read_text("utf-8"), "two-experiments.yaml")
    decision = decide(of_user("u1", "/other"), plan)
    mutation = mutation_of(decision, plan)

    assert decision == ()
    assert (mutation.set, mutation.remove) == ((), ())


def test_a_short_path_is_in_an_experiment_once_however_long_the_prefixes_of_others_are() -> None:
    plan = plan_of({"rank": on("/rank"), "search": on("/search/by/name")})

    assert [a.experiment.id for a in decide(of_user("u1", "/rank"), plan)] == ["rank"]


# Layers -----------------------------------------------------------------------------------------------


def layered(**keys: dict[str, Any]) -> Plan:
    """Experiments `one` on half of a layer and `two` on the other."""
    found: dict[str, Any] = {}
    for name, slice_ in (("one", ["0%", "50%"]), ("two", ["50%", "100%"])):
        body = experiment(layer="ranking", slice=slice_, carry=True, **keys.get(name, {}))
        del body["unit"]
        found[name] = body
    layer = {"unit": {"header": "x-user-id"}}
    return loaded(
        {
            "apiVersion": "meshtrial/v1",
            "metrics": {"conversion": CONVERSION},
            "layers": {"ranking": layer},
            "experiments": found,
        }
    )


def in_slice_of(plan: Plan, name: str) -> str:
    """A user whose bucket of the layer is in this experiment's slice."""
    return next(
        user
        for user in (f"u{number}" for number in range(100))
        if told(decide(of_user(user), plan))[name][1] is Reason.SPLIT
    )


def told(decision: tuple[Assignment, ...]) -> dict[str, tuple[str, Reason]]:
    return {a.experiment.id: (a.arm.id, a.reason) for a in decision}


def carried(arm: str, unit: str, kind: str = "header:x-user-id") -> Carried:
    return Carried(arm, f"the pseudonym of {unit}", kind, "f" * 16, 1)


def context(**keys: Any) -> Context:
    return Context(pseudonym=lambda _kind, unit: f"the pseudonym of {unit.decode()}", **keys)


def test_a_forced_arm_takes_its_unit_out_of_the_layers_other_experiments() -> None:
    plan = layered()
    user = in_slice_of(plan, "one")

    assert told(decide(of_user(user), plan, context(forced={"two": "v2"}))) == {
        "one": ("v1", Reason.OUTSIDE),
        "two": ("v2", Reason.TARGETING_MATCH),
    }


@pytest.mark.parametrize("forced", [{"two": "no such arm"}, {"no such experiment": "v2"}])
def test_what_cannot_be_forced_changes_nothing(forced: dict[str, str]) -> None:
    plan = layered()
    user = in_slice_of(plan, "one")

    assert decide(of_user(user), plan, context(forced=forced)) == decide(of_user(user), plan)


@pytest.mark.parametrize("mode", ["killed", "paused"])
def test_an_experiment_that_does_not_run_is_not_forced_and_leaves_its_layer_alone(mode: str) -> None:
    plan = layered(two={mode: True})
    user = in_slice_of(plan, "one")
    decision = told(decide(of_user(user), plan, context(forced={"two": "v2"})))

    assert decision["one"][1] is Reason.SPLIT
    assert decision["two"] == ("v1", Reason.DISABLED)


def test_an_arm_that_an_earlier_plan_chose_takes_its_unit_out_of_the_layers_other_experiments() -> None:
    plan = layered()
    user = in_slice_of(plan, "one")
    decision = decide(of_user(user), plan, context(carried={"two": carried("v2", user)}))

    assert told(decision) == {"one": ("v1", Reason.OUTSIDE), "two": ("v2", Reason.CARRIED)}
    assert dict(mutation_of(decision, plan).set)["x-meshtrial-arms"] == "two=v2"


def test_an_arm_that_was_carried_for_somebody_else_changes_nothing() -> None:
    plan = layered()
    user = in_slice_of(plan, "one")

    assert decide(of_user(user), plan, context(carried={"two": carried("v2", "another")})) == decide(
        of_user(user), plan
    )


def test_of_arms_carried_in_one_layer_the_first_counts_and_a_forced_one_before_them() -> None:
    plan = layered()
    both = {"one": carried("v2", "u1"), "two": carried("v2", "u1")}

    assert told(decide(of_user("u1"), plan, context(carried=both))) == {
        "one": ("v2", Reason.CARRIED),
        "two": ("v1", Reason.OUTSIDE),
    }
    assert told(decide(of_user("u1"), plan, context(carried=both, forced={"two": "v1"}))) == {
        "one": ("v1", Reason.OUTSIDE),
        "two": ("v1", Reason.TARGETING_MATCH),
    }


# Percentages, kept arms, strata -----------------------------------------------------------------------


def test_a_cohort_and_an_experiment_of_one_name_have_percentages_of_their_own() -> None:
    half = [{"percentage": "50%"}]
    body = {"audience": half, "arms": {arm: {"weight": 50, "headers": {f"x-{arm}": "1"}} for arm in "ab"}}
    document = {
        "apiVersion": "meshtrial/v1",
        "metrics": {"conversion": CONVERSION},
        "cohorts": {"beta": half},
        "experiments": {
            "beta": {**experiment(), **body, "control": "a"},
            "other": experiment(audience=[{"cohort": "beta"}]),
        },
    }
    plan = loaded(document)
    both = Counter(frozenset(told(decide(of_user(f"u{n}"), plan))) for n in range(400))

    assert len(both) == 4, "in one, in the other, in both, in neither"
    assert min(both.values()) > 60


def test_a_kept_arm_comes_with_its_phase_and_one_that_is_gone_does_not_count() -> None:
    plan = plan_of({"rank": experiment(sticky=True)})
    (free,) = decide(of_user("u1"), plan)
    other = "v1" if free.arm.id == "v2" else "v2"
    asked: list[tuple[str, bytes]] = []

    def kept(arm: str) -> Context:
        def of(found: Experiment, unit: bytes) -> Kept:
            asked.append((found.id, unit))
            return Kept(arm, "k" * 16)

        return Context(kept=of)

    (assignment,) = decide(of_user("u1"), plan, kept(other))

    assert (assignment.arm.id, assignment.reason, assignment.phase) == (other, Reason.CACHED, "k" * 16)
    assert (assignment.bucket, assignment.exposed) == (free.bucket, True)
    assert decide(of_user("u1"), plan, kept("gone")) == (free,)
    assert asked == [("rank", b"u1")] * 2


def test_an_experiment_that_is_not_sticky_asks_for_nothing_kept() -> None:
    plan = plan_of({"rank": experiment()})

    assert decide(of_user("u1"), plan, Context(kept=lambda *_: Kept("v1", "k" * 16))) == decide(
        of_user("u1"), plan
    )


def test_half_a_surrogate_in_a_claim_is_nobody() -> None:
    source = {"metadata": {"namespace": "verified", "path": ["sub"]}}
    plan = plan_of({"rank": experiment(unit=source, audience=[{**source, "exists": True}])})
    (assignment,) = decide(Request("/", "", {}, {"verified": {"sub": "u\ud800"}}), plan)

    assert (assignment.reason, assignment.subject.unit) == (Reason.DEFAULT, NoUnit.NOT_UTF8)
