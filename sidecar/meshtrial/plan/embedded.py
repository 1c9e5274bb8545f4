"""Documents of Envoy, Kubernetes or Istio -> the plan document that stands within their routes.

A part of the plan stands under a route's `metadata.filter_metadata.meshtrial`; the route is then the match of
the part's experiments. An Istio EnvoyFilter names its route in the `match` beside its `patch`. All parts
together are one plan; its places keep the paths that they have in the file.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as TypingMapping
from dataclasses import dataclass, field, replace

from meshtrial.names import METADATA_NAMESPACE
from meshtrial.plan.problems import Problems, Rule, child, shown
from meshtrial.plan.tree import Mapping, Node, Scalar
from meshtrial.plan.tree import Sequence as SequenceNode

SHARED = ("metrics", "layers", "cohorts")
"""Sections that several routes may repeat, word for word: anchors make that short."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What stands under one route."""

    node: Mapping
    path: str
    route: str | None
    """The route's name, None where it has none."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What a look through the documents found."""

    parts: list[_Part] = field(default_factory=list)
    astray: list[tuple[int, str]] = field(default_factory=list)
    """Lines and paths of what stands under no route."""
    routes: dict[str, list[int]] = field(default_factory=dict)
    """Lines of the routes of each name."""


def embedded_plan(documents: Sequence[Node], problems: Problems) -> Mapping | None:
    """The plan document within; None, with the problem noted, where there is none.

    Args:
        documents: All documents of the file.
        problems: Takes what is wrong with the parts and their routes.
    """
    if not documents:
        return None
    found = _Found()
    for root, path in _roots(documents):
        _look(root, path, None, found)
    for line, path in found.astray:
        problems.note(line, path, Rule.EMBEDDED, "stands under no route, so no request could take part")
    if not found.parts and not found.astray:
        message = f"no route carries a plan under `metadata.filter_metadata.{METADATA_NAMESPACE}`"
        problems.note(documents[0].line, "$", Rule.EMBEDDED, message)
    if not found.parts:
        return None
    whole: dict[str, Node] = {}
    places: dict[str, str] = {}
    for part in found.parts:
        _check_part(part, found.routes, problems)
        for key, node in part.node.entries.items():
            path = child(part.path, key)
            section = _placed(_with_route(node, path, part, problems) if key == "experiments" else node, path)
            if key in whole:
                _join(whole[key], section, key, problems)
            else:
                whole[key] = section
                places[key] = path
    _check_clusters(whole.get("experiments"), _defined(documents), problems)
    return Mapping(found.parts[0].node.line, whole, places)


def _check_part(part: _Part, routes: TypingMapping[str, list[int]], problems: Problems) -> None:
    """A part says its version, and its route can be told from every other."""
    if "apiVersion" not in part.node.entries:
        problems.note(part.node.line, part.path, Rule.KEY_MISSING, "the key `apiVersion` is required")
    if part.route is None:
        message = "the route around this has no `name`, by which its experiments could match it"
        problems.note(part.node.line, part.path, Rule.EMBEDDED, message)
    elif len(routes.get(part.route, ())) > 1:
        lines = ", ".join(map(str, routes[part.route]))
        message = (
            f"several routes bear the name `{part.route}` (lines {lines}): nothing could tell them apart"
        )
        problems.note(part.node.line, part.path, Rule.EMBEDDED, message)


def _defined(documents: Sequence[Node]) -> frozenset[str] | None:
    """Names of the clusters that the documents define; None where they define none, or fetch them."""
    found: set[str] = set()
    for root, _ in _roots(documents):
        for mapping in _mappings(root):
            if "cds_config" in mapping.entries or "cdsConfig" in mapping.entries:
                return None
            found.update(_clusters(mapping))
    return frozenset(found) or None


def _check_clusters(experiments: Node | None, known: frozenset[str] | None, problems: Problems) -> None:
    """Every arm's cluster is one that the documents define."""
    if not isinstance(experiments, Mapping) or known is None:
        return
    for key, experiment in experiments.entries.items():
        arms = _at(experiment, "arms")
        for arm_id, arm in arms.entries.items() if isinstance(arms, Mapping) else ():
            cluster = _at(arm, "cluster")
            if isinstance(cluster, Scalar) and cluster.text not in known:
                path = f"{child(experiments.places[key] + '.arms', arm_id)}.cluster"
                hint = problems.suggestion(cluster.text, known)
                message = f"the configuration defines no cluster {shown(cluster.text)}{hint}"
                problems.note(cluster.line, path, Rule.CLUSTER_UNDEFINED, message)


def _roots(documents: Sequence[Node]) -> Iterator[tuple[Node, str]]:
    for index, root in enumerate(documents):
        yield root, f"$[{index}]" if index else "$"


