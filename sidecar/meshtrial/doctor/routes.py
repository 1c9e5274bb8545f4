"""The route table: whether a decision leads somewhere, and its absence as well."""

from collections.abc import Iterator

from meshtrial.doctor import checks
from meshtrial.doctor.checks import Finding
from meshtrial.doctor.configuration import Filter, Manager
from meshtrial.doctor.matching import is_removed
from meshtrial.doctor.place import Place
from meshtrial.names import HEADER_PREFIX, METADATA_NAMESPACE, Header

_PATHS = ("prefix", "path", "path_separated_prefix", "safe_regex", "path_match_policy", "connect_matcher")
_HEADER_MUTATION = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"


def routes(manager: Manager) -> Iterator[Finding]:
    """Findings about the routes of one manager."""
    if not manager.routes.present:
        if (at := _elsewhere(manager.settings)).present:
            yield checks.ROUTES_UNREAD.at(at, "no file has the routes that are named here")
        return
    for host in manager.hosts():
        listed = host.get("routes").items()
        for index, route in enumerate(listed):
            yield from _guarded(route)
            if _asks_for_decision(route) and not any(_takes(later, route) for later in listed[index + 1 :]):
                yield checks.DEFAULT_MISSING.at(
                    route.get("match"), f"{_named(route)} needs a decision, and no later route does without"
                )


def mirrors(manager: Manager, ours: Filter) -> Iterator[Finding]:
    """Findings about mirrors whose header never arrives."""
    table = manager.routes
    after = manager.filters[manager.filters.index(ours) + 1 :]
    lost = [
        one.settings.get("mutations", "request_mutations") for one in after if one.kind == _HEADER_MUTATION
    ]
    for host in manager.hosts():
        for route in host.get("routes").items():
            removals = [holder.get("request_headers_to_remove") for holder in (route, host, table)]
            policies = [route.get("route"), host, table]
            for policy in (p for h in policies for p in h.get("request_mirror_policies").items()):
                name = policy.get("cluster_header").text().lower()
                at = [p for listed in removals for p in listed.items() if name and p.text().lower() == name]
                at += [mutations for mutations in lost if name and is_removed(mutations, name)]
                for place in at:
                    yield checks.SHADOW_REMOVED.at(
                        place, f"`{name}` is removed here, by which {_named(route)} mirrors"
                    )


def reachable(manager: Manager) -> set[str] | None:
    """Every cluster that a route can lead to; None where a request or a plug-in chooses."""
    if not manager.routes.present:
        return None
    found: set[str] = set()
    for route in manager.all_routes():
        action = route.get("route")
        if any(action.get(name).present for name in _CHOSEN_LATER):
            return None
        found.add(action.get("cluster").text())
        found |= {w.get("name").text() for w in action.get("weighted_clusters", "clusters").items()}
    if any(host.get("matcher").present for host in manager.hosts()):
        return None
    return found


_CHOSEN_LATER = ("cluster_header", "cluster_specifier_plugin", "inline_cluster_specifier_plugin")


def _elsewhere(settings: Place) -> Place:
    rds = settings.get("rds")
    return rds if rds.present else settings.get("scoped_routes")


def _guarded(route: Place) -> Iterator[Finding]:
    header = route.get("route", "cluster_header")
    name = header.text().lower()
    if not name.startswith(HEADER_PREFIX):
        return
    asked = [h for h in route.get("match", "headers").items() if h.get("name").text().lower() == name]
    if not any(_needs_presence(matcher) for matcher in asked):
        yield checks.GUARD_MISSING.at(
            header,
            f"{_named(route)} takes its cluster from `{name}` without asking whether it is there",
            f"match: {{headers: [{{name: {name}, present_match: true}}]}}, then a route to control",
        )


def _needs_presence(matcher: Place) -> bool:
    """Whether a HeaderMatcher never takes a request without the header.

    Source: https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto#config-route-v3-headermatcher
    """
    if matcher.get("treat_missing_header_as_empty").flag():
        return False
    present = matcher.get("present_match")
    if present.present:
        return present.flag() is not matcher.get("invert_match").flag()
    return not matcher.get("invert_match").flag()


def _asks_for_decision(route: Place) -> bool:
    return any(_is_of_decision(kind, condition) for kind, condition in _conditions(route))


def _is_of_decision(kind: str, condition: Place) -> bool:
    if kind == "headers":
        ours = condition.get("name").text().lower() == Header.CLUSTER
        return ours and _needs_presence(condition)
    return kind == "dynamic_metadata" and condition.get("filter").text() == METADATA_NAMESPACE


def _conditions(route: Place) -> Iterator[tuple[str, Place]]:
    """What a RouteMatch asks besides the path, each condition for itself."""
    for kind, place in route.get("match").entries():
        if kind in {"case_sensitive", "caseSensitive"} or _snake(kind) in _PATHS:
            continue
        items = place.items()
        for item in items or (place,):
            yield _snake(kind), item


def _takes(later: Place, route: Place) -> bool:
    """Whether a later route takes what the route takes, without a decision."""
    if _asks_for_decision(later):
        return False
    own = [(kind, place.plain()) for kind, place in _conditions(route)]
    return _path_within(route.get("match"), later.get("match")) and all(
        (kind, place.plain()) in own for kind, place in _conditions(later)
    )


def _path_within(inner: Place, outer: Place) -> bool:
    """Whether every path of one match is a path of the other; False where that cannot be told."""
    prefix = outer.get("prefix")
    if prefix.present and prefix.text() in {"", "/"}:
        return True
    if prefix.present:
        starts = (inner.get(name).text() for name in ("prefix", "path", "path_separated_prefix"))
        return any(start.startswith(prefix.text()) for start in starts)
    return any(
        outer.get(name).present and outer.get(name).plain() == inner.get(name).plain() for name in _PATHS
    )


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def _named(route: Place) -> str:
    name = route.get("name").text()
    return f"route `{name}`" if name else "this route"
