from meshtrial.assign.bucket import bucket_of
from meshtrial.assign.decide import Assignment
from meshtrial.assign.mutation import arms_text, mutation_of
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


def assigned(arm_index: int) -> Assignment:
    return Assignment(RANK, RANK.arms[arm_index], Reason.SPLIT, b"u1", bucket_of(b"u1", "rank", 10_000))


def test_an_arms_cluster_and_headers_are_set_and_other_arms_headers_removed() -> None:
    mutation = mutation_of((assigned(2),), PLAN)

    assert dict(mutation.set) == {
        "x-meshtrial-cluster": "model-v3",
        "x-meshtrial-arms": "rank=v3",
        "x-version": "3",
    }
    assert mutation.remove == ("x-family",)


def test_control_without_headers_removes_all_that_arms_set() -> None:
    mutation = mutation_of((Assignment(RANK, RANK.control, Reason.DEFAULT, NoUnit.MISSING, None),), PLAN)

    assert dict(mutation.set) == {"x-meshtrial-cluster": "model-v1", "x-meshtrial-arms": "rank=v1"}
    assert mutation.remove == ("x-family", "x-version")


def test_no_header_is_both_set_and_removed() -> None:
    for index in range(3):
        mutation = mutation_of((assigned(index),), PLAN)
        assert not {name for name, _ in mutation.set} & set(mutation.remove)


def test_several_assignments_are_one_dictionary() -> None:
    second = Assignment(SEARCH, SEARCH.control, Reason.SPLIT, b"u1", 0)

    assert arms_text((assigned(1), second)) == "rank=v2, search=v1"
