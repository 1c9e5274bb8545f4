"""Whether a request is one that an experiment's `match` asks for."""

from meshtrial.assign.request import Request
from meshtrial.plan.traffic import Match


def matches(request: Request, match: Match) -> bool:
    """Whether all conditions of a match hold."""
    return failing(request, match) is None


def failing(request: Request, match: Match) -> str | None:
    """The first condition that does not hold, None where all do."""
    if match.route is not None and request.route != match.route:
        return "route"
    # A prefix holds neither ? nor #, so it can only match before the query, as Envoy's `prefix` does.
    if match.path_prefix is not None and not request.path.startswith(match.path_prefix):
        return "path"
    if match.host is not None and request.host != match.host:
        return "host"
    if match.method is not None and request.method != match.method:
        return "method"
    return next((name for name, value in match.headers if not _has(request, name, value)), None)


def _has(request: Request, name: str, value: str) -> bool:
    values = request.headers.get(name, ())
    return bool(values) and all(found == value.encode() for found in values)
