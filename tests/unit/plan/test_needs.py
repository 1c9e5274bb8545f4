from pathlib import Path

from meshtrial.plan.load import load
from meshtrial.plan.needs import needs_of

GOOD = Path(__file__).parents[2] / "plans" / "good"


def test_a_plan_by_user_route_and_path_needs_all_three_and_every_cluster_and_header_of_its_arms() -> None:
    needs = needs_of(load((GOOD / "full.yaml").read_text(), "full.yaml"))

    assert needs.headers == (":path", "x-user-id")
    assert needs.attributes == ("request.time", "xds.route_name")
    assert needs.metadata == ()
    assert needs.set_headers == ("x-model-family", "x-model-version")
    assert needs.clusters == ("model-v0", "model-v1", "model-v2", "model-v3")
    assert not needs.request_id
    assert not needs.response


def test_a_plan_by_request_needs_its_id() -> None:
    needs = needs_of(load((GOOD / "request-unit.yaml").read_text(), "request-unit.yaml"))

    assert needs.headers == (":path", "x-request-id")
    assert needs.attributes == ("request.time",)
    assert needs.request_id
