"""The sidecar's own HTTP page for operators: /healthz, /metrics, /v1/explain."""

from collections.abc import Callable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from meshtrial.doors.live import PlanState
from meshtrial.record.delivery import Counts
from meshtrial.state.sticky import Sticky


def admin_app(
    plan: Callable[[], PlanState],
    recording: Callable[[], Counts],
    sticky: Sticky,
    registry: CollectorRegistry,
    explain: Callable[[Request], Response],
) -> Starlette:
    """The application; /healthz is 200 while decisions are made, whatever becomes of all else."""

    async def healthz(_: Request) -> Response:
        components: dict[str, Mapping[str, object]]
        components = {
            "plan": plan().health(),
            "recording": recording().health(),
            "sticky": sticky.health(),
        }
        well = all(component["status"] == "ok" for component in components.values())
        return JSONResponse({"status": "ok" if well else "degraded", "components": components})

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    routes = [Route("/healthz", healthz), Route("/metrics", metrics), Route("/v1/explain", explain)]
    return Starlette(routes=routes)
