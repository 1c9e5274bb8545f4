"""One case of assignments.json: a request, what is known besides it, and the answer."""

import base64
from typing import Any

from vectors.deciding import decision, pseudonym, to_model
from vectors.plan_list import PLANS

Json = dict[str, Any]
Headers = list[tuple[str, bytes]]


def case(
    name: str,
    plan: str,
    headers: Headers,
    path: str = "/",
    route: str = "",
    *,
    metadata: Any = None,
    **context: Any,
) -> Json:
    shown = [[header, portable(value)] for header, value in headers]
    request = {"path": path, "route": route, "headers": shown, "metadata": metadata or {}}
    entries = decision(PLANS[plan], request, context)
    made = {"name": name, "plan": plan, "request": request, "context": context, "decision": entries}
    return {**made, **to_model(PLANS[plan], entries)}


def portable(value: bytes) -> str | Json:
    """Text where it is UTF-8, else base64."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def user(name: str) -> tuple[str, bytes]:
    return "x-user-id", name.encode()


KEY = "sixteen bytes ok"
CARRIED_PHASE = "ffeeddccbbaa9988"


def carried(experiment: str, arm: str, unit: str, kind: str = "header:x-user-id") -> Json:
    """What the context of a case with a carried arm has: the key, and the arm bound to its unit."""
    bound = pseudonym(kind, unit.encode(), {"key": KEY})
    return {
        "key": KEY,
        "carried": {experiment: {"arm": arm, "unit": bound, "kind": kind, "phase": CARRIED_PHASE}},
    }
