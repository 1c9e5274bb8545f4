from pathlib import Path
from typing import Any

import pytest

from meshtrial.plan.load import load
from meshtrial.plan.needs import Needs, needs_of
from plan_values import experiment, plan_of

GOOD = Path(__file__).parents[2] / "plans" / "good"


def needs(**keys: Any) -> Needs:
    """What one experiment needs, by `x-user-id` unless `keys` say otherwise."""
    return needs_of(plan_of({"a": experiment(**keys)}))


def test_a_plan_by_user_route_and_path_needs_all_three_and_every_cluster_and_header_of_its_arms() -> None:
    found = needs_of(load((GOOD / "full.yaml").read_text(), "full.yaml"))

    assert found.headers == (":path", "meshtrial-force", "x-user-id")
    assert found.attributes == ("request.time", "xds.route_name")
    assert found.metadata == ()
    assert found.set_headers == ("meshtrial-force", "x-model-family", "x-model-version")
    assert found.clusters == ("model-v0", "model-v1", "model-v2", "model-v3")
    assert (found.request_id, found.response, found.set_cookie, found.outcome_header) == (False,) * 4


@pytest.mark.parametrize(
    ("unit", "headers", "metadata", "request_id"),
    [
        ({"request": True}, {"x-request-id"}, (), True),
        ({"cookie": "sid"}, {"cookie"}, (), False),
        ({"query": "u"}, {":path"}, (), False),
        ({"metadata": {"namespace": "jwt", "path": ["sub"]}}, set(), ("jwt",), False),
        (
            {"group": {"header": "x-store"}, "members": {"request": True}},
            {"x-store", "x-request-id"},
            (),
            True,
        ),
        ({"switchback": {"key": {"query": "city"}, "window": "1h"}}, {":path"}, (), False),
    ],
)
def test_a_unit_needs_what_carries_it(
    unit: dict[str, Any], headers: set[str], metadata: tuple[str, ...], request_id: bool
) -> None:
    found = needs(unit=unit)

    assert set(found.headers) == {"meshtrial-force", *headers}
    assert (found.metadata, found.request_id) == (metadata, request_id)


def test_neighbours_need_the_header_that_lists_them() -> None:
    unit = {"group": {"header": "x-store"}, "members": {"header": "x-user-id"}}
    found = needs(unit=unit, neighbours={"header": "X-Neighbours"})

    assert set(found.headers) == {"meshtrial-force", "x-neighbours", "x-store", "x-user-id"}


def test_a_match_needs_the_pseudo_headers_and_headers_that_it_names() -> None:
    match = {"host": "a.example", "method": "GET", "path_prefix": "/a", "headers": {"x-app": "web"}}

    assert set(needs(match=match).headers) == {
        ":authority", ":method", ":path", "meshtrial-force", "x-app", "x-user-id"
    }  # fmt: skip


def test_audiences_cohorts_with_weights_and_strata_need_what_they_read() -> None:
    found = needs_of(load((GOOD / "audiences.yaml").read_text("utf-8"), "audiences.yaml"))
    weighed = needs_of(load((GOOD / "cohorts.yaml").read_text("utf-8"), "cohorts.yaml"))

    assert {
        "x-country",
        "x-bot",
        "cookie",
        "x-email",
        "x-app-version",
        ":path",
        "x-a",
        "x-b",
        "x-plan",
    } <= set(found.headers)
    assert found.metadata == ("envoy.filters.http.jwt_authn",)
    assert weighed.headers == ("meshtrial-force", "x-country", "x-plan", "x-staff", "x-user-id")


def test_carried_arms_need_baggage_both_ways() -> None:
    found = needs(carry=True)

    assert found.carries
    assert not needs().carries
    assert "baggage" in found.headers
    assert "baggage" in found.set_headers


def test_a_minted_cookie_and_outcomes_of_the_model_need_the_response() -> None:
    minted = needs(unit={"cookie": "mt", "mint": {"max_age": "30d"}})
    told = needs(outcomes={"response_header": True})

    assert (minted.response, minted.set_cookie, minted.outcome_header) == (True, True, False)
    assert (told.response, told.set_cookie, told.outcome_header) == (True, False, True)


def test_experiments_that_choose_no_cluster_name_none() -> None:
    assert needs(arms={"a": {"weight": 50, "headers": {"x-tone": "a"}}, "b": {"weight": 50}}).clusters == ()


def test_what_one_experiment_of_many_needs_the_plan_needs() -> None:
    found = needs_of(load((GOOD / "running.yaml").read_text("utf-8"), "running.yaml"))
    minted = needs_of(load((GOOD / "units.yaml").read_text("utf-8"), "units.yaml"))

    assert found.carries
    assert (found.response, found.set_cookie, found.outcome_header) == (True, False, True)
    assert not minted.carries
    assert (minted.response, minted.set_cookie, minted.outcome_header) == (True, True, False)


@pytest.mark.parametrize(
    ("metric", "needed"),
    [
        ({"kind": "ratio", "request": "error", "window": "1d"}, True),
        ({"kind": "quantile", "q": 0.95, "request": "duration_ms", "window": "1d"}, True),
        ({"kind": "proportion", "outcome": "click", "window": "1d"}, False),
    ],
)
def test_a_metric_of_requests_needs_the_proxys_access_log(metric: dict[str, Any], needed: bool) -> None:
    conversion = {"kind": "proportion", "outcome": "purchase", "window": "7d"}
    plan = plan_of({"a": experiment()}, metrics={"conversion": conversion, "other": metric})

    assert needs_of(plan).request_log is needed
