"""wrk as a function: so many seconds of requests in, what they met out."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from meshtrial.errors import NotStarted, SettingError

_SCRIPT = Path(__file__).with_name("users.lua")
_GRACE = 30
"""Seconds after which a wrk that should have ended is ended."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How clients behave: each connection has one request under way, then thinks, then sends the next."""

    name: str
    connections: int
    think_ms: int | None
    """Mean of the time from an answer to the next request; None for none."""


STEADY = Pace("steady", 32, 60)
"""Some 500 requests a second whatever is measured: costs and latencies at one and the same rate."""
FULL = Pace("full", 8, None)
"""As fast as answers come. Eight keep an Envoy worker busy, and what waits in the queues stays far below
the sidecar's 25 ms."""
PACES = (STEADY, FULL)


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw."""

    requests: int
    """Answers that came within the time."""
    seconds: float
    p50_us: float
    """Median latency, microseconds; the next likewise at 99%."""
    p99_us: float
    broken: int
    """Connections that failed, broke or timed out."""
    not_2xx: int
    """Answers with status 400 or above."""


def wrk() -> str:
    """Path of the load generator.

    Raises:
        SettingError: It is not installed.
    """
    found = shutil.which("wrk")
    if found is None:
        raise SettingError("wrk, which makes the load, is not installed: apt-get install wrk")
    return found


def load(address: str, pace: Pace, seconds: int) -> Load:
    """Send requests to `HOST:PORT` for this long.

    Raises:
        SettingError: wrk is not installed.
        NotStarted: wrk failed; the message has its own words.
    """
    command = [wrk(), "--threads", "1", "--connections", str(pace.connections), "--duration", f"{seconds}s"]
    command += ["--script", str(_SCRIPT), f"http://{address}", "--"]
    command += [] if pace.think_ms is None else [str(pace.think_ms)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=seconds + _GRACE)
    if done.returncode:
        raise NotStarted(f"wrk failed: {done.stderr or done.stdout}")
    return Load(**json.loads(done.stderr.splitlines()[-1]))
