"""The listener: from a client's connection to the filters, trusting nothing that a client says."""

from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.listener import v3 as listener
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as hcm

from meshtrial.emit.address import bind
from meshtrial.emit.extension import packed
from meshtrial.emit.filters import early_strip, http_filters
from meshtrial.emit.routes import route_table
from meshtrial.emit.target import Target
from meshtrial.emit.telemetry import access_log, request_log, tracing
from meshtrial.errors import SettingError
from meshtrial.plan.model import Plan

_NOBODY = core.CidrRange(address_prefix="255.255.255.255", prefix_len=32)
"""The one address that is internal: the limited broadcast (RFC 919, section 7), which no peer can have.

To Envoy an internal peer's request id is its own, so it could choose its arm of a split by
request. An empty configuration makes loopback and private peers internal, and what a missing
one means has changed between releases; a range that nobody has means the same in all.
"""


def http_listener(plan: Plan, target: Target) -> listener.Listener:
    """One listener, HTTP/1.1 and HTTP/2 in clear text, for every experiment.

    Raises:
        SettingError: The address, the message timeout or the log's path cannot be used.
        NotExpressible: See `route_table`.
    """
    manager = hcm.HttpConnectionManager(
        stat_prefix="ingress",
        route_config=route_table(plan, target),
        http_filters=http_filters(plan, _timeout(target)),
        early_header_mutation_extensions=[early_strip(plan)],
        tracing=tracing(),
        access_log=[access_log(target.access_log), request_log()],
        use_remote_address=True,
        internal_address_config=hcm.HttpConnectionManagerInternalAddressConfig(cidr_ranges=[_NOBODY]),
        always_set_request_id_in_response=True,
        normalize_path=True,
    )
    network_filter = listener.Filter(
        name="envoy.filters.network.http_connection_manager", typed_config=packed(manager)
    )
    return listener.Listener(
        name="ingress",
        address=bind(target.listen, "listen"),
        filter_chains=[listener.FilterChain(filters=[network_filter])],
    )


def _timeout(target: Target) -> int:
    if target.message_timeout_ms < 1:
        raise SettingError(f"message timeout {target.message_timeout_ms} ms: it must be 1 ms or more")
    return target.message_timeout_ms
