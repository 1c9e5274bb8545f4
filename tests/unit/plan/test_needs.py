from pathlib import Path

from meshtrial.plan.load import load
from meshtrial.plan.needs import needs_of

GOOD = Path(__file__).parents[2] / "plans" / "good"


def test_a_plan_by_user_route_and_path_needs_all_three_and_every_cluster_and_header_of_its_arms() -> None:
    needs = needs_of(load((GOOD / "full.yaml").read_text(), "full.yaml"))

    assert needs.headers == (":path", "meshtrial-force", "x-user-id")
    assert needs.attributes == ("request.time", "xds.route_name")
    assert needs.metadata == ()
    assert needs.set_headers == ("meshtrial-force", "x-model-family", "x-model-version")
    assert needs.clusters == ("model-v0", "model-v1", "model-v2", "model-v3")
    assert not needs.request_id
    assert not needs.response


def test_a_plan_by_request_needs_its_id() -> None:
    needs = needs_of(load((GOOD / "request-unit.yaml").read_text(), "request-unit.yaml"))

    assert needs.headers == (":path", "meshtrial-force", "x-request-id")
    assert needs.attributes == ("request.time",)
    assert needs.request_id


def test_what_the_response_brings_and_what_travels_on_is_asked_for_only_where_the_plan_says_so() -> None:
    units = (GOOD / "units.yaml").read_text()
    needs = needs_of(load(units, "units.yaml"))

    assert (needs.set_cookie, needs.response) == ("mint:" in units, True)
    assert "cookie" in needs.headers
    assert needs.metadata == ("envoy.filters.http.jwt_authn",)
    assert needs.carries is ("carry: true" in units) is ("baggage" in needs.headers)
