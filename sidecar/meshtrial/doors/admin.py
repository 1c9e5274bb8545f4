"""The sidecar's own HTTP page for operators: /healthz and /metrics."""

from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from meshtrial.plan.model import Plan
from meshtrial.record.delivery import Counts


def admin_app(plan: Plan, recording: Callable[[], Counts], registry: CollectorRegistry) -> Starlette:
    """The application; /healthz is 200 while decisions are made, whatever becomes of the recording."""

    async def healthz(_: Request) -> Response:
        recorded = recording().health()
        components = {"plan": {"status": "ok", "digest": plan.digest}, "recording": recorded}
        return JSONResponse({"status": recorded["status"], "components": components})

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/healthz", healthz), Route("/metrics", metrics)])
