"""What one run measured."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """One variant under one pace in one round."""

    variant: str
    pace: str
    round: int
    requests: int
    seconds: float
    p50_us: float
    p99_us: float
    cpu_us: dict[str, float]
    """CPU time per request in microseconds, by part: envoy, sidecar, collector."""
    broken: int
    """Connections that failed, broke or timed out."""
    not_2xx: int
    failed_open: int
    """Requests that Envoy sent on without an answer of the sidecar."""
    late: int
    """Requests that our sidecar found too old to decide."""
    treated: int
    """Requests that went to the treatment's cluster."""


@dataclass(frozen=True, slots=True)
class Results:
    """One whole run."""

    machine: dict[str, str]
    settings: dict[str, int]
    samples: tuple[Sample, ...]
    exposures: dict[str, dict[str, int]]
    """What became of them, by variant: accepted, delivered, overflowed, failed, rejected."""
    assigned: dict[str, int]
    """Requests that our sidecar decided, by variant; each makes one exposure."""
    parts_us: dict[str, float]
    """Microseconds of each part of one request, within a process."""
