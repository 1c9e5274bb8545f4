import re
from typing import Any

import pytest

from emitted import Emitted
from plan_values import experiment, on, plan_of

ODD = {
    "v1": {"weight": 50, "cluster": "a"},
    "v2": {"weight": 50, "cluster": "b", "headers": {"x.model+version": "2", "x-model-version": "2"}},
}


def test_a_clients_copies_are_stripped_before_routing() -> None:
    (strip,) = Emitted.of(plan_of({"rank-v2": experiment(ODD)})).manager["early_header_mutation_extensions"]

    assert strip["typed_config"]["mutations"] == [
        {"remove_on_match": {"key_matcher": {"prefix": "x-meshtrial-", "ignore_case": True}}},
        {"remove": "x-model-version"},
        {"remove": "x.model+version"},
    ]


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        ("x-meshtrial-cluster", True),
        ("x-meshtrial-arms", True),
        ("x-model-version", True),
        ("x.model+version", True),
        ("x-model-versions", False),
        ("ax-model-version", False),
        ("xamodel+version", False),
        ("x-meshtrial-other", False),
        ("x-user-id", False),
        (":path", False),
        ("", False),
    ],
)
def test_an_answer_may_set_exactly_the_plans_headers(header: str, allowed: bool) -> None:
    rules = Emitted.of(plan_of({"rank-v2": experiment(ODD)})).ext_proc["mutation_rules"]

    assert rules["disallow_all"] is True
    assert bool(re.search(rules["allow_expression"]["regex"], header)) is allowed


def test_the_sidecar_sees_the_path_and_the_units_and_nothing_else() -> None:
    plan = plan_of(
        {"a": on("/a"), "b": on("/b", unit={"header": "X-Session"}), "c": on("/c", unit={"request": True})}
    )
    seen = Emitted.of(plan).ext_proc["forward_rules"]["allowed_headers"]["patterns"]

    names = (":path", "meshtrial-force", "x-request-id", "x-session", "x-user-id")
    assert seen == [{"exact": name} for name in names]


def seen(**keys: Any) -> set[str]:
    """What the sidecar sees of requests of one experiment."""
    patterns = Emitted.of(plan_of({"rank": experiment(**keys)})).ext_proc["forward_rules"]["allowed_headers"]
    return {pattern["exact"] for pattern in patterns["patterns"]}


@pytest.mark.parametrize(
    ("keys", "headers"),
    [
        ({"unit": {"cookie": "sid"}}, {"cookie"}),
        ({"unit": {"query": "user"}}, {":path"}),
        ({"unit": {"metadata": {"namespace": "a.filter", "path": ["sub"]}}}, set()),
        ({"unit": {"group": {"header": "x-store"}, "members": {"cookie": "sid"}}}, {"cookie", "x-store"}),
        ({"match": {"host": "a.example", "method": "POST"}}, {":authority", ":method", "x-user-id"}),
        ({"match": {"headers": {"x-app": "web"}}}, {"x-app", "x-user-id"}),
        ({"audience": [{"any": [{"header": "x-plan", "exists": True}]}]}, {"x-plan", "x-user-id"}),
        ({"strata": ["x-country"]}, {"x-country", "x-user-id"}),
        ({"carry": True}, {"baggage", "x-user-id"}),
        # The list is for responses as well.
        ({"outcomes": {"response_header": True}}, {"x-meshtrial-outcome", "x-user-id"}),
    ],
)
def test_everything_that_the_plan_reads_is_forwarded(keys: dict[str, Any], headers: set[str]) -> None:
    assert seen(**keys) == {"meshtrial-force", *headers}


def test_metadata_of_other_filters_is_forwarded_where_the_plan_reads_it() -> None:
    claim = {"metadata": {"namespace": "envoy.filters.http.jwt_authn", "path": ["payload", "sub"]}}
    by_claim = Emitted.of(plan_of({"rank": experiment(unit=claim)})).ext_proc["metadata_options"]
    by_header = Emitted.of(plan_of({"rank": experiment()})).ext_proc["metadata_options"]

    assert by_claim["forwarding_namespaces"] == {"untyped": ["envoy.filters.http.jwt_authn"]}
    assert "forwarding_namespaces" not in by_header


MINT: dict[str, Any] = {"unit": {"cookie": "mt", "mint": {"max_age": "400d"}}}
TOLD: dict[str, Any] = {"outcomes": {"response_header": True}}


@pytest.mark.parametrize(
    ("keys", "response", "written"),
    [
        ({}, False, {"x-model-version"}),
        ({"unit": {"cookie": "mt"}}, False, {"x-model-version"}),
        ({"carry": True}, False, {"x-model-version", "baggage"}),
        (MINT, True, {"x-model-version", "set-cookie"}),
        (TOLD, True, {"x-model-version", "x-meshtrial-outcome"}),
        ({"outcomes": {"response_header": False}}, False, {"x-model-version"}),
    ],
)
def test_responses_are_seen_and_headers_written_only_where_the_plan_asks(
    keys: dict[str, Any], response: bool, written: set[str]
) -> None:
    decide = Emitted.of(plan_of({"rank": experiment(**keys)})).ext_proc
    assert decide.get("allow_mode_override", False) is response
    assert decide["processing_mode"]["response_header_mode"] == "SKIP"
    asked = ["x-model-version", "baggage", "set-cookie", "x-meshtrial-outcome", "cookie", "x-user-id"]
    asked += ["meshtrial-force", "x-meshtrial-cluster", "x-meshtrial-arms"]
    allowed = decide["mutation_rules"]["allow_expression"]["regex"]
    ours = {"meshtrial-force", "x-meshtrial-cluster", "x-meshtrial-arms"}
    assert {name for name in asked if re.search(allowed, name)} == written | ours


def test_outcomes_are_taken_out_of_every_response_after_the_sidecar_has_read_them() -> None:
    filters = Emitted.of(plan_of({"rank": experiment(**TOLD)})).filters

    # Responses pass the filters from the last to the first.
    assert list(filters) == [
        "envoy.filters.http.header_mutation",
        "envoy.filters.http.ext_proc",
        "envoy.filters.http.router",
    ]
    assert filters["envoy.filters.http.header_mutation"]["mutations"] == {
        "response_mutations": [{"remove": "x-meshtrial-outcome"}]
    }
    without = Emitted.of(plan_of({"rank": experiment(**MINT)})).filters
    assert list(without) == ["envoy.filters.http.ext_proc", "envoy.filters.http.router"]


def test_only_request_headers_cost_a_round_trip_and_no_failure_reaches_the_client() -> None:
    decide = Emitted.of(plan_of({"rank-v2": experiment()}), message_timeout_ms=20).ext_proc

    # Envoy's enums: a mode that is left out is NONE for bodies.
    assert decide["processing_mode"] == {
        "request_header_mode": "SEND",
        "response_header_mode": "SKIP",
        "request_trailer_mode": "SKIP",
        "response_trailer_mode": "SKIP",
    }
    assert decide["failure_mode_allow"] is True
    assert decide["disable_immediate_response"] is True
    assert decide["message_timeout"] == "0.020s"
    assert decide["route_cache_action"] == "CLEAR"
    assert decide["request_attributes"] == ["request.time"]
    assert decide["metadata_options"]["receiving_namespaces"] == {"untyped": ["meshtrial"]}
