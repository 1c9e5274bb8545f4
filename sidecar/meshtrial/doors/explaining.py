"""`GET /v1/explain`: the walk of a request, by the plan in force and what this sidecar has kept."""

from collections.abc import Callable

from starlette.datastructures import QueryParams
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from meshtrial.assign.explain import explain, walks_document
from meshtrial.assign.request import request_from
from meshtrial.doors.desk import Desk
from meshtrial.doors.knowledge import context_of

_PARAMETERS = frozenset(["header", "path", "host", "method", "route", "experiment"])


def explaining(desk: Desk) -> Callable[[HttpRequest], Response]:
    """The endpoint; parameters as the flags of `meshtrial explain`.

    `header` comes once for each header, as `name: value`; `experiment` asks for one walk alone. A wrong
    parameter is answered with 400 and `{"error": ...}`.
    """

    def endpoint(http: HttpRequest) -> Response:
        wrong = _wrong(http.query_params)
        if wrong:
            return JSONResponse({"error": wrong}, status_code=400)
        asked = http.query_params
        lines = [line.partition(":") for line in asked.getlist("header")]
        headers = [(":method", asked.get("method", "GET")), (":authority", asked.get("host", ""))]
        headers += [(name, value) for name, _, value in lines]
        in_force = desk.in_force()
        encoded = [(name, value.encode()) for name, value in headers]
        request = request_from(encoded, asked.get("path", "/"), asked.get("route", ""), {})
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
    lacking = next((line for line in parameters.getlist("header") if ":" not in line), None)
    return "" if lacking is None else f"header {lacking!r}: write `name: value`"
