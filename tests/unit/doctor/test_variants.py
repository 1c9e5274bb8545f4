"""Other forms of the troubles that tests/doctor shows, and what only looks like one."""

from dataclasses import replace
from typing import Any

import pytest

from doctored import FILES, NEEDS
from meshtrial.doctor.examine import document, examine

BASE = (FILES / "good" / "base.yaml").read_text()
FAIL_OPEN = "              failure_mode_allow: true\n"
SAFE = "          use_remote_address: true\n"
DOMAINS = "              domains: ['*']\n"
ASKING = "headers: [{name: x-meshtrial-cluster, string_match: {exact: model-v2}}]"
DEFAULT = "              - match: {prefix: /}\n"
TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
PER_ROUTE = "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute"
SAMPLER = "type.googleapis.com/envoy.extensions.tracers.opentelemetry.samplers.v3.CELSamplerConfig"
OPEN_TELEMETRY = "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig"


def found(old: str, new: str, **needs: Any) -> list[str]:
    """The messages about the base file with one change."""
    assert BASE.count(old) == 1, old
    documents = [document("envoy.yaml", BASE.replace(old, new))]
    return [f.message for f in examine(documents, replace(NEEDS, **needs))]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        pytest.param(
            "              - remove: x-model-version\n",
            "",
            "a client's own `x-model-version` is let in, which an arm sets",
            id="an arm's header",
        ),
        pytest.param(
            "{prefix: x-meshtrial-, ignore_case: true}",
            "{exact: x-meshtrial-cluster}",
            "a client's own x-meshtrial-* headers are let in",
            id="one of the reserved headers",
        ),
        pytest.param(
            "remove: x-model-version",
            "remove_on_match: {key_matcher: {safe_regex: {regex: x-(model-version|user-id)}}}",
            "`x-user-id` is removed before the sidecar is asked",
            id="the unit is stripped",
        ),
        pytest.param(
            DOMAINS,
            DOMAINS
            + "              typed_per_filter_config: {envoy.filters.http.ext_proc: "
            + f"{{'@type': {PER_ROUTE}, overrides: {{failure_mode_allow: false}}}}}}\n",
            "an override sets failure_mode_allow to false",
            id="an override fails closed",
        ),
        pytest.param(FAIL_OPEN, "", "failure_mode_allow is false", id="fail closed by default"),
        pytest.param(
            "message_timeout: 0.05s",
            "stat_prefix: decision",
            "message_timeout is 200 ms, its default",
            id="the default timeout",
        ),
        pytest.param(
            "route_cache_action: CLEAR",
            "disable_clear_route_cache: true",
            "disable_clear_route_cache is on",
            id="the older switch",
        ),
        pytest.param(
            "route_cache_action: CLEAR",
            "route_cache_action: 2",
            "route_cache_action is RETAIN",
            id="by number",
        ),
        pytest.param(
            "disallow_all: true\n",
            "disallow_all: true\n                disallow_expression: {regex: x-meshtrial-a.*}\n",
            "mutation_rules drop `x-meshtrial-arms`",
            id="a denied header",
        ),
        pytest.param(
            "              forward_rules:\n",
            "              forward_rules:\n"
            "                disallowed_headers: {patterns: [{prefix: X-User, ignore_case: true}]}\n",
            "forward_rules keep `x-user-id` from the sidecar",
            id="a header that is held back",
        ),
        pytest.param(
            "envoy_grpc: {cluster_name: meshtrial}",
            "envoy_grpc: {cluster_name: meshtrial-2}",
            "Envoy does not have the sidecar's cluster `meshtrial-2`; did you mean `meshtrial`?",
            id="no sidecar's cluster",
        ),
        pytest.param(
            "  - name: model-v2\n",
            "  - name: model-v3\n",
            "Envoy does not have the plan's cluster `model-v2`; did you mean `model-v3`?",
            id="no model's cluster",
        ),
        pytest.param(
            "{healthy_panic_threshold: {value: 0}}",
            "{}",
            "healthy_panic_threshold is 50 %, its default",
            id="panic by default",
        ),
        pytest.param(
            ASKING,
            "dynamic_metadata: [{filter: meshtrial, path: [{key: arms}], value: {present_match: true}}]",
            None,
            id="a route by metadata with a default",
        ),
        pytest.param(
            DEFAULT,
            "              - match: {prefix: /, headers: [{name: x-beta, present_match: true}]}\n",
            "this route needs a decision, and no later route does without",
            id="a default for some",
        ),
        pytest.param(DEFAULT, "              - match: {prefix: /rec}\n", None, id="a default for the path"),
        pytest.param(
            "{prefix: /recommend, " + ASKING,
            "{prefix: /recommend, headers: [{name: x-meshtrial-cluster, invert_match: true, "
            "string_match: {exact: model-v1}}]",
            None,
            id="no decision is needed where the header may be missing",
        ),
        pytest.param(
            "{cluster: model-v2}",
            "{weighted_clusters: {clusters: [{name: model-v2, weight: 1}]}}",
            None,
            id="reached by weight",
        ),
        pytest.param(
            SAFE,
            SAFE
            + f"          tracing: {{provider: {{name: o, typed_config: {{'@type': {OPEN_TELEMETRY}, "
            + f"sampler: {{name: s, typed_config: {{'@type': {SAMPLER}}}}}}}}}}}\n",
            "the sampler CELSamplerConfig may drop spans",
            id="a sampler",
        ),
        pytest.param(
            "{cluster: model-v1}\n",
            "{cluster: model-v1}\n"
            "                tracing: {random_sampling: {numerator: 5, denominator: TEN_THOUSAND}}\n",
            "the route's random_sampling is 0.05 %",
            id="a route's sampling",
        ),
        pytest.param(SAFE, SAFE + "          tracing: {}\n", None, id="sampling is full by default"),
        pytest.param(
            "        explicit_http_config: {http2_protocol_options: {}}",
            "        auto_config: {}",
            None,
            id="HTTP/2 by negotiation",
        ),
        pytest.param("use_remote_address: true", "use_remote_address: null", None, id="peers do not matter"),
    ],
)
def test_a_change_is_found_or_is_none(old: str, new: str, said: str | None) -> None:
    assert found(old, new) == ([] if said is None else [said])


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("use_remote_address: false", "use_remote_address is false, so that every peer is trusted"),
        ("generate_request_id: true", "use_remote_address is false, so that every peer is trusted"),
    ],
)
def test_who_numbers_requests_matters_where_the_number_is_the_unit(new: str, said: str) -> None:
    assert found("use_remote_address: true", new, request_id=True) == [said]
    assert found("use_remote_address: true", new) == []


