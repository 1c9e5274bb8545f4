"""Documents of Envoy, Kubernetes or Istio -> the plan document that stands within their routes.

A part of the plan stands under a route's `metadata.filter_metadata.meshtrial`; the route is then the match of
the part's experiments. An Istio EnvoyFilter names its route in the `match` beside its `patch`. All parts
together are one plan; its places keep the paths that they have in the file.
"""

from collections.abc import Sequence
from dataclasses import replace

from meshtrial.names import METADATA_NAMESPACE
from meshtrial.plan.pairs import MAX_EXPERIMENTS
from meshtrial.plan.problems import Problems, Rule, child, shown
from meshtrial.plan.survey import Survey, at, survey
from meshtrial.plan.tree import Mapping, Node, Scalar
from meshtrial.plan.tree import Sequence as SequenceNode

SHARED = ("metrics", "layers", "cohorts")
"""Sections that several routes may repeat, word for word: anchors make that short."""
_LINES = 4
"""Lines that a message lists."""


def embedded_plan(documents: Sequence[Node], problems: Problems) -> Mapping | None:
    """The plan document within; None, with the problem noted, where there is none.

    Args:
        documents: All documents of the file.
        problems: Takes what is wrong with the parts and their routes.
    """
    found = survey(documents)
    for stray in found.strays:
        message = "a plan stands under a route: an item of a list of `routes`, or a patch of an HTTP_ROUTE"
        problems.note(stray.node.line, stray.place.path(), Rule.EMBEDDED, message)
    if not found.parts:
        if not found.strays:
            message = f"no route carries a plan under `metadata.filter_metadata.{METADATA_NAMESPACE}`"
            problems.note(documents[0].line, "$", Rule.EMBEDDED, message)
        return None
    _check_names(found, problems)
    whole = Mapping(found.parts[0].node.line, {})
    count = 0
    for part in found.parts:
        path = part.place.path()
        if not isinstance(part.node, Mapping):
            problems.note(part.node.line, path, Rule.TYPE, "expected a mapping, the part of a plan")
            continue
        experiments = part.node.entries.get("experiments")
        count += len(experiments.entries) if isinstance(experiments, Mapping) else 0
        if experiments is not None and count > MAX_EXPERIMENTS:
            message = f"a plan has at most {MAX_EXPERIMENTS:,} experiments, up to here it has {count:,}"
            problems.note(experiments.line, f"{path}.experiments", Rule.EXPERIMENTS_COUNT, message)
            return None
        _join(whole, part.node, path, part.route, problems)
    _check_clusters(whole.entries.get("experiments"), found, problems)
    return whole


def _check_names(found: Survey, problems: Problems) -> None:
    """Every route with a part has a name, which no other route bears."""
    for part in found.parts:
        lines = found.routes.get(part.route, []) if part.route is not None else []
        if part.route is None:
            message = "the route around this has no `name`, by which its experiments could match it"
            problems.note(part.node.line, part.place.path(), Rule.EMBEDDED, message)
        elif len(lines) > 1:
            others = f" and {len(lines) - _LINES:,} more" if len(lines) > _LINES else ""
            message = (
                f"several routes bear the name {shown(part.route)}, on lines "
                f"{', '.join(map(str, lines[:_LINES]))}{others}: Envoy sends the name alone, which does not "
                "tell them apart"
            )
            problems.note(part.node.line, part.place.path(), Rule.EMBEDDED, message)


def _check_clusters(experiments: Node | None, found: Survey, problems: Problems) -> None:
    """Every arm's cluster is one that the documents define, unless they define none or fetch them."""
    if not isinstance(experiments, Mapping) or not found.clusters or found.fetched:
        return
    for key, experiment in experiments.entries.items():
        arms = at(experiment, "arms")
        for arm_id, arm in arms.entries.items() if isinstance(arms, Mapping) else ():
            cluster = at(arm, "cluster")
            if isinstance(cluster, Scalar) and cluster.text not in found.clusters:
                path = f"{child(experiments.places[key] + '.arms', arm_id)}.cluster"
                hint = problems.suggestion(cluster.text, found.clusters)
                message = f"the configuration defines no cluster {shown(cluster.text)}{hint}"
                problems.note(cluster.line, path, Rule.CLUSTER_UNDEFINED, message)


def _join(whole: Mapping, part: Mapping, part_path: str, route: str | None, problems: Problems) -> None:
    """Add a part to the plan so far."""
    if "apiVersion" not in part.entries:
        problems.note(part.line, part_path, Rule.KEY_MISSING, "the key `apiVersion` is required")
    for key, stands in part.entries.items():
        path = child(part_path, key)
        node = _with_route(stands, path, route, problems) if key == "experiments" else stands
        before = whole.entries.get(key)
        if before is None:
            whole.entries[key], whole.places[key] = _placed(node, path), path
        elif key in {*SHARED, "experiments"} and isinstance(before, Mapping) and isinstance(node, Mapping):
            _add(before, node, path, problems, shared=key in SHARED)
        elif not _same(before, node):
            message = f"stands under another route too, and says something else (line {before.line})"
            problems.note(node.line, path, Rule.KEY_TWICE, message)


def _with_route(experiments: Node, path: str, route: str | None, problems: Problems) -> Node:
    """The experiments of a part, each matching the part's route besides what it says itself."""
    if route is None or not isinstance(experiments, Mapping):
        return experiments
    name = Scalar(experiments.line, route, "str")
    routed: dict[str, Node] = {}
    for key, experiment in experiments.entries.items():
        routed[key] = experiment
        if not isinstance(experiment, Mapping):
            continue
        match = experiment.entries.get("match", Mapping(experiment.line, {}))
        if not isinstance(match, Mapping):
            continue
        own = match.entries.get("route")
        if isinstance(own, Scalar) and own.text != route:
            message = f"stands under route {shown(route)}, so it can match no other"
            problems.note(own.line, f"{child(path, key)}.match.route", Rule.EMBEDDED, message)
        matched = replace(match, entries={"route": name, **match.entries})
        routed[key] = replace(experiment, entries={**experiment.entries, "match": matched})
    return replace(experiments, entries=routed)


def _placed(section: Node, path: str) -> Node:
    """The section, whose entries remember where they stand; more may be added to it."""
    if not isinstance(section, Mapping):
        return section
    places = {name: child(path, name) for name in section.entries}
    return Mapping(section.line, dict(section.entries), places)


def _add(section: Mapping, added: Mapping, path: str, problems: Problems, *, shared: bool) -> None:
    """Add to a section of several routes: each id once, or the same every time where it is shared."""
    for name, entry in added.entries.items():
        before = section.entries.get(name)
        if before is None:
            section.entries[name], section.places[name] = entry, child(path, name)
        elif not shared or not _same(before, entry):
            message = f"stands under another route too (line {before.line})"
            problems.note(entry.line, child(path, name), Rule.KEY_TWICE, message)


def _same(one: Node, other: Node) -> bool:
    """Whether two nodes say the same, wherever they stand."""
    if one is other:
        return True
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
