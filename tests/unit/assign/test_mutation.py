import pytest

from meshtrial.assign.decide import Assignment
from meshtrial.assign.mutation import arms_text, mutation_of
from meshtrial.assign.subject import Subject
from meshtrial.assign.unit import NoUnit
from meshtrial.names import Reason
from plan_values import on, plan_of

ARMS = {
    "v1": {"weight": 40, "cluster": "model-v1"},
    "v2": {"weight": 30, "cluster": "model-v2", "headers": {"x-version": "2", "X-Family": "trees"}},
    "v3": {"weight": 30, "cluster": "model-v3", "headers": {"x-version": "3"}},
}
PLAN = plan_of({"rank": on("/rank", arms=ARMS), "search": on("/search", arms=ARMS)})
RANK, SEARCH = PLAN.experiments
SOMEBODY, NOBODY = Subject(b"u1", b"u1"), Subject(NoUnit.MISSING, NoUnit.MISSING)


def assigned(arm_index: int, reason: Reason = Reason.SPLIT) -> Assignment:
    return Assignment(RANK, RANK.arms[arm_index], reason, SOMEBODY, RANK.phase, 7)


def elsewhere(reason: Reason) -> Assignment:
    return Assignment(SEARCH, SEARCH.control, reason, SOMEBODY, SEARCH.phase)


def test_an_arms_cluster_and_headers_are_set_and_other_arms_headers_removed() -> None:
    mutation = mutation_of((assigned(2),), PLAN)

    assert dict(mutation.set) == {
        "x-meshtrial-cluster": "model-v3",
        "x-meshtrial-arms": "rank=v3",
        "x-version": "3",
    }
    assert mutation.remove == ("x-family", "meshtrial-force")


def test_control_without_headers_removes_all_that_arms_set() -> None:
    mutation = mutation_of((Assignment(RANK, RANK.control, Reason.DEFAULT, NOBODY, RANK.phase),), PLAN)

    assert dict(mutation.set) == {"x-meshtrial-cluster": "model-v1", "x-meshtrial-arms": "rank=v1"}
    assert mutation.remove == ("x-family", "x-version", "meshtrial-force")


def test_no_header_is_both_set_and_removed() -> None:
    for index in range(3):
        mutation = mutation_of((assigned(index),), PLAN)
        assert not {name for name, _ in mutation.set} & set(mutation.remove)


def test_several_assignments_are_one_dictionary() -> None:
    assert arms_text((assigned(1), elsewhere(Reason.SPLIT))) == "rank=v2, search=v1"


@pytest.mark.parametrize("reason", [Reason.SPLIT, Reason.WASHOUT, Reason.CARRIED, Reason.CACHED])
@pytest.mark.parametrize("aside", [Reason.OUTSIDE, Reason.HOLDOUT, Reason.DISABLED, Reason.DEFAULT])
def test_a_chosen_arm_beats_being_sent_to_control_in_either_order(reason: Reason, aside: Reason) -> None:
    one, other = assigned(1, reason), elsewhere(aside)

    for decision in ((one, other), (other, one)):
        assert dict(mutation_of(decision, PLAN).set)["x-meshtrial-cluster"] == "model-v2"


def test_who_is_outside_goes_to_control_and_is_not_named() -> None:
    mutation = mutation_of((elsewhere(Reason.OUTSIDE),), PLAN)

    assert mutation.set == (("x-meshtrial-cluster", "model-v1"),)


def test_a_forced_arm_beats_a_chosen_one() -> None:
    decision = (assigned(2, Reason.TARGETING_MATCH), elsewhere(Reason.SPLIT))

    assert dict(mutation_of(decision, PLAN).set)["x-meshtrial-cluster"] == "model-v3"
