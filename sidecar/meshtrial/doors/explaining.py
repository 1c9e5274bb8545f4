"""`GET /v1/explain`: the walk of a request, by the plan in force and what this sidecar has kept."""

from collections.abc import Callable

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from meshtrial.assign.explain import explain, walks_document
from meshtrial.assign.request import request_from
from meshtrial.doors.desk import Desk
from meshtrial.doors.knowledge import context_of

_PARAMETERS = frozenset(["header", "path", "host", "method", "route", "metadata", "experiment"])
_Metadata = dict[str, dict[str, object]]


def explaining(desk: Desk) -> Callable[[HttpRequest], Response]:
    """The endpoint; parameters as the flags of `meshtrial explain`.

    `header` comes once for each header, as `name: value`; `experiment` asks for one walk alone. A wrong
    parameter is answered with 400, an unknown experiment with 404, and `{"error": ...}`.
    """

    def endpoint(http: HttpRequest) -> Response:
        asked = http.query_params
        wrong, metadata = _wrong(asked), _metadata(asked.get("metadata", "{}"))
        if metadata is None:
            wrong = wrong or "metadata: write a JSON object of objects by namespace"
        if wrong or metadata is None:
            return JSONResponse({"error": wrong}, status_code=400)
        lines = [line.partition(":") for line in asked.getlist("header")]
        headers = [(":method", asked.get("method", "GET")), (":authority", asked.get("host", ""))]
        headers += [(name, value) for name, _, value in lines]
        in_force = desk.in_force()
        encoded = [(name, value.encode()) for name, value in headers]
        request = request_from(encoded, asked.get("path", "/"), asked.get("route", ""), metadata)
        walks = explain(request, in_force.plan, context_of(request, in_force, desk, desk.now()))
        wanted = asked.get("experiment")
        if wanted is not None:
            walks = tuple(walk for walk in walks if walk.experiment.id == wanted)
            if not walks:
                return JSONResponse({"error": f"the plan has no experiment {wanted!r}"}, status_code=404)
        return JSONResponse(walks_document(walks, in_force.plan))

    return endpoint


def _wrong(parameters: QueryParams) -> str:
    unknown = sorted(set(parameters) - _PARAMETERS)
    if unknown:
        return f"unknown parameter {unknown[0]!r}; known: {', '.join(sorted(_PARAMETERS))}"
    lines = parameters.getlist("header")
    lacking = next((line for line in lines if not line.partition(":")[0].strip() or ":" not in line), None)
    if lacking is not None:
        return f"header {lacking!r}: write `name: value`"
    twice = sorted(n for n in _PARAMETERS - {"header"} if len(parameters.getlist(n)) > 1)
    return f"parameter {twice[0]!r} comes twice" if twice else ""


def _metadata(text: str) -> _Metadata | None:
    try:
        return msgspec.json.decode(text, type=_Metadata)
    except (msgspec.DecodeError, UnicodeError):
        return None
