"""Documents of Envoy, Kubernetes or Istio -> the plan document that stands within their routes.

A part of the plan stands under a route's `metadata.filter_metadata.meshtrial`; the route is then the match of
the part's experiments. An Istio EnvoyFilter names its route in the `match` beside its `patch`. All parts
together are one plan; its places keep the paths that they have in the file.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

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


def embedded_plan(documents: Sequence[Node], problems: Problems) -> Mapping | None:
    """The plan document within; None, with the problem noted, where there is none.

    Args:
        documents: All documents of the file.
        problems: Takes what is wrong with the parts and their routes.
    """
    parts = [part for root, path in _roots(documents) for part in _parts(root, path, None)]
    if not documents:
        return None
    if not parts:
        message = f"no route carries a plan under `metadata.filter_metadata.{METADATA_NAMESPACE}`"
        problems.note(0, "$", Rule.EMBEDDED, message)
        return None
    whole: dict[str, Node] = {}
    places: dict[str, str] = {}
    for part in parts:
        if "apiVersion" not in part.node.entries:
            problems.note(part.node.line, part.path, Rule.KEY_MISSING, "the key `apiVersion` is required")
        for key, node in part.node.entries.items():
            path = child(part.path, key)
            section = _placed(_with_route(node, path, part, problems) if key == "experiments" else node, path)
            whole[key] = _joined(whole[key], section, key, problems) if key in whole else section
            places.setdefault(key, path)
    _check_clusters(whole.get("experiments"), _defined(documents), problems)
    return Mapping(parts[0].node.line, whole, places)


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


def _parts(node: Node, path: str, route: str | None) -> Iterator[_Part]:
    """Every part at or below a place; `route` is what an EnvoyFilter around it names."""
    if isinstance(node, SequenceNode):
        for index, item in enumerate(node.items):
            yield from _parts(item, f"{path}[{index}]", route)
    if not isinstance(node, Mapping):
        return
    route = _text(node, "match", "routeConfiguration", "vhost", "route", "name") or route
    for metadata in ("filter_metadata", "filterMetadata"):
        found = _at(node, "metadata", metadata, METADATA_NAMESPACE)
        if isinstance(found, Mapping):
            place = f"{path}.metadata.{metadata}.{METADATA_NAMESPACE}"
            yield _Part(found, place, _text(node, "name") or route)
    for key, entry in node.entries.items():
        yield from _parts(entry, child(path, key), route)


def _with_route(experiments: Node, path: str, part: _Part, problems: Problems) -> Node:
    """The experiments of a part, each matching the part's route besides what it says itself."""
    if part.route is None:
        message = "the route around this has no `name`, by which its experiments could match it"
        problems.note(part.node.line, part.path, Rule.EMBEDDED, message)
        return experiments
    if not isinstance(experiments, Mapping):
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
    return replace(section, places={name: child(path, name) for name in section.entries})


def _joined(before: Node, added: Node, key: str, problems: Problems) -> Node:
    """A section of several routes: each id once, or the same every time where it is shared."""
    if not isinstance(before, Mapping) or not isinstance(added, Mapping):
        return before
    entries, places = dict(before.entries), dict(before.places)
    for name, entry in added.entries.items():
        if name not in entries:
            entries[name], places[name] = entry, added.places[name]
        elif key not in SHARED or not _same(entries[name], entry):
            message = f"stands under another route too (line {entries[name].line})"
            problems.note(entry.line, added.places[name], Rule.KEY_TWICE, message)
    return replace(before, entries=entries, places=places)


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
