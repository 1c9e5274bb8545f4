"""Where things listen and where they are reached: what an emission needs besides the plan."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """The surroundings of one Envoy; every address is `HOST:PORT`, an IPv6 host in brackets."""

    listen: str
    """Address that clients connect to: an IP address and a port, 0 for a free one."""
    endpoints: Mapping[str, tuple[str, ...]]
    """Addresses of each cluster, at least one, by the cluster's name."""
    sidecar: str
    """Address of `meshtrial serve`, or `unix:/path` of its socket."""
    collector: str
    """Address of the OTLP/gRPC receiver that spans go to."""
    admin: str | None = None
    """Loopback address of Envoy's admin interface, None for no such interface."""
    message_timeout_ms: int = 50
    """Milliseconds that a request waits for a decision before it goes to control, at least 1.

    50: a decision takes about 1, and a model's caller should not notice an absent sidecar.
    """
    access_log: str | None = None
    """File that the access log is appended to, None for standard output."""
    default_cluster: str | None = None
    """Cluster for requests outside every experiment; None answers them with 404."""
