import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.requests import Request as HttpRequest

from ext_proc_door import Door, headers_set, message
from meshtrial.assign.force import sign_force
from meshtrial.doors.explaining import explaining
from meshtrial.doors.in_force import InForce
from meshtrial.plan.load import load
from meshtrial.state.sticky import StickyFile
from plan_values import experiment, on, plan_text

CLAIM = {"metadata": {"namespace": "verified", "path": ["payload", "sub"]}}
PLAN = plan_text(
    {"rank": on("/recommend", sticky=True), "search": on("/search"), "claims": on("/claims", unit=CLAIM)}
)


def asked(door: Door, *parameters: tuple[str, str]) -> tuple[int, dict[str, Any]]:
    """Status and document of `GET /v1/explain`."""
    scope = {"type": "http", "method": "GET", "path": "/v1/explain", "headers": []}
    query = urlencode(parameters).encode()
    answer = explaining(door.desk)(HttpRequest({**scope, "query_string": query}))
    return answer.status_code, json.loads(bytes(answer.body))


def walk(document: dict[str, Any], experiment_id: str) -> dict[str, Any]:
    (found,) = [each for each in document["walks"] if each["experiment"] == experiment_id]
    return dict(found)


def test_a_request_is_explained_as_a_stream_would_decide_it() -> None:
    door = Door(PLAN)
    for number in range(20):
        user = f"u{number}"
        status, document = asked(door, ("header", f"X-User-Id: {user}"), ("path", "/recommend?page=1"))
        answer = door.receive(message("/recommend?page=1", ("x-user-id", user.encode())))

        assert status == 200
        assert document["plan"] == door.in_force.plan.digest
        assert document["headers"]["set"] == headers_set(answer)
        assert walk(document, "rank")["unit"] == user
        assert walk(document, "search")["takes_part"] is False


def test_asking_records_keeps_and_counts_nothing() -> None:
    door = Door(PLAN)
    asked(door, ("header", "x-user-id: u1"), ("path", "/recommend"))

    assert door.recorded == []
    assert door.messages("assigned") == 0
    turned = plan_text({"rank": on("/recommend", arms={**ALL_V2}, sticky=True)})
    door.in_force = InForce.of(load(turned, "plan.yaml"))
    _, document = asked(door, ("header", "x-user-id: u1"), ("path", "/recommend"))
    assert (document["walks"][0]["arm"], document["walks"][0]["reason"]) == ("v2", "split")


ALL_V2: dict[str, dict[str, Any]] = {
    "v1": {"weight": 0, "cluster": "model-v1"},
    "v2": {"weight": 100, "cluster": "model-v2"},
}


def test_what_this_sidecar_has_kept_counts(tmp_path: Path) -> None:
    door = Door(PLAN)
    sticky = StickyFile(tmp_path / "sticky")
    object.__setattr__(door.desk, "sticky", sticky)
    answer = door.receive(message("/recommend", ("x-user-id", b"u1")))
    first = headers_set(answer)["x-meshtrial-cluster"].removeprefix("model-")
    other = {"v1": 0, "v2": 0, first: 0} | {"v1" if first == "v2" else "v2": 100}
    arms = {arm: {"weight": weight, "cluster": f"model-{arm}"} for arm, weight in other.items()}
    turned = plan_text({"rank": on("/recommend", arms=arms, sticky=True)})
    door.in_force = InForce.of(load(turned, "plan.yaml"))

    _, document = asked(door, ("header", "x-user-id: u1"), ("path", "/recommend"))
    assert (document["walks"][0]["arm"], document["walks"][0]["reason"]) == (first, "cached")
    sticky.close()


def test_signed_headers_claims_hosts_and_methods_are_explained_too() -> None:
    door = Door(PLAN)
    forced = sign_force(door.desk.key, "search", "v2", door.now // 10**9 + 60)
    _, document = asked(door, ("header", f"meshtrial-force: {forced}"), ("path", "/search"))
    assert walk(document, "search")["reason"] == "targeting_match"

    claims = json.dumps({"verified": {"payload": {"sub": "alice"}}})
    _, document = asked(door, ("metadata", claims), ("path", "/claims"))
    assert walk(document, "claims")["unit"] == "alice"

    posted = Door(plan_text({"rank": experiment(match={"host": "a.example", "method": "POST"})}))
    _, document = asked(posted, ("host", "a.example:80"), ("method", "POST"), ("header", "x-user-id: u1"))
    assert walk(document, "rank")["takes_part"] is True


def test_one_walk_alone() -> None:
    status, document = asked(Door(PLAN), ("experiment", "search"), ("path", "/search"))

    assert status == 200
    assert [each["experiment"] for each in document["walks"]] == ["search"]


KNOWN = "experiment, header, host, metadata, method, path, route"


@pytest.mark.parametrize(
    ("parameter", "status", "error"),
    [
        (("user", "u1"), 400, f"unknown parameter 'user'; known: {KNOWN}"),
        (("header", "x-user-id"), 400, "header 'x-user-id': write `name: value`"),
        (("header", " : u1"), 400, "header ' : u1': write `name: value`"),
        (("metadata", "{"), 400, "metadata: write a JSON object of objects by namespace"),
        (("metadata", '{"a": 1}'), 400, "metadata: write a JSON object of objects by namespace"),
        (("experiment", "rnk"), 404, "the plan has no experiment 'rnk'"),
    ],
)
def test_a_wrong_parameter_is_told(parameter: tuple[str, str], status: int, error: str) -> None:
    assert asked(Door(PLAN), ("header", "x-user-id: u1"), parameter) == (status, {"error": error})


def test_a_parameter_that_comes_twice_is_told() -> None:
    assert asked(Door(PLAN), ("path", "/a"), ("path", "/b")) == (
        400,
        {"error": "parameter 'path' comes twice"},
    )
