from dataclasses import replace

import pytest

from emitted import Emitted
from meshtrial.errors import NotExpressible, SettingError
from plan_values import experiment, on, plan_of


def test_the_chosen_cluster_is_taken_and_anything_else_goes_to_control() -> None:
    emitted = Emitted.of(plan_of({"rank-v2": on("/recommend")}))

    assert emitted.way("/recommend/1", chosen="model-v2") == "model-v2"
    assert emitted.way("/recommend/1") == "model-v1"
    assert emitted.way("/recommend/1", chosen="model-v1") == "model-v1"
    assert emitted.way("/recommend/1", chosen="model-v9") == "model-v1"


def test_an_experiment_never_routes_to_the_cluster_of_another() -> None:
    other = {"b1": {"weight": 50, "cluster": "search-1"}, "b2": {"weight": 50, "cluster": "search-2"}}
    emitted = Emitted.of(plan_of({"rank-v2": on("/recommend"), "search": on("/search", arms=other)}))

    assert emitted.way("/search", chosen="search-2") == "search-2"
    assert emitted.way("/search", chosen="model-v2") == "search-1"
    assert emitted.way("/recommend", chosen="search-2") == "model-v1"


def test_routes_are_named_by_experiment_and_end_in_time() -> None:
    routes = Emitted.of(plan_of({"rank-v2": on("/recommend")})).routes

    assert [r["name"] for r in routes] == ["rank-v2-model-v2", "rank-v2-control", "_no-route"]
    assert [r["route"]["timeout"] for r in routes if "route" in r] == ["15s", "15s"]


def test_arms_that_share_a_cluster_share_its_route() -> None:
    arms = {
        "a": {"weight": 25, "cluster": "one"},
        "b": {"weight": 25, "cluster": "two", "headers": {"x-k": "1"}},
        "c": {"weight": 25, "cluster": "two", "headers": {"x-k": "2"}},
        "d": {"weight": 25, "cluster": "one", "headers": {"x-k": "3"}},
    }
    routes = Emitted.of(plan_of({"heads": experiment(arms)})).routes

    assert [r["name"] for r in routes] == ["heads-two", "heads-control"]


def test_the_longest_prefix_is_tried_first() -> None:
    plan = plan_of({"a": on("/recommend/a"), "b": on("/search")})
    # The loader refuses overlapping prefixes today; the order keeps the table right if it ever does not.
    wide = replace(plan.experiments[1], match=replace(plan.experiments[1].match, path_prefix="/recommend"))
    plan = replace(plan, experiments=(wide, plan.experiments[0]))

    assert [r["name"] for r in Emitted.of(plan).routes if r["name"].endswith("control")] == [
        "a-control",
        "b-control",
    ]


def test_requests_in_no_experiment_are_answered_with_404_and_never_decided() -> None:
    last = Emitted.of(plan_of({"rank-v2": on("/recommend")})).routes[-1]

    assert last["match"] == {"prefix": "/"}
    assert last["direct_response"]["status"] == 404
    assert last["direct_response"]["body"]["inline_string"] == (
        "no experiment of the plan takes requests for this path"
    )
    assert last["typed_per_filter_config"]["envoy.filters.http.ext_proc"]["disabled"] is True


def test_requests_in_no_experiment_go_to_the_default_cluster_undecided() -> None:
    endpoints = dict.fromkeys(("model-v1", "model-v2", "shop"), ("127.0.0.1:8000",))
    emitted = Emitted.of(plan_of({"rank-v2": on("/recommend")}), default_cluster="shop", endpoints=endpoints)

    assert emitted.way("/", chosen="model-v2") == "shop"
    assert emitted.way("/recommend") == "model-v1"
    assert emitted.routes[-1]["typed_per_filter_config"]["envoy.filters.http.ext_proc"]["disabled"] is True


@pytest.mark.parametrize("everything", [experiment(), on("/")])
def test_an_experiment_on_every_path_leaves_no_other_route(everything: dict[str, object]) -> None:
    plan = plan_of({"rank-v2": everything})

    assert Emitted.of(plan).way("/anything") == "model-v1"
    with pytest.raises(SettingError) as error:
        Emitted.of(plan, default_cluster="model-v1")
    assert str(error.value) == (
        "default cluster model-v1: experiment rank-v2 takes every path, so no request is left for it"
    )


def test_a_match_on_a_route_is_refused_with_what_to_do_instead() -> None:
    with pytest.raises(NotExpressible) as error:
        Emitted.of(plan_of({"rank-v2": experiment(match={"route": "recommend"})}))
    assert str(error.value) == (
        "experiment rank-v2 matches on Envoy's route recommend, and an emitted configuration brings its own "
        "routes: use match.path_prefix, or add the sidecar to the configuration that has this route "
        "(envoy/README.md)"
    )


