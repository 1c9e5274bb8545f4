"""What the files of tests/doctor are held to."""

from pathlib import Path

from meshtrial.plan.needs import Needs

FILES = Path(__file__).parent / "doctor"
NEEDS = Needs(
    headers=(":path", "x-user-id"),
    attributes=("request.time",),
    metadata=(),
    set_headers=("x-model-version",),
    response=False,
    set_cookie=False,
    outcome_header=False,
    clusters=("model-v1", "model-v2"),
    request_id=False,
    request_log=False,
)
"""Users by `x-user-id` on a path, one header of an arm."""
