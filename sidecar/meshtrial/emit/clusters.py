"""Endpoints -> Envoy's clusters: the models', the sidecar's and the collector's."""

from collections.abc import Iterable
from datetime import timedelta

from envoy_data_plane.envoy.config.cluster import v3 as cluster
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.endpoint import v3 as endpoint
from envoy_data_plane.envoy.extensions.upstreams.http import v3 as upstream
from envoy_data_plane.envoy.type import v3 as envoy_type
from envoy_data_plane.google.protobuf import Any

from meshtrial.emit.address import is_name, peer, peer_or_unix
from meshtrial.emit.extension import packed
from meshtrial.emit.target import Target
from meshtrial.errors import NotExpressible, SettingError
from meshtrial.plan.model import Plan
from meshtrial.plan.needs import needs_of

SIDECAR = "meshtrial"
"""The cluster that decides."""
COLLECTOR = "meshtrial-collector"
"""The cluster that spans and requests' events go to."""

_PROBE_TIMEOUT = timedelta(seconds=0.2)
_PROBE_INTERVAL = timedelta(seconds=0.25)
_DECISIONS_AT_ONCE = 65536
"""Open decisions beyond which the next would fail at once.

A stream lives as long as its decision, so `message_timeout` bounds their number: this many
take over a million requests a second with every one waiting its 50 ms in vain. Envoy's own
1,024 would be reached at 20,480 a second, and each refusal would send a user to control.
"""
_BATCHES_HELD = 64
"""Batches of requests' events that wait for a collector to come back, of 256 KiB each."""


def clusters(plan: Plan, target: Target) -> list[cluster.Cluster]:
    """All clusters: the models' in order of their names, then the sidecar's and the collector's.

    Raises:
        SettingError: A cluster without an endpoint, an endpoint without a cluster, a bad address.
        NotExpressible: The plan uses the name of one of our own clusters.
    """
    models = _models(plan, target)
    return [
        *(
            _cluster(name, [peer(text, f"endpoint {name}") for text in models[name]])
            for name in sorted(models)
        ),
        _sidecar(peer_or_unix(target.sidecar, "sidecar")),
        _collector(peer(target.collector, "collector")),
    ]


def _models(plan: Plan, target: Target) -> dict[str, tuple[str, ...]]:
    wanted = set(needs_of(plan).clusters)
    if target.default_cluster is not None:
        wanted.add(target.default_cluster)
    if ours := sorted(wanted & {SIDECAR, COLLECTOR}):
        raise NotExpressible(
            f"cluster {ours[0]} is the configuration's own cluster: give the model's another name"
        )
    listed = ", ".join(sorted(wanted))
    if unknown := sorted(set(target.endpoints) - wanted):
        raise SettingError(f"endpoint for unknown cluster {', '.join(unknown)}: the clusters are {listed}")
    if missing := sorted(name for name in wanted if not target.endpoints.get(name)):
        raise SettingError(f"no endpoint for cluster {', '.join(missing)}: the clusters are {listed}")
    return {name: target.endpoints[name] for name in wanted}


def _cluster(name: str, addresses: list[core.Address]) -> cluster.Cluster:
    kinds = cluster.ClusterDiscoveryType
    return cluster.Cluster(
        name=name,
        type=kinds.STRICT_DNS if any(is_name(address) for address in addresses) else kinds.STATIC,
        load_assignment=_assignment(name, addresses),
    )


def _sidecar(address: core.Address) -> cluster.Cluster:
    """Built so that an absent, hung or dying sidecar is noticed before requests wait for it.

    Health check with panic threshold 0: a hung one costs a message timeout only until the
    check has failed twice. Outlier detection as well: a dead one of several looks least loaded.
    """
    made = _cluster(SIDECAR, [address])
    made.lb_policy = cluster.ClusterLbPolicy.LEAST_REQUEST
    made.typed_extension_protocol_options = _http2()
    made.health_checks = [
        core.HealthCheck(
            timeout=_PROBE_TIMEOUT,
            interval=_PROBE_INTERVAL,
            no_traffic_interval=_PROBE_INTERVAL,
            unhealthy_threshold=2,
            healthy_threshold=1,
            grpc_health_check=core.HealthCheckGrpcHealthCheck(),
        )
    ]
    made.common_lb_config = cluster.ClusterCommonLbConfig(
        healthy_panic_threshold=envoy_type.Percent(value=0.0),
        # By default a second change within a second waits for its end: of a sidecar that is back, too.
        update_merge_window=timedelta(0),
    )
    made.outlier_detection = cluster.OutlierDetection(
        split_external_local_origin_errors=True,
        consecutive_local_origin_failure=5,
        interval=_PROBE_INTERVAL,
        base_ejection_time=timedelta(seconds=2),
        max_ejection_percent=100,
    )
    made.circuit_breakers = cluster.CircuitBreakers(
        thresholds=[
            cluster.CircuitBreakersThresholds(
                max_pending_requests=_DECISIONS_AT_ONCE, max_requests=_DECISIONS_AT_ONCE
            )
        ]
    )
    return made


def _collector(address: core.Address) -> cluster.Cluster:
    """Has room for what waits while a collector restarts: with Envoy's own 3 retries at once most is lost."""
    made = _cluster(COLLECTOR, [address])
    made.typed_extension_protocol_options = _http2()
    made.circuit_breakers = cluster.CircuitBreakers(
        thresholds=[cluster.CircuitBreakersThresholds(max_retries=_BATCHES_HELD)]
    )
    return made


def _http2() -> dict[str, Any]:
    explicit = upstream.HttpProtocolOptionsExplicitHttpConfig(
        http2_protocol_options=core.Http2ProtocolOptions()
    )
    options = upstream.HttpProtocolOptions(explicit_http_config=explicit)
    return {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": packed(options)}


def _assignment(name: str, addresses: Iterable[core.Address]) -> endpoint.ClusterLoadAssignment:
    hosts = [endpoint.LbEndpoint(endpoint=endpoint.Endpoint(address=address)) for address in addresses]
    return endpoint.ClusterLoadAssignment(
        cluster_name=name, endpoints=[endpoint.LocalityLbEndpoints(lb_endpoints=hosts)]
    )
