"""Many experiments on one request, on a real Envoy: layers, slices, holdouts, cohorts, all of a match."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.client import Answer, get
from e2e.trial import Trial, arm_of, patient, pseudonym
from plan_values import on, plan_text

USERS = [f"user-{number}" for number in range(100)]


def clusters(name: str) -> dict[str, Any]:
    """Equal arms of clusters of their own; v1 is control."""
    return {arm: {"weight": 50, "cluster": f"{name}-{arm}"} for arm in ("v1", "v2")}


WORDS = {"v1": {"weight": 50}, "v2": {"weight": 50, "headers": {"x-words": "warm"}}}
LAYERS = {
    "ranking": {"unit": {"header": "x-user-id"}, "holdout": "10%"},
    "wording": {"unit": {"header": "x-user-id"}},
}
COHORTS = {"enterprise": [{"header": "x-plan", "in": ["enterprise"]}]}
BY_COHORT = {
    "v1": {"weight": {"default": 50, "enterprise": 90}, "cluster": "plan-v1"},
    "v2": {"weight": {"default": 50, "enterprise": 10}, "cluster": "plan-v2"},
}


def named(name: str, path: str = "/matched", **match: Any) -> dict[str, Any]:
    """An experiment of clusters of its own."""
    asked = on(path, arms=clusters(name), exposures="all")
    return {**asked, "match": {"path_prefix": path, **match}}


def layered(layer: str, part: list[str], path: str = "/ranked", **keys: Any) -> dict[str, Any]:
    found = on(path, layer=layer, slice=part, exposures="all", **keys)
    del found["unit"]
    return found


PLAN = plan_text(
    {
        "rank-a": layered("ranking", ["10%", "50%"], arms=clusters("ranked")),
        "rank-b": layered("ranking", ["50%", "90%"], arms=clusters("ranked")),
        "words": layered("wording", ["0%", "70%"], arms=WORDS),
        "plan": on("/plan", arms=BY_COHORT, exposures="all"),
        "german": on(
            "/country",
            arms=clusters("country"),
            audience=[{"header": "x-country", "in": ["DE"]}, {"header": "x-bot", "exists": False}],
            exposures="all",
        ),
        "shop": named("shop", host="shop.example"),
        "posted": named("posted", host="other.example", method="POST"),
        "tried": named("tried", host="other.example", method="GET", headers={"x-trial": "yes"}),
        "colour": on(
            "/elsewhere",
            arms={"v1": {"weight": 50}, "v2": {"weight": 50, "headers": {"x-colour": "blue"}}},
            exposures="all",
        ),
    },
    layers=LAYERS,
    cohorts=COHORTS,
)


@pytest.fixture(scope="module")
def running() -> Iterator[Trial]:
    with patient(PLAN, default_cluster="whole") as started:
        yield started


def bucket(unit: str, salt: str) -> int:
    return int(hashlib.md5(f"{salt}:{unit}".encode()).hexdigest(), 16) % 10_000


def user_of(name: str) -> list[tuple[str, str]]:
    return [("x-user-id", name)]


def arms_told(answer: Answer) -> dict[str, str]:
    """What `x-meshtrial-arms` told the model."""
    lines = answer.reached_model("x-meshtrial-arms")
    pairs = [pair.partition("=") for line in lines for pair in line.split(", ")]
    return {name: arm for name, _, arm in pairs}


def test_a_user_is_in_one_experiment_of_a_layer_and_each_layer_splits_for_itself(running: Trial) -> None:
    held_out, exposed = Counter[tuple[str, str]](), Counter[tuple[str, str, str]]()
    for user in USERS:
        answer = get(running.proxy, "/ranked", user_of(user))
        ranking, wording = bucket(user, "ranking"), bucket(user, "wording")
        cluster, arms = "ranked-v1", {}
        if ranking < 1_000:
            arms = {"rank-a": "v1", "rank-b": "v1"}
            held_out += Counter((name, pseudonym("header:x-user-id", user)) for name in arms)
        elif ranking < 9_000:
            name = "rank-a" if ranking < 5_000 else "rank-b"
            arms = {name: arm_of(user, name)}
            cluster = f"ranked-{arm_of(user, name)}"
        if wording < 7_000:
            arms["words"] = arm_of(user, "words")
        assert answer.model == cluster
        assert arms_told(answer) == arms
        assert answer.reached_model("x-words") == (["warm"] if arms.get("words") == "v2" else [])
        unit = pseudonym("header:x-user-id", user)
        exposed += Counter((name, unit, arm) for name, arm in arms.items() if (name, unit) not in held_out)

    rows = [row for name in ("rank-a", "rank-b", "words") for row in running.recorded(name)]
    assert exposed == Counter((r["experiment"], r["unit"], r["arm"]) for r in rows if r["exposed"])
    assert held_out == Counter((r["experiment"], r["unit"]) for r in rows if r["reason"] == "holdout")
    assert {r["reason"] for r in rows} == {"split", "holdout"}
    in_ranking = Counter(r["unit"] for r in rows if r["exposed"] and r["experiment"] != "words")
    assert set(in_ranking.values()) == {1}


def test_headers_alone_are_set_where_no_experiment_chooses_the_cluster(running: Trial) -> None:
    for user in USERS[:30]:
        answer = get(running.proxy, "/elsewhere", [*user_of(user), ("x-colour", "forged")])
        arm = arm_of(user, "colour")
        assert answer.model == "whole"
        assert answer.reached_model("x-colour") == (["blue"] if arm == "v2" else [])
        assert arms_told(answer) == {"colour": arm}

    assert len(running.recorded("colour")) == 30


def test_requests_in_no_experiment_are_not_decided(running: Trial) -> None:
    forged = [("x-meshtrial-cluster", "ranked-v2"), ("x-colour", "forged"), ("meshtrial-force", "a=b")]
    answer = get(running.proxy, "/", [*user_of("user-1"), *forged])

    assert answer.model == "whole"
    for name in ("x-meshtrial-arms", "x-meshtrial-cluster", "x-colour", "meshtrial-force"):
        assert answer.reached_model(name) == []


def test_a_cohort_has_weights_of_its_own(running: Trial) -> None:
    told = Counter[tuple[str, str, str]]()
    for user in USERS[:60]:
        for cohort, below in (("enterprise", 1_000), ("default", 5_000)):
            answer = get(running.proxy, "/plan", [*user_of(user), ("x-plan", cohort)])
            arm = "v2" if bucket(user, "plan") < below else "v1"
            assert answer.model == f"plan-{arm}"
            told[pseudonym("header:x-user-id", user), arm, cohort] += 1

    assert told == Counter((r["unit"], r["arm"], r["cohort"]) for r in running.recorded("plan"))


def test_only_an_audience_is_split(running: Trial) -> None:
    for user in USERS[:30]:
        inside = get(running.proxy, "/country", [*user_of(user), ("x-country", "DE")])
        assert inside.model == f"country-{arm_of(user, 'german')}"
        for outside in ([("x-country", "FR")], [("x-country", "DE"), ("x-bot", "1")], []):
            answer = get(running.proxy, "/country", [*user_of(user), *outside])
            assert answer.model == "country-v1"
            assert arms_told(answer) == {}

    assert len(running.recorded("german")) == 30


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("shop", {"host": "shop.example"}),
        ("shop", {"host": "SHOP.example:8080", "method": "POST"}),
        ("posted", {"host": "other.example", "method": "POST"}),
        ("tried", {"host": "other.example", "headers": [("x-trial", "yes")]}),
        (None, {"host": "other.example", "headers": [("x-trial", "no")]}),
        (None, {"host": "other.example"}),
        (None, {"host": "sub.shop.example"}),
        (None, {"host": "shop.example.", "headers": [("x-trial", "yes")]}),
    ],
)
def test_hosts_methods_and_headers_are_matched_by_envoy_as_by_the_sidecar(
    running: Trial, name: str | None, asked: dict[str, Any]
) -> None:
    headers = asked.pop("headers", [])
    for user in USERS[:20]:
        answer = get(running.proxy, "/matched", [*user_of(user), *headers], **asked)
        if name is None:
            assert (answer.model, arms_told(answer)) == ("whole", {})
        else:
            assert (answer.model, arms_told(answer)) == (
                f"{name}-{arm_of(user, name)}",
                {name: arm_of(user, name)},
            )


def test_a_matched_header_that_says_two_things_is_not_decided_on(running: Trial) -> None:
    for user in USERS[:20]:
        twice = [("x-trial", "yes"), ("x-trial", "no")]
        answer = get(running.proxy, "/matched", [*user_of(user), *twice], host="other.example")
        # Envoy's routes match any of the values: the request is asked for, and left on control.
        assert (answer.model, arms_told(answer)) == ("tried-v1", {})


def test_without_the_sidecar_every_match_has_its_own_control(running: Trial) -> None:
    running.stop_sidecar()
    for user in USERS[:5]:
        for path, asked, model in [
            ("/ranked", {}, "ranked-v1"),
            ("/matched", {"host": "shop.example"}, "shop-v1"),
            ("/matched", {"host": "other.example", "method": "POST"}, "posted-v1"),
            ("/elsewhere", {}, "whole"),
            ("/", {}, "whole"),
        ]:
            assert get(running.proxy, path, user_of(user), **asked).model == model