def matched(cluster: str, **match: object) -> dict[str, object]:
    """An experiment of the clusters CLUSTER-v1, control, and CLUSTER-v2."""
    arms = {arm: {"weight": 50, "cluster": f"{cluster}-{arm}"} for arm in ("v1", "v2")}
    return experiment(arms, match=match)


def test_a_match_on_host_method_and_headers_is_envoys_too() -> None:
    emitted = Emitted.of(
        plan_of(
            {
                "shop": matched("shop", host="Shop.example", path_prefix="/r"),
                "posted": matched("posted", method="POST", host="other.example"),
                "tried": matched("tried", method="GET", headers={"X-Trial": "yes"}, host="other.example"),
            }
        ),
        default_cluster="whole",
    )

    for host in ("shop.example", "SHOP.example", "shop.example:8080"):
        assert emitted.way("/r", host=host) == "shop-v1"
        assert emitted.way("/r", host=host, chosen="shop-v2") == "shop-v2"
    for host in ("shop-example", "a.shop.example", "shop.example:80x", "shop.example.org"):
        assert emitted.way("/r", host=host, chosen="shop-v2") == "whole"
    assert emitted.way("/other", host="shop.example") == "whole"
    assert emitted.way("/", host="other.example", method="POST") == "posted-v1"
    assert emitted.way("/", host="other.example", method="PUT") == "whole"
    assert emitted.way("/", host="other.example", x_trial="yes", chosen="tried-v2") == "tried-v2"
    assert emitted.way("/", host="other.example", x_trial="no", chosen="tried-v2") == "whole"


LAYER = {"ranking": {"unit": {"header": "x-user-id"}}}


def in_slice(start: int, end: int, cluster: str, path: str = "/r") -> dict[str, object]:
    """An experiment of a layer, with control on the cluster `base`."""
    arms = {"v1": {"weight": 50, "cluster": "base"}, "v2": {"weight": 50, "cluster": cluster}}
    found = on(path, arms=arms, layer="ranking", slice=[f"{start}%", f"{end}%"])
    del found["unit"]
    return found


def test_experiments_of_one_layer_share_their_match_and_each_reaches_its_own_clusters() -> None:
    plan = plan_of({"a": in_slice(0, 50, "one"), "b": in_slice(50, 100, "two")}, layers=LAYER)
    emitted = Emitted.of(plan)

    assert [emitted.way("/r", chosen=name) for name in ("one", "two", "three", None)] == [
        "one", "two", "base", "base",
    ]  # fmt: skip
    assert [route["name"] for route in emitted.routes] == ["a-one", "a-two", "a-control", "_no-route"]


def test_a_wider_experiment_of_the_layer_reaches_its_clusters_from_a_narrower_match_too() -> None:
    narrow = in_slice(0, 50, "one", path="/r/deep")
    emitted = Emitted.of(plan_of({"a": narrow, "b": in_slice(50, 100, "two")}, layers=LAYER))

    assert emitted.way("/r/deep", chosen="one") == "one"
    assert emitted.way("/r/deep", chosen="two") == "two"
    assert emitted.way("/r/deep") == "base"
    assert emitted.way("/r", chosen="two") == "two"
    assert emitted.way("/r") == "base"


def test_experiments_of_one_match_with_other_controls_are_refused() -> None:
    a = {**matched("one", path_prefix="/r"), "audience": [{"header": "x-plan", "in": ["free"]}]}
    b = {**matched("two", path_prefix="/r"), "audience": [{"header": "x-plan", "in": ["paid"]}]}
    plan = plan_of({"a": a, "b": b})

    with pytest.raises(NotExpressible) as error:
        Emitted.of(plan)
    assert str(error.value) == (
        "experiments a and b take requests of one match and have other controls: without the sidecar the "
        "proxy could not tell which; give them one cluster"
    )


HEADERS_ALONE = {"v1": {"weight": 50}, "v2": {"weight": 50, "headers": {"x-colour": "blue"}}}


def test_experiments_that_set_headers_alone_are_asked_for_on_their_way_to_the_default_cluster() -> None:
    plan = plan_of({"rank": on("/recommend"), "colour": on("/shop", arms=HEADERS_ALONE)})
    emitted = Emitted.of(plan, default_cluster="whole")
    unasked = {route["name"] for route in emitted.routes if "typed_per_filter_config" in route}

    assert emitted.way("/shop") == emitted.way("/") == "whole"
    assert emitted.way("/recommend", chosen="model-v2") == "model-v2"
    assert [route["name"] for route in emitted.routes] == [
        "rank-model-v2", "rank-control", "colour", "_default",
    ]  # fmt: skip
    assert unasked == {"_default"}


def test_a_testers_header_is_taken_off_even_where_nobody_is_asked() -> None:
    manager = Emitted.of(plan_of({"rank": on("/recommend")})).manager

    assert manager["route_config"]["virtual_hosts"][0]["request_headers_to_remove"] == ["meshtrial-force"]
