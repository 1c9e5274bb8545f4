"""Rounds of load over all variants -> Results."""

import os
import platform
import random
import subprocess
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from cpu import cpu_seconds
from load import PACES, Pace, load, wrk
from parts import parts_us
from results import Results, Sample
from rich.progress import track
from variants import PLAN, VARIANTS, Variant, all_variants

from meshtrial.cli.plan_file import read_plan
from meshtrial.demo.envoy import binary

_SEED = 3
"""Of the order within a round: so that nobody always runs after the same neighbour."""
_TREATED = "cluster.model-v2.upstream_rq_total"
_FAILED_OPEN = "http.ingress.ext_proc.failure_mode_allowed"


def measured(seconds: int, rounds: int) -> Results:
    """Start everything once, then let the variants take turns.

    Args:
        seconds: Length of each load.
        rounds: How often each variant meets each pace.

    Raises:
        SettingError: wrk or Envoy is not installed.
        NotStarted: Something did not come up, or what was recorded did not arrive.
    """
    wrk()
    machine = _machine()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        parts = parts_us(read_plan(PLAN), directory)
        with all_variants(directory) as variants:
            ours = {name: variant for name, variant in variants.items() if variant.collector is not None}
            before = {name: _recorded_at_start(variant) for name, variant in ours.items()}
            samples = tuple(_rounds(variants, seconds, rounds))
            return Results(
                machine=machine,
                settings={"seconds": seconds, "rounds": rounds},
                samples=samples,
                exposures={name: _since(before[name], variant.exposures()) for name, variant in ours.items()},
                assigned={name: variant.messages()["assigned"] for name, variant in ours.items()},
                parts_us=parts,
            )


def _recorded_at_start(variant: Variant) -> dict[str, int]:
    """What a sidecar records and delivers before any request comes: its plan."""
    variant.settle()
    return variant.exposures()


def _since(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    return {state: count - before[state] for state, count in now.items()}


def _rounds(variants: Mapping[str, Variant], seconds: int, rounds: int) -> list[Sample]:
    for pace in PACES:
        for variant in variants.values():
            _sample(variant, pace, 0, 1)  # first uses are slower, and nobody's figure
    order = random.Random(_SEED)
    turns = [
        (number, pace, name)
        for number in range(1, rounds + 1)
        for pace in PACES
        for name in order.sample(VARIANTS, len(VARIANTS))
    ]
    samples = [
        _sample(variants[name], pace, number, seconds)
        for number, pace, name in track(turns, f"{rounds} rounds of {seconds} s")
    ]
    paces = [pace.name for pace in PACES]
    return sorted(samples, key=lambda s: (s.round, paces.index(s.pace), VARIANTS.index(s.variant)))


def _sample(variant: Variant, pace: Pace, number: int, seconds: int) -> Sample:
    before = _state(variant)
    met = load(variant.proxy.listeners[0], pace, seconds)
    variant.settle()
    after = _state(variant)
    spent = {name: after[name] - before[name] for name in before}
    return Sample(
        variant=variant.name,
        pace=pace.name,
        round=number,
        requests=met.requests,
        seconds=met.seconds,
        p50_us=met.p50_us,
        p99_us=met.p99_us,
        cpu_us={part: round(spent[part] / met.requests * 1e6, 1) for part in variant.pids},
        broken=met.broken,
        not_2xx=met.not_2xx,
        failed_open=int(spent[_FAILED_OPEN]),
        late=int(spent["late"]),
        treated=int(spent[_TREATED]),
    )


def _state(variant: Variant) -> dict[str, float]:
    """Everything that only grows: CPU seconds by part, and counts."""
    counts = {name: variant.proxy.stats(name).get(name, 0) for name in (_FAILED_OPEN, _TREATED)}
    late = variant.messages().get("late", 0)
    return {**{part: cpu_seconds(pid) for part, pid in variant.pids.items()}, **counts, "late": late}


def _machine() -> dict[str, str]:
    said = subprocess.run([str(binary()), "--version"], check=True, capture_output=True, text=True).stdout
    return {
        "taken": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "envoy": said.split("/")[-4],
        "grpcio": version("grpcio"),
        "protobuf": version("protobuf"),
        "load average before": f"{os.getloadavg()[0]:.2f}",
    }