@pytest.mark.parametrize(
    ("ranges", "said"),
    [
        ("{cidr_ranges: [{address_prefix: 10.0.0.0, prefix_len: 8}]}", "peers in 10.0.0.0 are trusted"),
        ("{}", "peers in private networks are trusted"),
        (
            "null",
            "without internal_address_config private addresses are trusted by releases before 1.33",
        ),
    ],
)
def test_trusted_networks_are_named(ranges: str, said: str) -> None:
    old = "{cidr_ranges: [{address_prefix: 255.255.255.255, prefix_len: 32}]}"

    assert found(old, ranges, request_id=True) == [said]


def test_a_hop_that_shows_a_certificate_need_not_be_stripped() -> None:
    strip = BASE[BASE.index("          early_header") : BASE.index("          route_config")]
    chain = "    - filters:\n"

    def socket(certificate: str) -> str:
        tls = f"{{'@type': {TLS}, require_client_certificate: {certificate}}}"
        return f"{chain}      transport_socket: {{name: tls, typed_config: {tls}}}\n".replace(
            f"{chain}      transport", "    - transport"
        )

    def named(text: str) -> list[str]:
        return [f.check.id for f in examine([document("envoy.yaml", text)], NEEDS)]

    without = BASE.replace(strip, "")
    assert named(without.replace(chain, socket("true") + "      filters:\n")) == []
    assert named(without.replace(chain, socket("false") + "      filters:\n")) == ["strip-missing"] * 2


def test_an_answer_that_sets_a_cookie_must_be_let_through() -> None:
    always: dict[str, Any] = {"response": True, "set_cookie": True}
    mode = ("response_header_mode: SKIP", "response_header_mode: SEND")

    assert found(*mode, **always) == ["mutation_rules drop `set-cookie`"]
    assert found(FAIL_OPEN, FAIL_OPEN + "              allow_mode_override: true\n", response=True) == []
    assert found(
        FAIL_OPEN,
        FAIL_OPEN
        + "              allow_mode_override: true\n"
        + "              allowed_override_modes: [{request_header_mode: SEND, response_header_mode: SKIP}]\n",
        response=True,
    ) == ["no mode of allowed_override_modes sends the response's headers"]


def test_a_second_listener_that_leads_to_the_models_unasked_is_found() -> None:
    listener = BASE[BASE.index("  - address:") : BASE.index("  clusters:")]
    ext_proc = listener[listener.index("          - name: envoy.filters.http.ext_proc") :]
    ext_proc = ext_proc[: ext_proc.index("          - name: envoy.filters.http.router")]
    other = listener.replace(ext_proc, "")

    assert found("  clusters:\n", other + "  clusters:\n") == ["no filter of this chain asks the sidecar"]
    elsewhere = other.replace("cluster: model-v", "cluster: shop-v")
    assert found("  clusters:\n", elsewhere + "  clusters:\n") == []


def test_metadata_that_no_filter_is_named_after_may_come_from_any() -> None:
    received = "receiving_namespaces: {untyped: [meshtrial]}}"
    forwarded = received.replace("}}", "}, forwarding_namespaces: {untyped: [tenants]}}")

    assert found(received, forwarded, metadata=("tenants",)) == []
    assert found(received, received, metadata=("tenants",)) == ["the namespace `tenants` is not forwarded"]
