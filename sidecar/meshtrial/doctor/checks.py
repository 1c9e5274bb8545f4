"""Every check: its fixed name, what it finds, what follows from that, and what ends it.

`docs/doctor.md` is made from this table, and `tests/doctor/bad/<id>.yaml` has each trouble.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from meshtrial.doctor.place import Place


class Severity(StrEnum):
    """What a finding is worth."""

    ERROR = "error"
    """The trial is wrong, unsafe or does not happen."""
    WARNING = "warning"
    """It works, until something else fails as well."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One trouble at one place."""

    check: "Check"
    place: Place
    message: str
    """What is wrong here."""
    fix: str
    """What ends it here, as YAML where that is short."""


@dataclass(frozen=True, slots=True)
class Check:
    """One kind of trouble."""

    id: str
    severity: Severity
    trouble: str
    consequence: str
    fix: str

    def at(self, place: Place, message: str, fix: str = "") -> Finding:
        """A finding at a place, with the check's own fix where no other is given."""
        return Finding(self, place, message, fix or self.fix)


def _error(name: str, trouble: str, consequence: str, fix: str) -> Check:
    return Check(name, Severity.ERROR, trouble, consequence, fix)


def _warning(name: str, trouble: str, consequence: str, fix: str) -> Check:
    return Check(name, Severity.WARNING, trouble, consequence, fix)


