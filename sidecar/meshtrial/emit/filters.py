"""The filters of a decision: what a client may not bring, what the sidecar sees, what it may set."""

import re
from datetime import timedelta

from envoy_data_plane.envoy.config.common.mutation_rules import v3 as mutation_rules
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.extensions.filters.http.ext_proc import v3 as ext_proc
from envoy_data_plane.envoy.extensions.filters.http.router import v3 as router
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as hcm
from envoy_data_plane.envoy.extensions.http.early_header_mutation.header_mutation import v3 as early
from envoy_data_plane.envoy.type.matcher import v3 as matcher

from meshtrial.emit.clusters import SIDECAR
from meshtrial.emit.extension import envoy_grpc, packed
from meshtrial.names import EXT_PROC_FILTER, HEADER_PREFIX, METADATA_NAMESPACE, Header
from meshtrial.plan.model import Plan

_ARRIVAL = "request.time"
"""When the request began, by Envoy's clock: how the sidecar knows that its answer comes too late."""


def early_strip(plan: Plan) -> core.TypedExtensionConfig:
    """Removes the client's own copies of every header that a decision sets.

    Only this place is early enough: header filters and the virtual host's removals run after
    a route was already taken by the client's header.
    """
    reserved = matcher.StringMatcher(prefix=HEADER_PREFIX, ignore_case=True)
    mutations = [
        mutation_rules.HeaderMutation(
            remove_on_match=mutation_rules.HeaderMutationRemoveOnMatch(key_matcher=reserved)
        ),
        *(mutation_rules.HeaderMutation(remove=name) for name in plan.owned_headers()),
    ]
    return core.TypedExtensionConfig(
        name="envoy.http.early_header_mutation.header_mutation",
        typed_config=packed(early.HeaderMutation(mutations=mutations)),
    )


def http_filters(plan: Plan, message_timeout_ms: int) -> list[hcm.HttpFilter]:
    """The whole chain: ask the sidecar, then route by its answer."""
    decide = ext_proc.ExternalProcessor(
        grpc_service=envoy_grpc(SIDECAR),
        message_timeout=timedelta(milliseconds=message_timeout_ms),
        failure_mode_allow=True,
        # A sidecar that has gone wrong could otherwise answer the client in the model's place.
        disable_immediate_response=True,
        # Without this the answer's header would come after the route was taken.
        route_cache_action=ext_proc.ExternalProcessorRouteCacheAction.CLEAR,
        processing_mode=_request_headers_alone(),
        request_attributes=[_ARRIVAL],
        forward_rules=ext_proc.HeaderForwardingRules(allowed_headers=_read(plan)),
        mutation_rules=mutation_rules.HeaderMutationRules(disallow_all=True, allow_expression=_written(plan)),
        metadata_options=ext_proc.MetadataOptions(
            receiving_namespaces=ext_proc.MetadataOptionsMetadataNamespaces(untyped=[METADATA_NAMESPACE])
        ),
    )
    return [
        hcm.HttpFilter(name=EXT_PROC_FILTER, typed_config=packed(decide)),
        hcm.HttpFilter(name="envoy.filters.http.router", typed_config=packed(router.Router())),
    ]


def _request_headers_alone() -> ext_proc.ProcessingMode:
    send, none = ext_proc.ProcessingModeHeaderSendMode, ext_proc.ProcessingModeBodySendMode.NONE
    return ext_proc.ProcessingMode(
        request_header_mode=send.SEND,
        response_header_mode=send.SKIP,
        request_body_mode=none,
        response_body_mode=none,
        request_trailer_mode=send.SKIP,
        response_trailer_mode=send.SKIP,
    )


def _read(plan: Plan) -> matcher.ListStringMatcher:
    """The path and the units' headers: nothing else of a request leaves the proxy."""
    names = [":path", *sorted({experiment.unit.header for experiment in plan.experiments})]
    return matcher.ListStringMatcher(patterns=[matcher.StringMatcher(exact=name) for name in names])


def _written(plan: Plan) -> matcher.RegexMatcher:
    """Exactly the headers that an answer sets; Envoy drops every other in silence."""
    names = "|".join(re.escape(name) for name in (*Header, *plan.owned_headers()))
    return matcher.RegexMatcher(regex=f"^({names})$".replace(r"\-", "-"))
