"""The ext_proc filter's own settings: what the sidecar is told, and whether its answer is obeyed."""

from collections.abc import Iterator

from meshtrial.doctor import checks
from meshtrial.doctor.checks import Finding
from meshtrial.doctor.configuration import Filter, Manager
from meshtrial.doctor.matching import is_removed, is_seen, may_set
from meshtrial.doctor.place import Place
from meshtrial.names import METADATA_NAMESPACE, Header
from meshtrial.plan.needs import Needs

LONGEST_TIMEOUT = 0.1
"""Seconds that a request may wait for its decision; a decision takes about 0.001."""
_ARRIVAL = "request.time"
"""Request attribute: when the request began."""
_DEFAULT_TIMEOUT = 0.2
"""https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/filters/http/ext_proc/v3/ext_proc.proto"""
_HEADER_MODES = ("DEFAULT", "SEND", "SKIP")
_CACHE_ACTIONS = ("DEFAULT", "CLEAR", "RETAIN")
_HEADER_MUTATION = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"
_PER_ROUTE = "envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute"


def asking(manager: Manager, ours: Filter, needs: Needs) -> Iterator[Finding]:
    """Findings about the filter that asks the sidecar."""
    settings = ours.settings
    yield from _failing(manager, settings)
    yield from _told(settings, needs)
    yield from _obeyed(settings, needs)
    yield from _response(manager, ours, needs)


def _failing(manager: Manager, settings: Place) -> Iterator[Finding]:
    allow, timeout = settings.get("failure_mode_allow"), settings.get("message_timeout")
    if not allow.flag():
        yield checks.FAIL_CLOSED.at(allow, "failure_mode_allow is false")
    for config in _per_route(manager):
        allow = config.get("overrides", "failure_mode_allow")
        if allow.present and not allow.flag():
            yield checks.FAIL_CLOSED.at(allow, "an override sets failure_mode_allow to false")
    seconds = timeout.seconds(_DEFAULT_TIMEOUT)
    if seconds > LONGEST_TIMEOUT:
        said = f"message_timeout is {seconds * 1000:g} ms" + ("" if timeout.present else ", its default")
        yield checks.TIMEOUT_LONG.at(timeout, said)


def _per_route(manager: Manager) -> Iterator[Place]:
    for holder in (manager.routes, *manager.hosts(), *manager.all_routes()):
        for _, config in holder.get("typed_per_filter_config").entries():
            if config.kind() == _PER_ROUTE:
                yield config.fields()


def _told(settings: Place, needs: Needs) -> Iterator[Finding]:
    mode = settings.get("processing_mode", "request_header_mode")
    if mode.choice(_HEADER_MODES) == "SKIP":
        yield checks.HEADERS_UNSENT.at(mode, "request_header_mode is SKIP")
    rules = settings.get("forward_rules")
    # What is forwarded of a response is in the same list.
    for name in (*needs.headers, *([Header.OUTCOME] if needs.outcome_header else [])):
        if not is_seen(rules, name):
            at = rules.get("allowed_headers", "patterns")
            yield checks.HEADER_HIDDEN.at(
                at, f"forward_rules keep `{name}` from the sidecar", f'add the pattern {{exact: "{name}"}}'
            )
    told = {place.text() for place in settings.get("request_attributes").items()}
    for attribute in needs.attributes:
        if attribute not in told:
            check = checks.ARRIVAL_MISSING if attribute == _ARRIVAL else checks.ATTRIBUTE_MISSING
            yield check.at(
                settings.get("request_attributes"),
                f"request_attributes lack `{attribute}`",
                f"request_attributes: [{', '.join(needs.attributes)}]",
            )
    forwarded = settings.get("metadata_options", "forwarding_namespaces", "untyped")
    for namespace in needs.metadata:
        if namespace not in {place.text() for place in forwarded.items()}:
            yield checks.METADATA_HIDDEN.at(
                forwarded,
                f"the namespace `{namespace}` is not forwarded",
                f"metadata_options: {{forwarding_namespaces: {{untyped: [{', '.join(needs.metadata)}]}}}}",
            )


def _obeyed(settings: Place, needs: Needs) -> Iterator[Finding]:
    if settings.get("observability_mode").flag():
        yield checks.ANSWERS_UNREAD.at(settings.get("observability_mode"), "observability_mode is on")
    action, disabled = settings.get("route_cache_action"), settings.get("disable_clear_route_cache")
    if action.choice(_CACHE_ACTIONS) == "RETAIN":
        yield checks.ROUTE_KEPT.at(action, "route_cache_action is RETAIN")
    if disabled.flag():
        yield checks.ROUTE_KEPT.at(
            disabled,
            "disable_clear_route_cache is on",
            "remove disable_clear_route_cache and set route_cache_action: CLEAR",
        )
    rules = settings.get("mutation_rules")
    wanted = [Header.CLUSTER, Header.ARMS, *needs.set_headers, *(["set-cookie"] if needs.set_cookie else [])]
    for name in wanted:
        if not may_set(rules, name):
            yield checks.ANSWER_DROPPED.at(
                rules, f"mutation_rules drop `{name}`", f"let allow_expression take {name}"
            )
    received = settings.get("metadata_options", "receiving_namespaces", "untyped")
    if METADATA_NAMESPACE not in {place.text() for place in received.items()}:
        yield checks.METADATA_REFUSED.at(received, f"receiving_namespaces lack `{METADATA_NAMESPACE}`")


def _response(manager: Manager, ours: Filter, needs: Needs) -> Iterator[Finding]:
    settings = ours.settings
    always = settings.get("processing_mode", "response_header_mode").choice(_HEADER_MODES) != "SKIP"
    override = settings.get("allow_mode_override")
    if needs.response and not always and not override.flag():
        said = "response_header_mode is SKIP and allow_mode_override is not on"
        yield checks.RESPONSE_UNASKED.at(override, said)
    allowed = settings.get("allowed_override_modes").items()
    if needs.response and allowed and not any(_sends_response(mode) for mode in allowed):
        yield checks.RESPONSE_UNASKED.at(
            settings.get("allowed_override_modes"),
            "no mode of allowed_override_modes sends the response's headers",
            "remove allowed_override_modes",
        )
    if not needs.outcome_header:
        return
    before = manager.filters[: manager.filters.index(ours)]
    mutations = [
        one.settings.get("mutations", "response_mutations") for one in before if one.kind == _HEADER_MUTATION
    ]
    if not any(is_removed(listed, Header.OUTCOME) for listed in mutations):
        yield checks.OUTCOME_LEAKS.at(ours.place, f"no filter before `{ours.name}` removes {Header.OUTCOME}")
    for holder in (manager.routes, *manager.hosts(), *manager.all_routes()):
        for removed in holder.get("response_headers_to_remove").items():
            if removed.text().lower() == Header.OUTCOME:
                yield checks.OUTCOME_LOST.at(removed, f"{Header.OUTCOME} is removed by the route table")


def _sends_response(mode: Place) -> bool:
    return mode.get("response_header_mode").choice(_HEADER_MODES) == "SEND"
