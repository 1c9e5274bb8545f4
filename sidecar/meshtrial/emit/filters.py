"""The filters of a decision: what a client may not bring, what the sidecar sees, what it may set."""

import re
from datetime import timedelta

from envoy_data_plane.envoy.config.common.mutation_rules import v3 as mutation_rules
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.extensions.filters.http.ext_proc import v3 as ext_proc
from envoy_data_plane.envoy.extensions.filters.http.header_mutation import v3 as header_mutation
from envoy_data_plane.envoy.extensions.filters.http.router import v3 as router
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as hcm
from envoy_data_plane.envoy.extensions.http.early_header_mutation.header_mutation import v3 as early
from envoy_data_plane.envoy.type.matcher import v3 as matcher

from meshtrial.emit.clusters import SIDECAR
from meshtrial.emit.extension import envoy_grpc, packed
from meshtrial.names import EXT_PROC_FILTER, HEADER_PREFIX, METADATA_NAMESPACE, SET_COOKIE, Header
from meshtrial.plan.model import Plan
from meshtrial.plan.needs import Needs, needs_of


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
        *(mutation_rules.HeaderMutation(remove=name) for name in plan.owned_headers),
    ]
    return core.TypedExtensionConfig(
        name="envoy.http.early_header_mutation.header_mutation",
        typed_config=packed(early.HeaderMutation(mutations=mutations)),
    )


def http_filters(plan: Plan, message_timeout_ms: int) -> list[hcm.HttpFilter]:
    """The whole chain: ask the sidecar, then route by its answer."""
    needs = needs_of(plan)
    decide = ext_proc.ExternalProcessor(
        grpc_service=envoy_grpc(SIDECAR),
        message_timeout=timedelta(milliseconds=message_timeout_ms),
        failure_mode_allow=True,
        # A sidecar that has gone wrong could otherwise answer the client in the model's place.
        disable_immediate_response=True,
        # Without this the answer's header would come after the route was taken.
        route_cache_action=ext_proc.ExternalProcessorRouteCacheAction.CLEAR,
        processing_mode=_request_headers_alone(),
        # The response is seen only where an answer asks for it.
        allow_mode_override=needs.response,
        request_attributes=[*needs.attributes],
        forward_rules=ext_proc.HeaderForwardingRules(allowed_headers=_read(needs)),
        mutation_rules=mutation_rules.HeaderMutationRules(
            disallow_all=True, allow_expression=_written(needs)
        ),
        metadata_options=_metadata(needs),
    )
    return [
        *([_outcomes_stay()] if needs.outcome_header else []),
        hcm.HttpFilter(name=EXT_PROC_FILTER, typed_config=packed(decide)),
        hcm.HttpFilter(name="envoy.filters.http.router", typed_config=packed(router.Router())),
    ]


def _outcomes_stay() -> hcm.HttpFilter:
    """Takes the model's outcomes out of every response, decided or not.

    Before ext_proc in the list: responses pass the filters backwards, so the sidecar has read them by then.
    """
    removal = mutation_rules.HeaderMutation(remove=Header.OUTCOME)
    config = header_mutation.HeaderMutation(mutations=header_mutation.Mutations(response_mutations=[removal]))
    return hcm.HttpFilter(name="envoy.filters.http.header_mutation", typed_config=packed(config))


def _metadata(needs: Needs) -> ext_proc.MetadataOptions:
    namespaces = ext_proc.MetadataOptionsMetadataNamespaces
    forwarded = namespaces(untyped=[*needs.metadata]) if needs.metadata else None
    return ext_proc.MetadataOptions(
        forwarding_namespaces=forwarded, receiving_namespaces=namespaces(untyped=[METADATA_NAMESPACE])
    )


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


def _read(needs: Needs) -> matcher.ListStringMatcher:
    """What the plan reads: nothing else of a request, or of a response, leaves the proxy."""
    names = [*needs.headers, *([Header.OUTCOME] if needs.outcome_header else [])]
    return matcher.ListStringMatcher(patterns=[matcher.StringMatcher(exact=name) for name in names])


def _written(needs: Needs) -> matcher.RegexMatcher:
    """Exactly the headers that an answer sets or removes; Envoy drops every other in silence."""
    written = [Header.CLUSTER, Header.ARMS, *needs.set_headers]
    written += [SET_COOKIE] if needs.set_cookie else []
    written += [Header.OUTCOME] if needs.outcome_header else []
    names = "|".join(map(re.escape, written))
    return matcher.RegexMatcher(regex=f"^({names})$".replace(r"\-", "-"))