MANAGER_MISSING = _error(
    "manager-missing",
    "No HTTP connection manager stands in the files.",
    "There is nothing to run a trial in, or it comes from files that were not given.",
    "give the files of LDS with --resources, or the output of /config_dump",
)
EXT_PROC_MISSING = _error(
    "ext-proc-missing",
    "The filter chain does not ask the sidecar.",
    "Everybody goes to control, and nobody is exposed.",
    "add the filter envoy.filters.http.ext_proc of an emitted configuration before the router",
)
EXT_PROC_TWICE = _error(
    "ext-proc-twice",
    "The filter chain asks the sidecar more than once.",
    "Each request waits for two decisions and is recorded as two exposures.",
    "keep one of the filters",
)
EXT_PROC_DISABLED = _error(
    "ext-proc-disabled",
    "The filter that asks the sidecar is `disabled`.",
    "Only routes that enable it are asked about, and a route that the decision itself leads to is too late.",
    "remove `disabled: true`, and disable the filter on the routes that need no decision",
)
EXT_PROC_AFTER_ROUTER = _error(
    "ext-proc-after-router",
    "The sidecar would be asked after the router.",
    "The router ends the chain: Envoy refuses the configuration, or never asks.",
    "move the filter before envoy.filters.http.router",
)
ANSWERS_UNREAD = _error(
    "answers-unread",
    "The filter sends requests to the sidecar without reading its answers.",
    "Everybody goes to control, while the sidecar records exposures to arms that nobody was served.",
    "remove `observability_mode` and let processing_mode be {request_header_mode: SEND}",
)
AUTHENTICATION_LATE = _error(
    "authentication-late",
    "The plan's unit is metadata of a filter that is missing or runs after the sidecar was asked.",
    "The sidecar never sees the unit, so every experiment on it sends everybody to control.",
    "place the filter before envoy.filters.http.ext_proc",
)
AUTHENTICATION_AFTER = _warning(
    "authentication-after",
    "A filter that may refuse a request runs after the sidecar was asked.",
    "Refused requests are recorded as exposures, and strangers make the sidecar work.",
    "place the filter before envoy.filters.http.ext_proc",
)
STRIP_MISSING = _error(
    "strip-missing",
    "A client's own copies of the decision's headers are not removed before a route is looked for.",
    "While the sidecar is away, or by a header that it does not set, a client chooses its own model.",
    "early_header_mutation_extensions: [{name: strip, typed_config: {'@type': type.googleapis.com/"
    "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation, mutations: "
    "[{remove_on_match: {key_matcher: {prefix: x-meshtrial-, ignore_case: true}}}]}}]",
)
ROUTE_KEPT = _error(
    "route-kept",
    "The route that was found before the decision is kept.",
    "The answer's header comes too late for routing: everybody goes to control and is recorded in an arm.",
    "route_cache_action: CLEAR",
)
FAIL_CLOSED = _error(
    "fail-closed",
    "Requests fail where the sidecar does.",
    "With the sidecar away clients get 500, and 504 where it hangs.",
    "failure_mode_allow: true",
)
TIMEOUT_LONG = _warning(
    "timeout-long",
    "A request may wait for its decision for more than 100 ms.",
    "While the sidecar hangs, every request takes so much longer; Envoy's default is 200 ms.",
    "message_timeout: 0.05s",
)
HEADERS_UNSENT = _error(
    "headers-unsent",
    "The filter does not send the request's headers to the sidecar.",
    "The sidecar is never asked: everybody goes to control.",
    "processing_mode: {request_header_mode: SEND, response_header_mode: SKIP}",
)
HEADER_HIDDEN = _error(
    "header-hidden",
    "The sidecar does not see a header that the plan needs.",
    "Without its unit or its match every request goes to control; "
    "without meshtrial-force or baggage a tester's or an earlier hop's choice is not obeyed.",
    "list the header in forward_rules.allowed_headers.patterns",
)
ATTRIBUTE_MISSING = _error(
    "attribute-missing",
    "The sidecar is not told an attribute that the plan matches by.",
    "No request matches: everybody goes to control.",
    "list it in request_attributes",
)
ARRIVAL_MISSING = _warning(
    "arrival-missing",
    "The sidecar is not told when a request began.",
    "A sidecar that wakes after a hang records exposures to arms that nobody was served.",
    "request_attributes: [request.time]",
)
METADATA_HIDDEN = _error(
    "metadata-hidden",
    "The sidecar does not see the metadata that the plan's unit is in.",
    "Without its unit a request goes to control: so does everybody.",
    "list the namespace in metadata_options.forwarding_namespaces.untyped",
)
METADATA_REFUSED = _warning(
    "metadata-refused",
    "Envoy does not take the sidecar's metadata.",
    "Access log and spans do not say which arm a request got, and no route can match by it.",
    "metadata_options: {receiving_namespaces: {untyped: [meshtrial]}}",
)
ANSWER_DROPPED = _error(
    "answer-dropped",
    "The mutation rules drop a header of the answer, in silence.",
    "The arm is recorded, yet the request goes to control or lacks its header.",
    "let mutation_rules.allow_expression take the header",
)
RESPONSE_UNASKED = _error(
    "response-unasked",
    "The plan reads or sets response headers, and the filter never asks for that phase.",
    "No cookie is minted, and outcomes in response headers are lost.",
    "allow_mode_override: true",
)
OUTCOME_LEAKS = _error(
    "outcome-leaks",
    "The model's outcome header is not taken out of responses.",
    "Clients read what was measured of them.",
    "a filter envoy.filters.http.header_mutation with mutations: {response_mutations: "
    "[{remove: x-meshtrial-outcome}]} before envoy.filters.http.ext_proc",
)
OUTCOME_LOST = _error(
    "outcome-lost",
    "The model's outcome header is removed before the sidecar reads it.",
    "Outcomes in response headers are lost.",
    "remove it by a filter envoy.filters.http.header_mutation before envoy.filters.http.ext_proc alone",
)
CLUSTER_MISSING = _error(
    "cluster-missing",
    "Envoy has no cluster of this name.",
    "Whoever is sent there goes to control or gets 503, yet is recorded in the arm.",
    "define the cluster, or correct its name in the plan",
)
CLUSTER_UNKNOWN = _warning(
    "cluster-unknown",
    "The cluster does not stand in the files, but others come by CDS.",
    "If CDS does not bring it either, whoever is sent there goes to control or gets 503.",
    "give the files of CDS with --resources, or the output of /config_dump",
)
CLUSTER_UNROUTED = _error(
    "cluster-unrouted",
    "No route leads to a cluster of the plan.",
    "The arm's units go to control, yet are recorded in the arm.",
    "add a route that asks for x-meshtrial-cluster with the cluster's exact name, before control's route",
)
ROUTES_UNREAD = _warning(
    "routes-unread",
    "The routes come from where the doctor cannot look.",
    "Nothing about routes was checked.",
    "give the file of RDS with --resources, or the output of /config_dump",
)
GUARD_MISSING = _error(
    "guard-missing",
    "A route takes its cluster from our header and does not ask whether the header is there.",
    "While the sidecar is away, or undecided, clients get 503.",
    "match: {headers: [{name: x-meshtrial-cluster, present_match: true}]}, then a route to control",
)
DEFAULT_MISSING = _error(
    "default-missing",
    "After a route that needs a decision none follows that takes its requests without one.",
    "While the sidecar is away, or undecided, clients get 404.",
    "add a route with the same path and control's cluster after it",
)
SHADOW_REMOVED = _error(
    "shadow-removed",
    "The header that names a mirror's cluster is removed on the way to it.",
    "Nothing is ever mirrored.",
    "take the header out of request_headers_to_remove",
)
REQUEST_ID_MISSING = _error(
    "request-id-missing",
    "Requests get no id, and the id is the unit of an experiment.",
    "Every request goes to control.",
    "generate_request_id: true",
)
REQUEST_ID_CHOSEN = _error(
    "request-id-chosen",
    "A client's own request id is kept, and the id is the unit of an experiment.",
    "A client chooses its arm.",
    "preserve_external_request_id: false",
)
REQUEST_ID_TRUSTED = _warning(
    "request-id-trusted",
    "Peers may bring request ids of their own, and the id is the unit of an experiment.",
    "Whoever connects from there chooses its arm.",
    "use_remote_address: true and internal_address_config: {cidr_ranges: "
    "[{address_prefix: 255.255.255.255, prefix_len: 32}]}",
)
SPANS_SAMPLED = _warning(
    "spans-sampled",
    "Envoy writes spans for a part of the requests.",
    "Envoy's own spans of the others, with their arm and latency, are missing. "
    "The sidecar's exposures are complete: they do not depend on sampling.",
    "random_sampling: {value: 100} and no lower overall_sampling, or count nothing from Envoy's spans",
)
REQUESTS_UNLOGGED = _error(
    "requests-unlogged",
    "The plan measures requests, and Envoy does not tell the collector of them.",
    "Metrics of requests have no data: what is decided by them is never decided.",
    "the access log envoy.access_loggers.open_telemetry of an emitted configuration",
)
HTTP2_MISSING = _error(
    "http2-missing",
    "The sidecar's cluster does not speak HTTP/2.",
    "gRPC needs it: no decision is ever made.",
    "typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {'@type': "
    "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, "
    "explicit_http_config: {http2_protocol_options: {}}}}",
)
HEALTH_UNCHECKED = _warning(
    "health-unchecked",
    "Nobody asks whether the sidecar is well.",
    "While it hangs, every request waits for the whole message timeout.",
    "health_checks: [{timeout: 0.2s, interval: 0.25s, no_traffic_interval: 0.25s, "
    "unhealthy_threshold: 2, healthy_threshold: 1, grpc_health_check: {}}]",
)
PANIC = _warning(
    "panic",
    "A sidecar known to be unwell is asked all the same.",
    "The health check is in vain: below 50 % healthy hosts Envoy by default asks the unhealthy ones.",
    "common_lb_config: {healthy_panic_threshold: {value: 0}}",
)

CHECKS = tuple(value for value in globals().copy().values() if isinstance(value, Check))
"""All of them, in the order in which a page lists them."""


TABLE_HEAD = "| id | severity | trouble | consequence | fix |\n"
"""How the table of `docs/doctor.md` begins; nothing follows it there."""
_YAML = re.compile(r"[a-z0-9_]+: \S+$|[a-z0-9_]+: [\[{].*[\]}]$")


def checks_table() -> str:
    """The table of all checks, in Markdown."""
    cells = ((f"`{c.id}`", c.severity.value, c.trouble, c.consequence, _as_code(c.fix)) for c in CHECKS)
    rows = [f"| {' | '.join(row)} |\n" for row in cells]
    return "".join([TABLE_HEAD, "|---|---|---|---|---|\n", *rows])


def _as_code(fix: str) -> str:
    return f"`{fix}`" if _YAML.match(fix) else fix
