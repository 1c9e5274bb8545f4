"""Experiments -> the route table: an arm's header leads to its cluster, everything else to control.

The order is what makes it safe. Of one experiment the treatments' routes come first, each
asking for the exact name of its cluster in the sidecar's header; control's route asks for
nothing. So a missing, late or unknown answer goes to control, and there is no fall-back that
could fail in its turn.
"""

from datetime import timedelta

from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.extensions.filters.http.ext_proc import v3 as ext_proc
from envoy_data_plane.envoy.type.matcher import v3 as matcher

from meshtrial.emit.extension import packed
from meshtrial.emit.target import Target
from meshtrial.errors import NotExpressible, SettingError
from meshtrial.names import EXT_PROC_FILTER, Header
from meshtrial.plan.model import Experiment, Plan

_EVERY_PATH = "/"
_TIMEOUT = timedelta(seconds=15)
"""Envoy's own default, written out: a model that never answers must not hold its callers for ever."""
_NO_ROUTE = "no experiment of the plan takes requests for this path"


def route_table(plan: Plan, target: Target) -> route.RouteConfiguration:
    """All routes in the order in which Envoy tries them: the longest prefix first.

    Raises:
        NotExpressible: An experiment matches on a route's name.
        SettingError: A default cluster is named, yet no request is left for it.
    """
    by_prefix = sorted(plan.experiments, key=lambda e: -len(_prefix(e)))
    routes = [r for experiment in by_prefix for r in _experiment(experiment)]
    if by_prefix and _prefix(by_prefix[-1]) == _EVERY_PATH:
        if target.default_cluster is not None:
            raise SettingError(
                f"default cluster {target.default_cluster}: experiment {by_prefix[-1].id} takes every path, "
                "so no request is left for it"
            )
    else:
        routes.append(_outside(target.default_cluster))
    host = route.VirtualHost(name="models", domains=["*"], routes=routes)
    return route.RouteConfiguration(name="models", virtual_hosts=[host])


def _prefix(experiment: Experiment) -> str:
    if experiment.match.route is not None:
        raise NotExpressible(
            f"experiment {experiment.id} matches on Envoy's route {experiment.match.route}, and an emitted "
            "configuration brings its own routes: use match.path_prefix, or add the sidecar to the "
            "configuration that has this route (envoy/README.md)"
        )
    return experiment.match.path_prefix or _EVERY_PATH


def _experiment(experiment: Experiment) -> list[route.Route]:
    control = experiment.control.cluster
    # Two arms may share a cluster and differ by their headers alone: dict keeps one of each, in order.
    clusters = dict.fromkeys(arm.cluster for arm in experiment.treatments() if arm.cluster != control)
    prefix = _prefix(experiment)
    chosen = [
        route.Route(
            name=f"{experiment.id}-{cluster}",
            match=route.RouteMatch(prefix=prefix, headers=[_asks_for(cluster)]),
            route=_to(cluster),
        )
        for cluster in clusters
    ]
    default = route.Route(
        name=f"{experiment.id}-control", match=route.RouteMatch(prefix=prefix), route=_to(control)
    )
    return [*chosen, default]


def _asks_for(cluster: str) -> route.HeaderMatcher:
    return route.HeaderMatcher(name=Header.CLUSTER, string_match=matcher.StringMatcher(exact=cluster))


def _to(cluster: str) -> route.RouteAction:
    return route.RouteAction(cluster=cluster, timeout=_TIMEOUT)


def _outside(cluster: str | None) -> route.Route:
    """The route of requests in no experiment, which need no decision: the sidecar is not asked."""
    unasked = {EXT_PROC_FILTER: packed(ext_proc.ExtProcPerRoute(disabled=True))}
    everything = route.RouteMatch(prefix=_EVERY_PATH)
    if cluster is not None:
        return route.Route(
            name="default", match=everything, route=_to(cluster), typed_per_filter_config=unasked
        )
    answer = route.DirectResponseAction(status=404, body=core.DataSource(inline_string=_NO_ROUTE))
    return route.Route(
        name="no-route", match=everything, direct_response=answer, typed_per_filter_config=unasked
    )
