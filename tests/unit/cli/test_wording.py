from typing import Any

import pytest

from meshtrial.cli.wording import days, share, who
from plan_values import experiment, plan_of


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "1 second"),
        (90, "90 seconds"),
        (3600, "1 hour"),
        (5400, "90 minutes"),
        (86_400, "1 day"),
        (1_209_600, "14 days"),
        (315_360_000, "3,650 days"),
    ],
)
def test_a_duration_is_in_the_longest_whole_unit(seconds: int, words: str) -> None:
    assert days(seconds) == words


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({}, "every request, by header x-user-id"),
        ({"match": {"route": "r"}}, "requests on route r, by header x-user-id"),
        (
            {"match": {"path_prefix": "/a"}, "unit": {"request": True}},
            "requests whose path begins with /a, by request",
        ),
        (
            {"unit": {"cookie": "mt", "mint": {"max_age": "400d"}}},
            "every request, by cookie mt, minted for 400 days",
        ),
        (
            {"unit": {"group": {"header": "x-store"}, "members": {"header": "x-user-id"}}},
            "every request, by group header x-store of header x-user-id",
        ),
        (
            {"unit": {"switchback": {"key": {"query": "city"}, "window": "1h", "offset": "90s"}}},
            "every request, by query city in windows of 1 hour from 90 seconds",
        ),
    ],
)
def test_who_takes_part_is_said_in_words(keys: dict[str, Any], words: str) -> None:
    (found,) = plan_of({"rank": experiment(**keys)}).experiments

    assert who(found) == words


def test_shares_are_exact_percentages() -> None:
    arms = {
        arm: {"weight": weight, "cluster": arm} for arm, weight in {"a": 33.34, "b": 66.66, "c": 0}.items()
    }
    (found,) = plan_of({"rank": experiment(arms)}).experiments

    assert [share(found, arm) for arm in found.arms] == ["33.34%", "66.66%", "0%"]
