from typing import Any

import pytest

from meshtrial.errors import PlanError
from plan_values import experiment, plan_of

ARMS = {"v1": {"weight": 50, "cluster": "model-v1"}, "v2": {"weight": 50, "cluster": "model-v2"}}


def conflict(one: dict[str, Any], other: dict[str, Any]) -> str | None:
    """The example request of two experiments that could both choose its cluster."""
    try:
        plan_of({"a": experiment(ARMS, **one), "b": experiment(ARMS, **other)})
    except PlanError as error:
        [problem] = error.problems
        assert (problem.path, problem.rule) == ("$.experiments.b", "cluster-chosen-twice")
        return problem.message.partition("one request: ")[2]
    return None


def country(**test: object) -> dict[str, Any]:
    return {"audience": [{"header": "x-country", **test}]}


@pytest.mark.parametrize(
    ("one", "other", "example"),
    [
        ({}, {}, "path /"),
        ({"path_prefix": "/a"}, {}, "path /a"),
        ({"path_prefix": "/a"}, {"path_prefix": "/a"}, "path /a"),
        ({"path_prefix": "/a"}, {"path_prefix": "/ab"}, "path /ab"),
        ({"path_prefix": "/a"}, {"path_prefix": "/b"}, None),
        ({"path_prefix": "/a/"}, {"path_prefix": "/ab"}, None),
        ({"route": "r"}, {"path_prefix": "/a"}, "path /a, on route r"),
        ({"route": "r"}, {"route": "s"}, None),
        ({"route": "r", "path_prefix": "/a"}, {"route": "r", "path_prefix": "/b"}, None),
        ({"host": "a.example"}, {"host": "b.example"}, None),
        ({"host": "A.example"}, {"host": "a.example"}, "path /, host a.example"),
        ({"method": "GET"}, {"method": "POST"}, None),
        ({"method": "GET"}, {"host": "a.example"}, "GET path /, host a.example"),
        ({"headers": {"x-a": "1"}}, {"headers": {"X-A": "2"}}, None),
        ({"headers": {"x-a": "1"}}, {"headers": {"x-b": "2"}}, "path /, header:x-a = 1, header:x-b = 2"),
    ],
)
def test_two_matches_have_a_common_request_or_none(
    one: dict[str, Any], other: dict[str, Any], example: str | None
) -> None:
    first, second = ({"match": match} if match else {} for match in (one, other))

    assert conflict(first, second) == example
    assert conflict(second, first) == example


@pytest.mark.parametrize(
    ("one", "other", "example"),
    [
        ({"in": ["DE", "IN"]}, {"in": ["FR", "IN"]}, "path /, header:x-country = IN"),
        ({"in": ["DE"]}, {"in": ["FR"]}, None),
        ({"in": ["DE"]}, {"not_in": ["DE"]}, None),
        ({"in": ["DE", "FR"]}, {"not_in": ["DE"]}, "path /, header:x-country = FR"),
        ({"not_in": ["DE"]}, {"not_in": ["FR"]}, "path /"),
        ({"exists": True}, {"not_in": ["x"]}, "path /, header:x-country = xx"),
        ({"exists": True}, {"exists": False}, None),
        ({"exists": False}, {"in": ["DE"]}, None),
        ({"exists": False}, {"not_in": ["DE"]}, "path /"),
        ({"exists": False}, {"prefix": "D"}, None),
        ({"exists": False}, {"regex": "D.*"}, None),
        ({"prefix": "D"}, {"prefix": "DE-"}, "path /, header:x-country = DE-"),
        ({"prefix": "D"}, {"prefix": "F"}, None),
        ({"prefix": "D"}, {"in": ["FR", "DE"]}, "path /, header:x-country = DE"),
        ({"prefix": "D"}, {"in": ["FR"]}, None),
        ({"regex": "D.*"}, {"prefix": "D"}, "path /, some header:x-country"),
        ({"regex": "D.*"}, {"in": ["FR"]}, "path /, header:x-country = FR"),
    ],
)
def test_conditions_on_one_value_have_a_common_request_or_none(
    one: dict[str, object], other: dict[str, object], example: str | None
) -> None:
    assert conflict(country(**one), country(**other)) == example
    assert conflict(country(**other), country(**one)) == example


def test_a_header_of_a_match_is_held_against_the_audience_of_the_other() -> None:
    gold = {"match": {"headers": {"x-country": "DE"}}}

    assert conflict(gold, country(**{"in": ["FR"]})) is None
    assert conflict(gold, country(not_in=["DE"])) is None
    assert conflict(gold, country(exists=True)) == "path /, header:x-country = DE"


def test_conditions_within_any_and_percentages_are_taken_to_hold() -> None:
    one = {"audience": [{"any": [{"header": "x-country", "in": ["DE"]}]}, {"percentage": "1%"}]}

    assert conflict(one, country(**{"in": ["FR"]})) == "path /, header:x-country = FR"
