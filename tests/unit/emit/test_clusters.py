import pytest

from emitted import Emitted
from meshtrial.errors import NotExpressible, SettingError
from plan_values import experiment, plan_of

PLAN = plan_of({"rank-v2": experiment()})
ONE = ("127.0.0.1:8001",)


def test_a_cluster_has_all_its_endpoints() -> None:
    clusters = Emitted.of(PLAN, endpoints={"model-v1": ("10.0.0.1:1", "[::1]:2"), "model-v2": ONE}).clusters

    hosts = clusters["model-v1"]["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert [h["endpoint"]["address"]["socket_address"] for h in hosts] == [
        {"address": "10.0.0.1", "port_value": 1},
        {"address": "::1", "port_value": 2},
    ]


@pytest.mark.parametrize(
    ("addresses", "kind"),
    [
        (("10.0.0.1:1", "[::1]:2"), "STATIC"),
        (("model:80",), "STRICT_DNS"),
        (("10.0.0.1:1", "model:80"), "STRICT_DNS"),
    ],
)
def test_names_are_resolved_and_addresses_are_not(addresses: tuple[str, ...], kind: str) -> None:
    endpoints = {"model-v1": addresses, "model-v2": ONE}
    assert Emitted.of(PLAN, endpoints=endpoints).clusters["model-v1"]["type"] == kind


@pytest.mark.parametrize(
    ("endpoints", "message"),
    [
        ({"model-v1": ONE}, "no endpoint for cluster model-v2: the clusters are model-v1, model-v2"),
        (
            {"model-v1": (), "model-v2": ONE},
            "no endpoint for cluster model-v1: the clusters are model-v1, model-v2",
        ),
        ({}, "no endpoint for cluster model-v1, model-v2: the clusters are model-v1, model-v2"),
        (
            {"model-v1": ONE, "model-v2": ONE, "model-2": ONE},
            "endpoint for unknown cluster model-2: the clusters are model-v1, model-v2",
        ),
    ],
)
def test_every_cluster_needs_an_endpoint_and_every_endpoint_a_cluster(
    endpoints: dict[str, tuple[str, ...]], message: str
) -> None:
    with pytest.raises(SettingError) as error:
        Emitted.of(PLAN, endpoints=endpoints)
    assert str(error.value) == message


@pytest.mark.parametrize("name", ["meshtrial", "meshtrial-collector"])
def test_a_model_may_not_take_the_name_of_our_own_cluster(name: str) -> None:
    arms = {"v1": {"weight": 50, "cluster": "model-v1"}, "v2": {"weight": 50, "cluster": name}}
    with pytest.raises(NotExpressible) as error:
        Emitted.of(plan_of({"rank-v2": experiment(arms)}))
    assert str(error.value) == (
        f"cluster {name} is the configuration's own cluster: give the model's another name"
    )


def test_an_absent_or_hung_sidecar_is_noticed_before_requests_wait_for_it() -> None:
    sidecar = Emitted.of(PLAN, sidecar="unix:/run/meshtrial.sock").clusters["meshtrial"]

    address = sidecar["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
    assert address == {"pipe": {"path": "/run/meshtrial.sock"}}
    assert sidecar["health_checks"] == [
        {
            "timeout": "0.200s",
            "interval": "0.250s",
            "no_traffic_interval": "0.250s",
            "unhealthy_threshold": 2,
            "healthy_threshold": 1,
            "grpc_health_check": {},
        }
    ]
    # A Percent without a value is 0: never send to a host that failed its check.
    assert sidecar["common_lb_config"] == {"healthy_panic_threshold": {}, "update_merge_window": "0s"}
    assert sidecar["outlier_detection"] == {
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": 5,
        "interval": "0.250s",
        "base_ejection_time": "2s",
        "max_ejection_percent": 100,
    }


def test_decisions_are_not_refused_below_a_million_requests_a_second() -> None:
    threshold = Emitted.of(PLAN).clusters["meshtrial"]["circuit_breakers"]["thresholds"][0]
    assert threshold["max_requests"] / 0.05 > 1_000_000


@pytest.mark.parametrize("name", ["meshtrial", "meshtrial-collector"])
def test_sidecar_and_collector_speak_http2(name: str) -> None:
    (options,) = Emitted.of(PLAN).clusters[name]["typed_extension_protocol_options"].values()
    assert options["explicit_http_config"] == {"http2_protocol_options": {}}
