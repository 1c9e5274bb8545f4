"""Documents of Envoy, Kubernetes or Istio -> the routes, the clusters and the parts of a plan in them.

One walk over each distinct node: what an alias repeats is looked at once, and a path is written only where
it is asked for. Names of fields: `envoy.config.route.v3`, and `EnvoyFilter` of `networking.istio.io`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from meshtrial.names import METADATA_NAMESPACE
from meshtrial.plan.problems import child
from meshtrial.plan.tree import Mapping, Node, Scalar
from meshtrial.plan.tree import Sequence as SequenceNode

_METADATA = ("filter_metadata", "filterMetadata")
_WEIGHTED = ("weighted_clusters", "weightedClusters")
"""These name clusters, they define none."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node stands: a document, or a key or index within another place."""

    within: "Place | None"
    key: str | int
    """A document's is its path."""

    def path(self) -> str:
        """The place as a `$` path."""
        keys, place = [self.key], self.within
        while place is not None:
            keys.append(place.key)
            place = place.within
        path = str(keys.pop())
        for key in reversed(keys):
            path = f"{path}[{key}]" if isinstance(key, int) else child(path, key)
        return path


@dataclass(frozen=True, slots=True)
class Part:
    """What stands under one route's metadata."""

    node: Node
    place: Place
    route: str | None
    """The route's name, None where it has none."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What the documents hold, in their order."""

    parts: list[Part] = field(default_factory=list)
    strays: list[Part] = field(default_factory=list)
    """Parts that stand under something else than a route."""
    routes: dict[str, list[int]] = field(default_factory=dict)
    """By name, the lines of the names of all items in lists of routes."""
    clusters: set[str] = field(default_factory=set)
    """Names of the clusters that are defined here."""
    fetched: list[Place] = field(default_factory=list)
    """Where clusters are said to come from elsewhere."""
    _patches: set[tuple[int, str | None]] = field(default_factory=set)
    """Values of patches that are routes, and the name of each."""
    _patched: set[int] = field(default_factory=set)

    def look(self, node: Mapping, place: Place) -> None:
        """Take what one mapping tells."""
        listed = isinstance(place.key, int) and place.within is not None and place.within.key == "routes"
        name = node.entries.get("name")
        if listed and isinstance(name, Scalar):
            self.routes.setdefault(name.text, []).append(name.line)
        if "patch" in node.entries:
            self._look_at_patch(node, place)
        if listed:
            self.parts.extend(_parts(node, place, text(node, "name") or None))
        elif id(node) not in self._patched:
            self.strays.extend(_parts(node, place, None))
        self._look_for_clusters(node, place)

    def _look_at_patch(self, node: Mapping, place: Place) -> None:
        """A patch of an HTTP_ROUTE: it changes the route that it finds, or brings one of its own."""
        value = at(node, "patch", "value")
        if text(node, "applyTo") != "HTTP_ROUTE" or not isinstance(value, Mapping):
            return
        name = text(value, "name")
        if not name and text(node, "patch", "operation") == "MERGE":
            name = text(node, "match", "routeConfiguration", "vhost", "route", "name")
        self._patched.add(id(value))
        if (id(value), name) not in self._patches:
            self._patches.add((id(value), name))
            self.parts.extend(_parts(value, Place(Place(place, "patch"), "value"), name or None))

    def _look_for_clusters(self, node: Mapping, place: Place) -> None:
        """Envoy keeps clusters in lists of two names: `clusters`, and a file's `resources`."""
        if "cds_config" in node.entries or "cdsConfig" in node.entries:
            self.fetched.append(place)
        for key in ("clusters", "resources"):
            found = node.entries.get(key)
            if not isinstance(found, SequenceNode) or place.key in _WEIGHTED:
                continue
            for item in found.items:
                defines = key == "clusters" or text(item, "@type").endswith("envoy.config.cluster.v3.Cluster")
                if defines and (name := text(item, "name")):
                    self.clusters.add(name)


def survey(documents: Sequence[Node]) -> Survey:
    """Look at every mapping of the documents."""
    found = Survey()
    roots = [(root, Place(None, f"$[{index}]" if index else "$")) for index, root in enumerate(documents)]
    pending: list[tuple[Node, Place]] = roots[::-1]
    seen: set[int] = set()
    while pending:
        node, place = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        within: Iterator[tuple[str | int, Node]] = iter(())
        if isinstance(node, SequenceNode):
            within = enumerate(node.items)
        elif isinstance(node, Mapping):
            found.look(node, place)
            within = iter(node.entries.items())
        below = [(below, Place(place, key)) for key, below in within if not isinstance(below, Scalar)]
        pending += below[::-1]
    return found


def _parts(node: Mapping, place: Place, route: str | None) -> Iterator[Part]:
    for metadata in _METADATA:
        part = at(node, "metadata", metadata, METADATA_NAMESPACE)
        if part is not None:
            yield Part(part, Place(Place(Place(place, "metadata"), metadata), METADATA_NAMESPACE), route)


def at(node: Node, *keys: str) -> Node | None:
    """The node under these keys, None where one is missing."""
    place: Node | None = node
    for key in keys:
        place = place.entries.get(key) if isinstance(place, Mapping) else None
    return place


def text(node: Node, *keys: str) -> str:
    """The leaf's text under these keys, empty where none stands there."""
    found = at(node, *keys)
    return found.text if isinstance(found, Scalar) else ""
