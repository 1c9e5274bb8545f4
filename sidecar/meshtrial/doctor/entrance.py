"""The connection manager: what a client may bring, who numbers requests, what is written of them."""

from collections.abc import Iterator

from meshtrial.doctor import checks
from meshtrial.doctor.checks import Finding
from meshtrial.doctor.configuration import Manager
from meshtrial.doctor.matching import is_removed
from meshtrial.doctor.place import Place
from meshtrial.names import BAGGAGE, FORCE, HEADER_PREFIX, Header, RequestEvent
from meshtrial.plan.needs import Needs

_EARLY = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
_REQUEST_LOG = "envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig"
_DENOMINATORS = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}
_SAMPLING = ("random_sampling", "overall_sampling")
"""What limits spans; `client_sampling` is about requests that ask to be traced by a header of Envoy's."""
_NOBODY = "255.255.255.255"
"""The one address that no peer can have (RFC 919, section 7)."""
_PARTIAL_SAMPLERS = ("TraceIdRatioBased", "ParentBased", "AlwaysOff", "CEL")


def entrance(manager: Manager, needs: Needs) -> Iterator[Finding]:
    """Findings about the settings of a connection manager."""
    yield from _strip(manager, needs)
    if needs.request_id:
        yield from _request_id(manager.settings)
    yield from _spans(manager)
    if needs.request_log:
        yield from _request_log(manager.settings.get("access_log"))


def _strip(manager: Manager, needs: Needs) -> Iterator[Finding]:
    extensions = manager.settings.get("early_header_mutation_extensions")
    lists = [
        place.get("typed_config").fields().get("mutations")
        for place in extensions.items()
        if place.get("typed_config").kind() == _EARLY
    ]

    def stripped(name: str) -> bool:
        return any(is_removed(mutations, name) for mutations in lists)

    at = lists[0] if lists else extensions
    # A peer with a certificate may be an earlier hop, whose decision stands.
    if not manager.known_peers:
        # Some name that is free today stands for all that the prefix reserves.
        if not all(stripped(name) for name in (*Header, f"{HEADER_PREFIX}reserved")):
            yield checks.STRIP_MISSING.at(at, f"a client's own {HEADER_PREFIX}* headers are let in")
        # These two are a client's to bring: the sidecar reads them, and a signature protects what is ours.
        for name in sorted(set(needs.set_headers) - {BAGGAGE, FORCE}):
            if not stripped(name):
                yield checks.STRIP_MISSING.at(
                    at, f"a client's own `{name}` is let in, which an arm sets", f"add {{remove: {name}}}"
                )
    for name in needs.headers:
        if stripped(name):
            yield checks.HEADER_HIDDEN.at(
                at,
                f"`{name}` is removed before the sidecar is asked",
                f"do not remove {name} in early_header_mutation_extensions",
            )


def _request_id(settings: Place) -> Iterator[Finding]:
    generate, preserve = settings.get("generate_request_id"), settings.get("preserve_external_request_id")
    edge, internal = settings.get("use_remote_address"), settings.get("internal_address_config")
    if not generate.flag(default=True):
        yield checks.REQUEST_ID_MISSING.at(generate, "generate_request_id is false")
    if preserve.flag():
        yield checks.REQUEST_ID_CHOSEN.at(preserve, "preserve_external_request_id is true")
    elif not edge.flag():
        yield checks.REQUEST_ID_TRUSTED.at(edge, "use_remote_address is false, so that every peer is trusted")
    elif not internal.present:
        said = "without internal_address_config private addresses are trusted by releases before 1.33"
        yield checks.REQUEST_ID_TRUSTED.at(internal, said)
    else:
        ranges = [place.get("address_prefix").text() for place in internal.get("cidr_ranges").items()]
        trusted = sorted(set(ranges) - {_NOBODY})
        if trusted or not ranges:
            said = f"peers in {', '.join(trusted) or 'private networks'} are trusted"
            yield checks.REQUEST_ID_TRUSTED.at(internal, said)


def _spans(manager: Manager) -> Iterator[Finding]:
    tracing = manager.settings.get("tracing")
    for name in _SAMPLING if tracing.present else ():
        percent = tracing.get(name)
        share = percent.get("value").number(0.0) if percent.present else 100.0
        if share < 100:
            yield checks.SPANS_SAMPLED.at(percent, f"{name} is {share:g} %", f"{name}: {{value: 100}}")
    sampler = tracing.get("provider", "typed_config").fields().get("sampler", "typed_config")
    if any(f".{kind}" in sampler.kind() for kind in _PARTIAL_SAMPLERS):
        kind = sampler.kind().rpartition(".")[2]
        yield checks.SPANS_SAMPLED.at(
            sampler, f"the sampler {kind} may drop spans", "use the sampler always_on"
        )
    for route in manager.all_routes():
        for name in _SAMPLING:
            fraction = route.get("tracing", name)
            if fraction.present and (share := _percent(fraction)) < 100:
                yield checks.SPANS_SAMPLED.at(
                    fraction, f"the route's {name} is {share:g} %", f"{name}: {{numerator: 100}}"
                )


def _request_log(logs: Place) -> Iterator[Finding]:
    told = [
        one.get("key").text()
        for log in logs.items()
        if log.get("typed_config").kind() == _REQUEST_LOG
        for one in log.get("typed_config").fields().get("attributes", "values").items()
    ]
    if RequestEvent.DECISION not in told:
        said = f"no OTLP access log says `{RequestEvent.DECISION}`"
        yield checks.REQUESTS_UNLOGGED.at(logs, said)


def _percent(fraction: Place) -> float:
    denominator = _DENOMINATORS.get(fraction.get("denominator").choice(tuple(_DENOMINATORS)), 100)
    return 100 * fraction.get("numerator").number(0.0) / denominator
