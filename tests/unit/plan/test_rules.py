import pytest

from meshtrial.errors import PlanError
from plan_values import on, plan_of

BARE = {"v1": {"weight": 50, "cluster": "model-v1"}, "v2": {"weight": 50, "cluster": "model-v2"}}


def test_each_experiment_is_held_against_all_before_it_and_each_conflict_is_told_once() -> None:
    document = {
        "a": on("/a"),
        "b": on("/b"),
        "c": on("/b/c", arms=BARE),
        "d": on("/b/c/d", arms=BARE, salt="a"),
    }
    with pytest.raises(PlanError) as refused:
        plan_of(document)

    assert [(p.path, p.rule, p.message) for p in refused.value.problems] == [
        (
            "$.experiments.c",
            "cluster-chosen-twice",
            "this and `b` could both choose the cluster of one request: path /b/c",
        ),
        (
            "$.experiments.d",
            "cluster-chosen-twice",
            "this and `b` could both choose the cluster of one request: path /b/c/d",
        ),
        ("$.experiments.d", "salts-equal", "has the same salt as `a`: their splits would be correlated"),
    ]


HEADERS = {
    "old": {"weight": 50, "headers": {"x-ranker": "old"}},
    "new": {"weight": 50, "headers": {"x-ranker": "new"}},
}


def test_one_experiment_may_choose_the_cluster_and_others_set_different_headers_on_one_request() -> None:
    other = {"a": {"weight": 50, "headers": {"x-tone": "a"}}, "b": {"weight": 50}}

    assert (
        len(plan_of({"a": on("/a"), "b": on("/a", arms=HEADERS), "c": on("/a", arms=other)}).experiments) == 3
    )


def test_one_header_may_be_set_by_two_experiments_that_share_no_request() -> None:
    assert len(plan_of({"a": on("/a", arms=HEADERS), "b": on("/b", arms=HEADERS)}).experiments) == 2
