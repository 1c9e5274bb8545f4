"""An emitted configuration, taken apart as a reader of its YAML would."""

from dataclasses import dataclass
from typing import Any

import yaml

from meshtrial.emit.envoy import envoy
from meshtrial.emit.target import Target
from meshtrial.plan.model import Plan
from meshtrial.plan.needs import needs_of


def target_for(plan: Plan, **changes: Any) -> Target:
    """A target with one endpoint for each of the plan's clusters."""
    clusters = needs_of(plan).clusters
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
        first: dict[str, dict[str, Any]] = self.manager["http_filters"][0]
        return first["typed_config"]

    @property
    def routes(self) -> list[dict[str, Any]]:
        """All routes, in order."""
        host: dict[str, list[dict[str, Any]]] = self.manager["route_config"]["virtual_hosts"][0]
        return host["routes"]

    @property
    def clusters(self) -> dict[str, dict[str, Any]]:
        """All clusters by name."""
        return {cluster["name"]: cluster for cluster in self.whole["static_resources"]["clusters"]}

    def way(self, path: str, chosen: str | None = None) -> str | None:
        """The cluster that a request goes to, by Envoy's rules; None if Envoy answers itself.

        Source: https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto
        """
        for route in self.routes:
            asked = [h["string_match"]["exact"] for h in route["match"].get("headers", [])]
            if path.startswith(route["match"]["prefix"]) and all(chosen == name for name in asked):
                return route["route"]["cluster"] if "route" in route else None
        raise AssertionError(path)