def _look(node: Node, path: str, patched: str | None, found: _Found, *, route: bool = False) -> None:
    """Find every part at or below a place.

    Args:
        node: What stands there.
        path: The place.
        patched: Name of the route that an EnvoyFilter's patch around it is for.
        found: Takes the parts and the names of routes.
        route: Whether the place is a route's own.
    """
    if isinstance(node, SequenceNode):
        for index, item in enumerate(node.items):
            _look(item, f"{path}[{index}]", patched, found, route=route)
    if not isinstance(node, Mapping):
        return
    name = _text(node, "name")
    if route and name:
        found.routes.setdefault(name, []).append(node.line)
    for metadata in ("filter_metadata", "filterMetadata"):
        part = _at(node, "metadata", metadata, METADATA_NAMESPACE)
        if isinstance(part, Mapping):
            place = f"{path}.metadata.{metadata}.{METADATA_NAMESPACE}"
            if route or patched:
                found.parts.append(_Part(part, place, name or patched))
            else:
                found.astray.append((part.line, place))
    patched = _text(node, "match", "routeConfiguration", "vhost", "route", "name") or patched
    for key, entry in node.entries.items():
        _look(entry, child(path, key), patched, found, route=key == "routes")


def _with_route(experiments: Node, path: str, part: _Part, problems: Problems) -> Node:
    """The experiments of a part, each matching the part's route besides what it says itself."""
    if part.route is None or not isinstance(experiments, Mapping):
        return experiments
    name = Scalar(experiments.line, part.route, "str")
    routed: dict[str, Node] = {}
    for key, experiment in experiments.entries.items():
        routed[key] = experiment
        if not isinstance(experiment, Mapping):
            continue
        match = experiment.entries.get("match", Mapping(experiment.line, {}))
        if not isinstance(match, Mapping):
            continue
        own = match.entries.get("route")
        if isinstance(own, Scalar) and own.text != part.route:
            message = f"stands under route `{part.route}`, so it can match no other"
            problems.note(own.line, f"{child(path, key)}.match.route", Rule.EMBEDDED, message)
        matched = replace(match, entries={"route": name, **match.entries})
        routed[key] = replace(experiment, entries={**experiment.entries, "match": matched})
    return replace(experiments, entries=routed)


def _placed(section: Node, path: str) -> Node:
    """The section, whose entries remember where they stand."""
    if not isinstance(section, Mapping):
        return section
    places = {name: child(path, name) for name in section.entries}
    return replace(section, entries=dict(section.entries), places=places)


def _join(section: Node, added: Node, key: str, problems: Problems) -> None:
    """Add what another route says of a section: each id once, or the same every time where it is shared."""
    if not isinstance(section, Mapping) or not isinstance(added, Mapping):
        return
    for name, entry in added.entries.items():
        if name not in section.entries:
            section.entries[name], section.places[name] = entry, added.places[name]
        elif key not in SHARED or not _same(section.entries[name], entry):
            message = f"stands under another route too (line {section.entries[name].line})"
            problems.note(entry.line, added.places[name], Rule.KEY_TWICE, message)


def _same(one: Node, other: Node) -> bool:
    """Whether two nodes say the same, wherever they stand."""
    match one, other:
        case Scalar(), Scalar():
            return (one.text, one.kind) == (other.text, other.kind)
        case SequenceNode(), SequenceNode():
            pairs = zip(one.items, other.items, strict=False)
            return len(one.items) == len(other.items) and all(_same(a, b) for a, b in pairs)
        case Mapping(), Mapping():
            keys = one.entries.keys()
            return keys == other.entries.keys() and all(_same(one.entries[k], other.entries[k]) for k in keys)
    return False


def _mappings(node: Node) -> Iterator[Mapping]:
    if isinstance(node, SequenceNode):
        for item in node.items:
            yield from _mappings(item)
    elif isinstance(node, Mapping):
        yield node
        for key, entry in node.entries.items():
            if key not in {"weighted_clusters", "weightedClusters"}:  # these name clusters, they define none
                yield from _mappings(entry)


def _clusters(mapping: Mapping) -> Iterator[str]:
    """Names under the lists in which Envoy keeps clusters: `clusters`, and a file of resources."""
    for key in ("clusters", "resources"):
        listed = mapping.entries.get(key)
        for item in listed.items if isinstance(listed, SequenceNode) else ():
            defines = key == "clusters" or _text(item, "@type").endswith("envoy.config.cluster.v3.Cluster")
            if defines and (name := _text(item, "name")):
                yield name


def _at(node: Node, *keys: str) -> Node | None:
    place: Node | None = node
    for key in keys:
        place = place.entries.get(key) if isinstance(place, Mapping) else None
    return place


def _text(node: Node, *keys: str) -> str:
    found = _at(node, *keys)
    return found.text if isinstance(found, Scalar) else ""
