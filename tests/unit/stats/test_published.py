"""All published cases of `vectors/stats_cases.json`, each at its own tolerance."""

from typing import Any

import pytest

from published import estimates, looks, sizes
from stats_cases import CASES, gaps

ANSWERS = {**sizes.ANSWERS, **estimates.ANSWERS, **looks.ANSWERS}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_published(case: Any) -> None:
    answer = ANSWERS[case["id"]](case["inputs"])

    assert gaps(answer, case["expected"], case["tolerance"]) == []


def test_every_answer_is_to_a_case() -> None:
    assert len(CASES) == 35
    assert set(ANSWERS) == {case["id"] for case in CASES}


@pytest.mark.parametrize(
    ("found", "where"),
    [
        ({"a": 1.0, "b": [2.0, 3.0]}, []),
        ({"a": 1.05, "b": [2.0, 2.95]}, []),
        ({"a": 1.2, "b": [2.0, 3.0]}, ["/a"]),
        ({"a": 1.0, "b": [2.0, 3.2]}, ["/b/1"]),
        ({"a": float("nan"), "b": [2.0, 3.0]}, ["/a"]),
        ({"a": 1.0, "b": [2.0]}, ["/b"]),
        ({"a": 1.0}, [""]),
        ({"a": [1.0], "b": [2.0, 3.0]}, ["/a"]),
    ],
)
def test_a_number_beyond_the_tolerance_or_none_where_there_is_one_is_told_with_its_place(
    found: Any, where: list[str]
) -> None:
    expected = {"a": 1.0, "b": [2.0, 3.0]}

    assert gaps(found, expected, {"kind": "absolute", "value": 0.1}) == where


def test_a_tolerance_may_be_one_for_each_key() -> None:
    tolerance = {"kind": "per_key", "value": {"a": 0.1, "b": 0.001}}

    assert gaps({"a": 1.05, "b": 2.05}, {"a": 1.0, "b": 2.0}, tolerance) == ["/b"]
