"""Plan -> what a proxy must send the sidecar, and what it must let the sidecar change."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from meshtrial.names import BAGGAGE, FORCE, REQUEST_TIME, ROUTE_NAME
from meshtrial.plan.audience import sources_of
from meshtrial.plan.inference import Events, Metric
from meshtrial.plan.model import Experiment, Plan
from meshtrial.plan.traffic import REQUEST, Carrier, Source
from meshtrial.plan.units import headers_of


@dataclass(frozen=True, slots=True)
class Needs:
    """All of it for one plan; every tuple is sorted."""

    headers: tuple[str, ...]
    """Request headers that the sidecar must see, pseudo-headers included, in lower case."""
    attributes: tuple[str, ...]
    """Request attributes, in Envoy's names."""
    metadata: tuple[str, ...]
    """Namespaces of dynamic metadata."""
    set_headers: tuple[str, ...]
    """Request headers that an answer may set or remove, besides those that begin with `x-meshtrial-`."""
    response: bool
    """Some answers ask to see the response's headers."""
    set_cookie: bool
    """Some answers set a cookie on the response."""
    outcome_header: bool
    """Models report outcomes in a response header, which no client may see."""
    clusters: tuple[str, ...]
    request_id: bool
    """Some unit is the proxy's own request id."""
    request_log: bool
    """Some metric is made of all requests of a unit, which the proxy's access log tells of."""

    @property
    def carries(self) -> bool:
        """Some arms travel on in baggage."""
        return BAGGAGE in self.set_headers


def needs_of(plan: Plan) -> Needs:
    """What a plan asks of the proxy."""
    experiments = plan.experiments
    sources = {source for e in experiments for source in _sources(e)}
    carry = any(e.carry for e in experiments)
    headers = {FORCE, *(name for source in sources for name in headers_of(source))}
    headers.update(name for e in experiments for name in _matched(e))
    if any(source.carrier is Carrier.QUERY for source in sources):
        headers.add(":path")
    if carry:
        headers.add(BAGGAGE)
    mints = any(e.unit.mint is not None for e in experiments)
    reports = any(e.response_outcomes for e in experiments)
    by_route = any(e.match.route is not None for e in experiments)
    return Needs(
        headers=_sorted(headers),
        attributes=_sorted([REQUEST_TIME, *([ROUTE_NAME] if by_route else [])]),
        metadata=_sorted(source.name for source in sources if source.carrier is Carrier.METADATA),
        set_headers=_sorted([*plan.owned_headers, FORCE, *([BAGGAGE] if carry else [])]),
        response=mints or reports,
        set_cookie=mints,
        outcome_header=reports,
        clusters=_sorted(arm.cluster for e in experiments for arm in e.arms if arm.cluster is not None),
        request_id=REQUEST in sources,
        request_log=any(events.outcome is None for metric in plan.metrics for events in _events(metric)),
    )


def readers_of_metadata(plan: Plan) -> dict[str, tuple[str, ...]]:
    """The experiments that read each namespace of dynamic metadata, by its name."""
    found: dict[str, list[str]] = {}
    for experiment in plan.experiments:
        for name in {source.name for source in _sources(experiment) if source.carrier is Carrier.METADATA}:
            found.setdefault(name, []).append(experiment.id)
    return {name: tuple(found[name]) for name in sorted(found)}


def _events(metric: Metric) -> Iterator[Events]:
    """All that a metric is made of."""
    yield metric.events
    if metric.denominator is not None:
        yield metric.denominator
    yield from (covariate.events for covariate in metric.covariates)


def _sorted(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(texts)))


def _sources(experiment: Experiment) -> set[Source]:
    unit = experiment.unit
    further = {unit.member, experiment.neighbours} - {None}
    found = {unit.source, *experiment.strata, *(source for source in further if source)}
    audiences = [experiment.audience, *(s.cohort.audience for s in experiment.splits if s.cohort)]
    return found.union(*(sources_of(audience) for audience in audiences))


def _matched(experiment: Experiment) -> set[str]:
    """Headers that a match reads."""
    match = experiment.match
    pseudo = {":path": match.path_prefix, ":authority": match.host, ":method": match.method}
    return {name for name, _ in match.headers} | {name for name, asked in pseudo.items() if asked is not None}
