"""An emitted configuration, taken apart as a reader of its YAML would."""

import re
from dataclasses import dataclass
from typing import Any

import yaml

from meshtrial.emit.envoy import envoy
from meshtrial.emit.target import Target
from meshtrial.plan.model import Plan
from meshtrial.plan.needs import needs_of


def target_for(plan: Plan, **changes: Any) -> Target:
    """A target with one endpoint for each of the plan's clusters, and for the default one."""
    default = changes.get("default_cluster")
    clusters = dict.fromkeys([*needs_of(plan).clusters, *([default] if default else [])])
    settings = {
        "listen": "127.0.0.1:10000",
        "endpoints": dict.fromkeys(clusters, ("127.0.0.1:8000",)),
        "sidecar": "127.0.0.1:9002",
        "collector": "127.0.0.1:4317",
    }
    return Target(**{**settings, **changes})


@dataclass(frozen=True, slots=True)
class Emitted:
    """The parts of a configuration that tests look at."""

    whole: dict[str, Any]

    @classmethod
    def of(cls, plan: Plan, **changes: Any) -> "Emitted":
        """Emit the plan for `target_for` it, and read the YAML."""
        return cls(yaml.safe_load(envoy(plan, target_for(plan, **changes))))

    @property
    def manager(self) -> dict[str, Any]:
        """The HTTP connection manager of the one listener."""
        listener = self.whole["static_resources"]["listeners"][0]
        first: dict[str, dict[str, Any]] = listener["filter_chains"][0]["filters"][0]
        return first["typed_config"]

    @property
    def ext_proc(self) -> dict[str, Any]:
        """The filter that asks the sidecar."""
        return self.filters["envoy.filters.http.ext_proc"]

    @property
    def filters(self) -> dict[str, dict[str, Any]]:
        """Every HTTP filter's configuration by name, in order."""
        return {each["name"]: each["typed_config"] for each in self.manager["http_filters"]}

    @property
    def routes(self) -> list[dict[str, Any]]:
        """All routes, in order."""
        host: dict[str, list[dict[str, Any]]] = self.manager["route_config"]["virtual_hosts"][0]
        return host["routes"]

    @property
    def clusters(self) -> dict[str, dict[str, Any]]:
        """All clusters by name."""
        return {cluster["name"]: cluster for cluster in self.whole["static_resources"]["clusters"]}

    def way(
        self, path: str, chosen: str | None = None, host: str = "any", method: str = "GET", **headers: str
    ) -> str | None:
        """The cluster that a request goes to, by Envoy's rules; None if Envoy answers itself.

        `chosen` is the sidecar's; other headers are written with `_` for `-`.
        Source: https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto
        """
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent |= {":authority": host, ":method": method}
        sent |= {} if chosen is None else {"x-meshtrial-cluster": chosen}
        for route in self.routes:
            asked = route["match"].get("headers", [])
            if path.startswith(route["match"]["prefix"]) and all(_met(header, sent) for header in asked):
                return route["route"]["cluster"] if "route" in route else None
        raise AssertionError(path)


def _met(matcher: dict[str, Any], sent: dict[str, str]) -> bool:
    value, asked = sent.get(matcher["name"]), matcher["string_match"]
    if value is None:
        return False
    if "exact" in asked:
        return bool(value == asked["exact"])
    return bool(re.fullmatch(asked["safe_regex"]["regex"], value))
