import pytest

from meshtrial.errors import PlanError
from meshtrial.plan.model import Match
from meshtrial.plan.rules import common_request
from plan_values import on, plan_of


@pytest.mark.parametrize(
    ("one", "other", "example"),
    [
        (Match(None, None), Match(None, None), "path /"),
        (Match(None, "/a"), Match(None, None), "path /a"),
        (Match(None, "/a"), Match(None, "/a"), "path /a"),
        (Match(None, "/a"), Match(None, "/ab"), "path /ab"),
        (Match("r", None), Match(None, "/a"), "path /a on route r"),
        (Match("r", "/a"), Match("r", "/a/b"), "path /a/b on route r"),
        (Match(None, "/a"), Match(None, "/b"), None),
        (Match(None, "/a/"), Match(None, "/ab"), None),
        (Match("r", None), Match("s", None), None),
        (Match("r", "/a"), Match("s", "/a"), None),
        (Match("r", "/a"), Match("r", "/b"), None),
    ],
)
def test_two_matches_have_a_common_request_or_none(one: Match, other: Match, example: str | None) -> None:
    assert common_request(one, other) == example
    assert common_request(other, one) == example


def test_each_experiment_is_held_against_all_before_it_and_each_conflict_is_told_once() -> None:
    document = {"a": on("/a"), "b": on("/b"), "c": on("/b/c"), "d": on("/b/c/d", salt="a")}
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
