"""Clusters: whether the plan's exist and are reached, and whether the sidecar's notices its death."""

from collections.abc import Iterator

from meshtrial.doctor import checks
from meshtrial.doctor.chain import sidecar_cluster
from meshtrial.doctor.checks import Finding
from meshtrial.doctor.configuration import Configuration, Filter, Manager
from meshtrial.doctor.place import Place
from meshtrial.doctor.routes import reachable
from meshtrial.plan.needs import Needs
from meshtrial.plan.problems import suggestion

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_DEFAULT_PANIC = 50.0
"""Percent of healthy hosts below which all are asked.

Source: https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/panic_threshold
"""


def plan_clusters(
    configuration: Configuration, managers: tuple[Manager, ...], needs: Needs
) -> Iterator[Finding]:
    """Findings about the clusters that the plan names."""
    reached = [reachable(manager) for manager in managers]
    for name in needs.clusters:
        if name not in configuration.clusters:
            yield _missing(configuration, configuration.root, "the plan's cluster", name)
        elif managers and not any(found is None or name in found for found in reached):
            yield checks.CLUSTER_UNROUTED.at(
                configuration.clusters[name], f"no route leads to the plan's cluster `{name}`"
            )


def sidecar(configuration: Configuration, ours: Filter) -> Iterator[Finding]:
    """Findings about the cluster that a filter asks for decisions."""
    name = sidecar_cluster(ours.settings)
    if not name.present:
        return
    cluster = configuration.clusters.get(name.text())
    if cluster is None:
        yield _missing(configuration, name, "the sidecar's cluster", name.text())
        return
    options = cluster.get("typed_extension_protocol_options").entries()
    chosen = [place.fields() for _, place in options if place.kind() == _HTTP_OPTIONS]
    if not cluster.get("http2_protocol_options").present and not any(_http2(place) for place in chosen):
        yield checks.HTTP2_MISSING.at(cluster, f"cluster `{name.text()}` speaks HTTP/1.1")
    if not cluster.get("health_checks").items():
        yield checks.HEALTH_UNCHECKED.at(cluster, f"cluster `{name.text()}` has no health check")
        return
    panic = cluster.get("common_lb_config", "healthy_panic_threshold")
    threshold = panic.get("value").number(0.0) if panic.present else _DEFAULT_PANIC
    if threshold > 0:
        said = f"healthy_panic_threshold is {threshold:g} %" + ("" if panic.present else ", its default")
        yield checks.PANIC.at(panic, said)


def _missing(configuration: Configuration, at: Place, whose: str, name: str) -> Finding:
    near = suggestion(name, configuration.clusters)
    if configuration.more_clusters:
        return checks.CLUSTER_UNKNOWN.at(at, f"{whose} `{name}` does not stand in the files{near}")
    return checks.CLUSTER_MISSING.at(at, f"Envoy does not have {whose} `{name}`{near}")


def _http2(options: Place) -> bool:
    explicit = options.get("explicit_http_config", "http2_protocol_options")
    return explicit.present or options.get("auto_config").present
