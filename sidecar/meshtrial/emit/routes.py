"""Experiments -> the route table: an arm's header leads to its cluster, everything else to control.

The order is what makes it safe. Of one experiment the treatments' routes come first, each
asking for the exact name of its cluster in the sidecar's header; control's route asks for
nothing. So a missing, late or unknown answer goes to control, and there is no fall-back that
could fail in its turn.
"""

import re
from datetime import timedelta

from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.extensions.filters.http.ext_proc import v3 as ext_proc
from envoy_data_plane.envoy.type.matcher import v3 as matcher

from meshtrial.emit.extension import packed
from meshtrial.emit.target import Target
from meshtrial.errors import NotExpressible, SettingError
from meshtrial.names import EXT_PROC_FILTER, FORCE, Header
from meshtrial.plan.model import Experiment, Plan
from meshtrial.plan.traffic import Match

DEFAULT_ROUTE, NO_ROUTE = "_default", "_no-route"
"""Routes of requests in no experiment. No experiment's id begins so, and with one all other names begin."""
_EVERY_PATH = "/"
_TIMEOUT = timedelta(seconds=15)
"""Envoy's own default, written out: a model that never answers must not hold its callers for ever."""
_NOT_FOUND = "no experiment of the plan takes requests for this path"


def route_table(plan: Plan, target: Target) -> route.RouteConfiguration:
    """All routes in the order in which Envoy tries them: the narrowest match first.

    Raises:
        NotExpressible: An experiment matches on a route's name, or two of one match have other controls.
        SettingError: A default cluster is named, yet no request is left for it.
    """
    places = _places(plan)
    routes = [r for match in sorted(places, key=_narrowness) for r in _place(match, places[match], plan)]
    open_to_all = places.get(Match()) or places.get(Match(path_prefix=_EVERY_PATH))
    if open_to_all is None:
        if target.default_cluster is not None:
            routes += _asked(plan, target.default_cluster)
        routes.append(_outside(target.default_cluster))
    elif target.default_cluster is not None:
        raise SettingError(
            f"default cluster {target.default_cluster}: experiment {open_to_all.id} takes every path, "
            "so no request is left for it"
        )
    # Here, after routing and without the sidecar's help, nothing can bring a tester's header to the model.
    host = route.VirtualHost(name="models", domains=["*"], routes=routes, request_headers_to_remove=[FORCE])
    return route.RouteConfiguration(name="models", virtual_hosts=[host])


def _places(plan: Plan) -> dict[Match, Experiment]:
    """Every match of experiments that choose the cluster, with one whose control is its default."""
    places: dict[Match, Experiment] = {}
    for experiment in plan.experiments:
        match = experiment.match
        if match.route is not None:
            raise NotExpressible(
                f"experiment {experiment.id} matches on Envoy's route {match.route}, and an emitted "
                "configuration brings its own routes: use match.path_prefix, or add the sidecar to the "
                "configuration that has this route (envoy/README.md)"
            )
        if experiment.control.cluster is None:
            continue
        first = places.setdefault(match, experiment)
        if first.control.cluster != experiment.control.cluster:
            raise NotExpressible(
                f"experiments {first.id} and {experiment.id} take requests of one match and have other "
                "controls: without the sidecar the proxy could not tell which; give them one cluster"
            )
    return places


def _narrowness(match: Match) -> tuple[int, int]:
    conditions = [match.host, match.method, *match.headers]
    return -len(match.path_prefix or _EVERY_PATH), -sum(condition is not None for condition in conditions)


def _place(match: Match, owner: Experiment, plan: Plan) -> list[route.Route]:
    """The routes of one match: one for each cluster that a decision may name, then control's."""
    control = owner.control.cluster or ""
    met = [e for e in plan.experiments if e.match.meets(match)]
    # Two arms may share a cluster and differ by their headers alone: dict keeps one of each, in order.
    clusters = dict.fromkeys(
        arm.cluster for e in met for arm in e.arms if arm.cluster is not None and arm.cluster != control
    )
    chosen = [
        route.Route(name=f"{owner.id}-{cluster}", match=_matching(match, cluster), route=_to(cluster))
        for cluster in clusters
    ]
    return [*chosen, route.Route(name=f"{owner.id}-control", match=_matching(match), route=_to(control))]


def _matching(match: Match, cluster: str | None = None) -> route.RouteMatch:
    exact = [*match.headers, *([(":method", match.method)] if match.method else [])]
    headers = [_header(name, matcher.StringMatcher(exact=value)) for name, value in exact]
    if match.host is not None:
        host = matcher.RegexMatcher(regex=f"(?i){re.escape(match.host)}(:[0-9]*)?".replace(r"\-", "-"))
        headers.append(_header(":authority", matcher.StringMatcher(safe_regex=host)))
    if cluster is not None:
        headers.append(_asks_for(cluster))
    return route.RouteMatch(prefix=match.path_prefix or _EVERY_PATH, headers=headers)


def _header(name: str, value: matcher.StringMatcher) -> route.HeaderMatcher:
    return route.HeaderMatcher(name=name, string_match=value)


def _asked(plan: Plan, cluster: str) -> list[route.Route]:
    """Requests of experiments that only set headers: the sidecar is asked, the cluster is the default one."""
    only_headers = [e for e in plan.experiments if e.control.cluster is None]
    matches = {experiment.match: experiment.id for experiment in only_headers}
    return [
        route.Route(name=matches[match], match=_matching(match), route=_to(cluster))
        for match in sorted(matches, key=_narrowness)
    ]


def _asks_for(cluster: str) -> route.HeaderMatcher:
    return _header(Header.CLUSTER, matcher.StringMatcher(exact=cluster))


def _to(cluster: str) -> route.RouteAction:
    return route.RouteAction(cluster=cluster, timeout=_TIMEOUT)


def _outside(cluster: str | None) -> route.Route:
    """The route of requests in no experiment, which need no decision: the sidecar is not asked."""
    unasked = {EXT_PROC_FILTER: packed(ext_proc.ExtProcPerRoute(disabled=True))}
    everything = route.RouteMatch(prefix=_EVERY_PATH)
    if cluster is not None:
        return route.Route(
            name=DEFAULT_ROUTE, match=everything, route=_to(cluster), typed_per_filter_config=unasked
        )
    answer = route.DirectResponseAction(status=404, body=core.DataSource(inline_string=_NOT_FOUND))
    return route.Route(
        name=NO_ROUTE, match=everything, direct_response=answer, typed_per_filter_config=unasked
    )
