"""Documents and a plan's needs -> findings, in the order in which a reader meets them."""

from collections.abc import Iterator, Sequence

from meshtrial.doctor import checks
from meshtrial.doctor.asking import asking
from meshtrial.doctor.chain import chain, deciding
from meshtrial.doctor.checks import Finding
from meshtrial.doctor.clusters import plan_clusters, sidecar
from meshtrial.doctor.configuration import Configuration, Manager, configuration_of
from meshtrial.doctor.entrance import entrance
from meshtrial.doctor.place import Place
from meshtrial.doctor.routes import mirrors, reachable, routes
from meshtrial.errors import SettingError
from meshtrial.plan.needs import Needs
from meshtrial.plan.problems import Problems
from meshtrial.plan.tree import PROXY, read_tree


def document(source: str, text: str) -> Place:
    """Read one document, YAML or JSON.

    Raises:
        SettingError: It is not readable; every reason is named, with its line.
    """
    problems = Problems()
    node = read_tree(text, problems, PROXY)
    if found := problems.found():
        raise SettingError("\n".join(f"{source}:{p.line}: {p.path}: {p.message}" for p in found))
    return Place(source, node.line if node else 0, "$", node)


def examine(documents: Sequence[Place], needs: Needs) -> tuple[Finding, ...]:
    """Look at the configuration of one Envoy.

    Args:
        documents: At least one, each a bootstrap, a dump or a file of resources.
        needs: What the plan needs of it.

    Returns:
        What is wrong, in the order of the documents and their lines.

    Raises:
        SettingError: One of the documents is no Envoy configuration.
    """
    configuration = configuration_of(documents)
    order = {place.source: index for index, place in enumerate(documents)}
    # Two listeners may share a route table, whose troubles are then met twice.
    found = {
        (order[f.place.source], f.place.line, f.place.path, f.check.id, f.message): f
        for f in _findings(configuration, needs)
    }
    return tuple(found[key] for key in sorted(found))


def _findings(configuration: Configuration, needs: Needs) -> Iterator[Finding]:
    under_trial = tuple(manager for manager in configuration.managers if deciding(manager))
    if not configuration.managers:
        yield checks.MANAGER_MISSING.at(configuration.root, "no HTTP connection manager stands here")
    for manager in _unasked(configuration.managers, needs):
        filters = manager.settings.get("http_filters")
        yield checks.EXT_PROC_MISSING.at(filters, "no filter of this chain asks the sidecar")
    for manager in under_trial:
        ours = deciding(manager)
        yield from chain(manager, needs)
        yield from entrance(manager, needs)
        yield from routes(manager)
        yield from mirrors(manager, ours[0])
        for one in ours:
            yield from asking(manager, one, needs)
            yield from sidecar(configuration, one)
    yield from plan_clusters(configuration, under_trial, needs)


def _unasked(managers: Sequence[Manager], needs: Needs) -> tuple[Manager, ...]:
    """Managers that lead to the plan's clusters without a decision; the first where none is asked at all."""
    to_plan = tuple(
        manager
        for manager in managers
        if not deciding(manager) and not set(needs.clusters).isdisjoint(reachable(manager) or ())
    )
    asked = any(deciding(manager) for manager in managers)
    return to_plan or (() if asked else tuple(managers[:1]))
