"""One file configures proxy and experiments: the plan stands under a route of the configuration that runs."""

import hashlib
import http.client
import json
from typing import Any

import yaml

from e2e.trial import patient, until
from meshtrial.emit.envoy import envoy as emit_envoy
from meshtrial.emit.target import Target
from meshtrial.plan.load import load
from plan_texts import RANK

ROUTE = "rank-v2-control"
"""The emitted configuration's route of requests without a decision."""


def with_plan(configuration: str) -> str:
    """The configuration with the plan under its route, and asking for the route's name."""
    document: dict[str, Any] = yaml.safe_load(configuration)
    plan = yaml.safe_load(RANK)
    del plan["experiments"]["rank-v2"]["match"]
    manager = document["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    [route] = [r for r in manager["route_config"]["virtual_hosts"][0]["routes"] if r["name"] == ROUTE]
    route["metadata"] = {"filter_metadata": {"meshtrial": plan}}
    [asking] = [f for f in manager["http_filters"] if f["name"] == "envoy.filters.http.ext_proc"]
    asking["typed_config"]["request_attributes"].append("xds.route_name")
    return yaml.safe_dump(document, sort_keys=False)


def test_the_sidecar_reads_its_plan_from_the_proxys_own_configuration() -> None:
    endpoints = {"model-v1": ("127.0.0.1:1",), "model-v2": ("127.0.0.1:2",)}
    target = Target("127.0.0.1:0", endpoints, "127.0.0.1:9002", "127.0.0.1:4317")
    with patient(
        RANK, serve=with_plan(emit_envoy(load(RANK, "plan.yaml"), target)), adapt=with_plan
    ) as running:
        connection = http.client.HTTPConnection(running.proxy, timeout=10)
        for number in range(40):
            user = f"user-{number}"
            connection.request("GET", "/recommend", headers={"x-user-id": user})
            answer = json.loads(connection.getresponse().read())
            arm = "v2" if int(hashlib.md5(f"rank-v2:{user}".encode()).hexdigest(), 16) % 100 < 50 else "v1"
            assert answer["model"] == f"model-{arm}"
        connection.close()
        until(lambda: running.metric('meshtrial_messages_total{result="assigned"}') == 40)
        assert len(running.exposures(40)) == 40
