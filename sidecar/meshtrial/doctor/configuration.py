"""Documents -> the listeners, routes and clusters that they make up together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from meshtrial.doctor.place import Place
from meshtrial.errors import SettingError

_LISTENER = "envoy.config.listener.v3.Listener"
_ROUTES = "envoy.config.route.v3.RouteConfiguration"
_CLUSTER = "envoy.config.cluster.v3.Cluster"
_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_DOWNSTREAM_TLS = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
_DUMP = "envoy.admin.v3."
_DUMPED = (
    (_LISTENER, "ListenersConfigDump", "static_listeners", ("listener",)),
    (_LISTENER, "ListenersConfigDump", "dynamic_listeners", ("active_state", "listener")),
    (_CLUSTER, "ClustersConfigDump", "static_clusters", ("cluster",)),
    (_CLUSTER, "ClustersConfigDump", "dynamic_active_clusters", ("cluster",)),
    (_ROUTES, "RoutesConfigDump", "dynamic_route_configs", ("route_config",)),
)
"""What a dump's message holds, its list, and where in an item. Static routes stand in their listeners."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One HTTP filter of a chain."""

    name: str
    kind: str
    """Its message's type: `envoy.extensions.filters.http.router.v3.Router`."""
    place: Place
    settings: Place


@dataclass(frozen=True, slots=True)
class Manager:
    """One HTTP connection manager."""

    settings: Place
    filters: tuple[Filter, ...]
    """In the order in which a request meets them."""
    routes: Place
    """Its RouteConfiguration; absent where no document has it."""
    known_peers: bool
    """Whether only clients with a certificate get here."""

    def hosts(self) -> tuple[Place, ...]:
        """Its virtual hosts."""
        return self.routes.get("virtual_hosts").items()

    def all_routes(self) -> tuple[Place, ...]:
        """The routes of all its virtual hosts."""
        return tuple(route for host in self.hosts() for route in host.get("routes").items())


@dataclass(frozen=True, slots=True)
class Configuration:
    """What one Envoy runs, as far as the documents say."""

    root: Place
    """Of the first document."""
    managers: tuple[Manager, ...]
    clusters: dict[str, Place]
    """By name."""
    more_clusters: bool
    """Whether others come from a management server or a file that is not among the documents."""


def configuration_of(documents: Sequence[Place]) -> Configuration:
    """Put the documents of one Envoy together.

    Args:
        documents: At least one; each a bootstrap, the output of `/config_dump`, or a file of
            resources (a DiscoveryResponse, as LDS, RDS and CDS read it from a path).

    Raises:
        SettingError: One of them is none of these.
    """
    resources = [found for document in documents for found in _resources(document)]
    tables = {place.get("name").text(): place for kind, place in resources if kind == _ROUTES}
    listeners = [place for kind, place in resources if kind == _LISTENER]
    clusters = {place.get("name").text(): place for kind, place in resources if kind == _CLUSTER}
    dynamic = any(document.get("dynamic_resources", "cds_config").present for document in documents)
    given = any(kind == _CLUSTER and ".resources[" in place.path for kind, place in resources)
    managers = tuple(manager for listener in listeners for manager in _managers(listener, tables))
    return Configuration(documents[0], managers, clusters, more_clusters=dynamic and not given)


def _resources(document: Place) -> Iterator[tuple[str, Place]]:
    """Each listener, route configuration and cluster of one document, with its type."""
    if document.get("configs").present:
        yield from _dumped(document.get("configs"))
    elif document.get("resources").present:
        for item in document.get("resources").items():
            wrapped = item.get("resource")  # an envoy.service.discovery.v3.Resource
            place = wrapped if wrapped.present else item
            yield place.kind(), place
    elif document.get("static_resources").present or document.get("dynamic_resources").present:
        yield from _static(document)
    else:
        raise SettingError(
            f"{document.source} is no Envoy configuration: a bootstrap has `static_resources` or "
            "`dynamic_resources`, the output of /config_dump has `configs`, a file of xDS `resources`"
        )


def _static(bootstrap: Place) -> Iterator[tuple[str, Place]]:
    for kind, name in ((_LISTENER, "listeners"), (_CLUSTER, "clusters")):
        for place in bootstrap.get("static_resources", name).items():
            yield kind, place


def _dumped(configs: Place) -> Iterator[tuple[str, Place]]:
    """What runs; of the bootstrap only what no later dump of the same kind repeats.

    Source: https://www.envoyproxy.io/docs/envoy/latest/api-v3/admin/v3/config_dump_shared.proto
    """
    dumps = {config.kind().removeprefix(_DUMP): config for config in configs.items()}
    repeated = {_LISTENER: "ListenersConfigDump", _CLUSTER: "ClustersConfigDump"}
    if "BootstrapConfigDump" in dumps:
        for kind, place in _static(dumps["BootstrapConfigDump"].get("bootstrap")):
            if repeated[kind] not in dumps:
                yield kind, place
    for kind, dump, listed, within in _DUMPED:
        if dump in dumps:
            for item in dumps[dump].get(listed).items():
                if (place := item.get(*within)).present:
                    yield kind, place


def _managers(listener: Place, tables: dict[str, Place]) -> Iterator[Manager]:
    chains = [*listener.get("filter_chains").items(), listener.get("default_filter_chain")]
    for chain in chains:
        socket = chain.get("transport_socket", "typed_config")
        known = socket.kind() == _DOWNSTREAM_TLS
        known = known and socket.fields().get("require_client_certificate").flag()
        for network_filter in chain.get("filters").items():
            typed = network_filter.get("typed_config")
            if typed.kind() == _MANAGER:
                settings = typed.fields()
                yield Manager(settings, _filters(settings), _table(settings, tables), known)


def _filters(settings: Place) -> tuple[Filter, ...]:
    return tuple(
        Filter(
            place.get("name").text(),
            place.get("typed_config").kind(),
            place,
            place.get("typed_config").fields(),
        )
        for place in settings.get("http_filters").items()
    )


def _table(settings: Place, tables: dict[str, Place]) -> Place:
    inline, name = settings.get("route_config"), settings.get("rds", "route_config_name")
    if inline.present or name.text() not in tables:
        return inline
    return tables[name.text()]
