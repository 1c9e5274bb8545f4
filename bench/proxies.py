"""The Envoys of the benchmark: the upstream, and the proxy of each variant on one worker thread."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from meshtrial.demo.envoy import Envoy, binary
from meshtrial.demo.processes import Program, running
from meshtrial.emit.clusters import COLLECTOR, SIDECAR
from meshtrial.emit.envoy import envoy as emitted
from meshtrial.emit.target import Target
from meshtrial.names import EXT_PROC_FILTER
from meshtrial.plan.model import Plan
from meshtrial.plan.needs import needs_of

ANYWHERE = "127.0.0.1:0"
_NOBODY = "127.0.0.1:1"
"""Stands in a configuration for what it will not use."""


def configuration(
    plan: Plan, access_log: Path, upstream: str, sidecar: str | None = None, collector: str | None = None
) -> str:
    """What `meshtrial emit envoy` prints, less the parts that a variant is without.

    Args:
        plan: Its clusters all lead to the upstream.
        access_log: File of the access log.
        upstream: `HOST:PORT` of the model's stand-in.
        sidecar: `HOST:PORT` of what decides; without it the filter that asks is left out.
        collector: `HOST:PORT` that Envoy's own spans and its events of requests go to; without it there are
            none.
    """
    names = needs_of(plan).clusters
    target = Target(
        listen=ANYWHERE,
        endpoints=dict.fromkeys(names, (upstream,)),
        sidecar=sidecar or _NOBODY,
        collector=collector or _NOBODY,
        admin=ANYWHERE,
        access_log=str(access_log),
    )
    whole = yaml.safe_load(emitted(plan, target))
    manager = whole["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    absent = set()
    if sidecar is None:
        absent.add(SIDECAR)
        manager["http_filters"] = [f for f in manager["http_filters"] if f["name"] != EXT_PROC_FILTER]
    if collector is None:
        absent.add(COLLECTOR)
        del manager["tracing"]
        del manager["access_log"][1:]
    clusters = whole["static_resources"]["clusters"]
    whole["static_resources"]["clusters"] = [c for c in clusters if c["name"] not in absent]
    return yaml.safe_dump(whole, sort_keys=False)


def upstream_configuration() -> str:
    """A listener that answers every request itself: the cheapest model there is."""
    kind = "type.googleapis.com/envoy.extensions.filters"
    manager: dict[str, Any] = {
        "@type": f"{kind}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "model",
        "http_filters": [
            {"name": "router", "typed_config": {"@type": f"{kind}.http.router.v3.Router"}},
        ],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "model",
                    "domains": ["*"],
                    "routes": [
                        {
                            "match": {"prefix": "/"},
                            "direct_response": {
                                "status": 200,
                                "body": {"inline_string": '{"items": [1, 2, 3]}'},
                            },
                        }
                    ],
                }
            ]
        },
    }
    listener = {
        "address": _free_port(),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return yaml.safe_dump({"admin": {"address": _free_port()}, "static_resources": {"listeners": [listener]}})


def _free_port() -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": 0}}


@contextmanager
def one_worker(configuration: str, directory: Path) -> Iterator[Envoy]:
    """Run Envoy with one worker thread, so that its CPU time is that of one path.

    Args:
        configuration: YAML of one listener and an admin interface, both on port 0.
        directory: Exists; gets the configuration, the log and the admin interface's address.

    Raises:
        SettingError: Envoy is not installed.
        NotStarted: Envoy refused the configuration or did not come up.
    """
    written, admin_file = directory / "envoy.yaml", directory / "admin.txt"
    written.write_text(configuration)
    command = [str(binary()), "-c", str(written), "--admin-address-path", str(admin_file)]
    command += ["--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warning"]
    with running(Program("Envoy", command, directory / "envoy.log"), lambda: _ready(admin_file)) as process:
        admin = admin_file.read_text()
        listeners = tuple(line.split("::", 1)[1] for line in _get(admin, "listeners").splitlines())
        yield Envoy(process, admin, listeners)


def _ready(admin_file: Path) -> bool:
    try:
        return _get(admin_file.read_text(), "ready") == "LIVE\n"
    except (OSError, ValueError):  # no file yet, a half-written one, or nobody there
        return False


def _get(admin: str, page: str) -> str:
    with urllib.request.urlopen(f"http://{admin}/{page}", timeout=2) as answer:
        body: bytes = answer.read()
    return body.decode()
