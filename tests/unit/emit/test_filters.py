import re

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

    assert seen == [{"exact": name} for name in (":path", "x-request-id", "x-session", "x-user-id")]


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
