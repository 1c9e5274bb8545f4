"""The filter chain: whether the sidecar is asked, once, at the right time."""

from collections.abc import Iterator

from meshtrial.doctor import checks
from meshtrial.doctor.checks import Finding
from meshtrial.doctor.configuration import Filter, Manager
from meshtrial.doctor.place import Place
from meshtrial.names import METADATA_NAMESPACE
from meshtrial.plan.needs import Needs

_EXT_PROC = "envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor"
_ROUTER = "envoy.extensions.filters.http.router.v3.Router"
_FILTERS = "envoy.filters.http."
_MAY_REFUSE = {
    "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
    "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
    "envoy.extensions.filters.http.rbac.v3.RBAC",
    "envoy.extensions.filters.http.oauth2.v3.OAuth2",
    "envoy.extensions.filters.http.basic_auth.v3.BasicAuth",
    "envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth",
}


def deciding(manager: Manager) -> tuple[Filter, ...]:
    """The filters that ask the sidecar, known by a name, cluster or namespace of ours.

    The only ext_proc filter of a chain counts as ours whatever its names.
    """
    all_of_them = tuple(one for one in manager.filters if one.kind == _EXT_PROC)
    ours = tuple(one for one in all_of_them if _is_ours(one))
    return ours or (all_of_them if len(all_of_them) == 1 else ())


def sidecar_cluster(settings: Place) -> Place:
    """The name of the cluster that an ext_proc filter asks; absent where Envoy's own client is not used."""
    return settings.get("grpc_service", "envoy_grpc", "cluster_name")


def chain(manager: Manager, needs: Needs) -> Iterator[Finding]:
    """Findings about the order of a manager's filters; it has at least one that decides."""
    first, *others = deciding(manager)
    for other in others:
        yield checks.EXT_PROC_TWICE.at(
            other.place, f"after `{first.name}`, `{other.name}` asks the sidecar again"
        )
    if first.place.get("disabled").flag():
        yield checks.EXT_PROC_DISABLED.at(first.place.get("disabled"), f"`{first.name}` is disabled")
    at = manager.filters.index(first)
    before, after = manager.filters[:at], manager.filters[at + 1 :]
    if any(one.kind == _ROUTER for one in before):
        yield checks.EXT_PROC_AFTER_ROUTER.at(first.place, f"`{first.name}` stands after the router")
    yield from _authentication(first, before, after, needs)


def _is_ours(one: Filter) -> bool:
    receiving = one.settings.get("metadata_options", "receiving_namespaces", "untyped").items()
    names = [one.name, sidecar_cluster(one.settings).text(), *(place.text() for place in receiving)]
    return any(METADATA_NAMESPACE in name for name in names)


def _writes(one: Filter, namespace: str) -> bool:
    kind = f"envoy.extensions.filters.http.{namespace.removeprefix(_FILTERS)}."
    return one.name == namespace or one.kind.startswith(kind)


def _authentication(
    ours: Filter, before: tuple[Filter, ...], after: tuple[Filter, ...], needs: Needs
) -> Iterator[Finding]:
    for namespace in needs.metadata:
        # By convention a filter writes under its own name; who writes elsewhere cannot be told.
        if not namespace.startswith(_FILTERS) or any(_writes(one, namespace) for one in before):
            continue
        late = next((one for one in after if _writes(one, namespace)), None)
        where = "runs after" if late is not None else "is missing before"
        yield checks.AUTHENTICATION_LATE.at(
            (late or ours).place, f"`{namespace}`, which holds the plan's unit, {where} `{ours.name}`"
        )
    for one in after:
        if one.kind in _MAY_REFUSE:
            yield checks.AUTHENTICATION_AFTER.at(one.place, f"`{one.name}` runs after `{ours.name}`")
