"""A whole trial on free loopback ports: models, collector, sidecar, Envoy."""

import hashlib
import hmac
import http.client
import json
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from e2e.upstreams import models
from meshtrial.demo.envoy import Envoy
from meshtrial.demo.envoy import envoy as run_envoy
from meshtrial.demo.programs import Started, program
from meshtrial.emit.envoy import envoy as emit_envoy
from meshtrial.emit.target import Target
from meshtrial.errors import NoData
from meshtrial.plan.load import load
from meshtrial.store.read import connect

HEALTHY = "cluster.meshtrial.membership_healthy"
SECRETS = {"MESHTRIAL_KEY": "an end-to-end test's key", "MESHTRIAL_TOKEN": "an end-to-end test's token"}


def arm_of(unit: str, salt: str) -> str:
    """The textbook, for two equal arms: md5 of `salt:unit`, modulo 10,000, half of it."""
    return "v2" if int(hashlib.md5(f"{salt}:{unit}".encode()).hexdigest(), 16) % 10_000 < 5_000 else "v1"


def pseudonym(kind: str, unit: str) -> str:
    """A unit as it is recorded."""
    key = SECRETS["MESHTRIAL_KEY"].encode()
    return hmac.new(key, f"{kind}\0{unit}".encode(), hashlib.sha256).hexdigest()[:32]


def until(reached: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for a condition; a test fails where it never comes true."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


@dataclass
class Trial:
    """Everything that runs."""

    directory: Path
    envoy: Envoy
    collector: Started
    sidecar: Started
    stack: ExitStack

    @property
    def proxy(self) -> str:
        return self.envoy.listeners[0]

    def healthy(self) -> bool:
        return self.envoy.stats(HEALTHY).get(HEALTHY) == 1

    def kill_sidecar(self) -> None:
        self.sidecar.process.signal(signal.SIGKILL)
        self.sidecar.process.child.wait()

    def start_sidecar(self) -> None:
        self.sidecar = self.stack.enter_context(sidecar(self.directory, self.collector))

    def metric(self, sample: str) -> float:
        """One sample of the sidecar's /metrics."""
        host = self.sidecar.where["admin"].removeprefix("http://")
        connection = http.client.HTTPConnection(host, timeout=10)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        return next(float(line.split()[-1]) for line in lines if line.startswith(sample + " "))

    def access_log(self, requests: int) -> list[dict[str, Any]]:
        """Envoy's lines, once there is one for each request."""
        path = self.directory / "access.jsonl"
        until(lambda: path.read_text().count("\n") >= requests)
        return [json.loads(line) for line in path.read_text().splitlines()]

    def exposures(self, at_least: int) -> list[dict[str, Any]]:
        """Stored exposures, each once, when this many have come and no more follow."""
        query = (
            "SELECT TraceId AS trace_id, Experiment AS experiment, Arm AS arm, Exposed AS exposed, "
            "SpanAttributes['feature_flag.context.id'] AS unit, "
            "SpanAttributes['feature_flag.version'] AS plan "
            "FROM otel_traces WHERE SpanName = 'meshtrial.exposure'"
        )

        def rows() -> list[dict[str, Any]]:
            try:
                with connect(self.directory / "store") as connection:
                    found = connection.execute(query)
                    names = [column[0] for column in found.description or ()]
                    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
            except NoData:
                return []

        until(lambda: len(rows()) >= at_least)
        time.sleep(1)
        return rows()

    def stored(self, where: str) -> list[dict[str, Any]]:
        """The stored spans of which an SQL condition holds, once the sidecar has handed everything over."""
        until(lambda: self.metric("meshtrial_exposures_waiting_bytes") == 0)
        with connect(self.directory / "store") as connection:
            found = connection.execute(f"{_STORED} WHERE {where}")
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def recorded(self, experiment: str) -> list[dict[str, Any]]:
        """The stored exposures of an experiment."""
        return self.stored(f"SpanName = 'meshtrial.exposure' AND Experiment = '{experiment}'")

    def stop_sidecar(self) -> None:
        """Kill it, and wait until Envoy asks it no more."""
        self.kill_sidecar()
        until(lambda: not self.healthy())

    def stop_collector(self) -> None:
        """In order, so that all it took is on disk."""
        self.collector.process.signal(signal.SIGTERM)
        self.collector.process.child.wait()

    def restart_collector(self) -> None:
        """After `stop_collector`: start it where it was."""
        grpc, http = (self.collector.where[door] for door in ("otlp_grpc", "otlp_http"))
        again = collecting(self.directory, grpc=grpc, http=http.removeprefix("http://"))
        self.collector = self.stack.enter_context(again)

    def restart_sidecar(self) -> None:
        """After `stop_sidecar`: start it, and wait until Envoy asks it again."""
        self.start_sidecar()
        until(self.healthy)


_STORED = """
SELECT Experiment AS experiment, Arm AS arm, Reason AS reason, Exposed AS exposed, Cohort AS cohort,
  "Window" AS "window", UnitKind AS kind, Outcome AS outcome, OutcomeValues AS outcome_values,
  SpanAttributes['feature_flag.context.id'] AS unit, SpanAttributes['meshtrial.group.id'] AS "group"
FROM otel_traces"""


@contextmanager
def sidecar(directory: Path, collector: Started) -> Iterator[Started]:
    """`meshtrial serve` on a socket of the directory."""
    plan = directory / "plan.yaml"
    source = ["--envoy"] if "static_resources:" in plan.read_text() else []
    arguments = ["-m", "meshtrial", "serve", *source, str(plan), "--admin", "127.0.0.1:0"]
    arguments += ["--listen", f"unix:{directory / 's'}", "--collector", collector.where["otlp_http"]]
    arguments += ["--spool", str(directory / "spool")]
    with program("serve", arguments, directory, SECRETS) as started:
        yield started


@contextmanager
def collecting(
    directory: Path, *flags: str, grpc: str = "127.0.0.1:0", http: str = "127.0.0.1:0"
) -> Iterator[Started]:
    """`meshtrial collect` on free ports, its store in the directory."""
    arguments = ["-m", "meshtrial", "collect", "--store", str(directory / "store"), *flags]
    arguments += ["--otlp-grpc", grpc, "--otlp-http", http]
    with program("collect", arguments, directory, SECRETS) as started:
        yield started


@contextmanager
def trial(
    plan: str,
    serve: str = "",
    adapt: Callable[[str], str] = str,
    onward: str | None = None,
    between: Callable[[str], AbstractContextManager[str]] | None = None,
    **changes: Any,
) -> Iterator[Trial]:
    """Run a plan; the block begins when Envoy finds the sidecar healthy.

    `serve` is the sidecar's plan where it is another, `adapt` changes Envoy's emitted configuration,
    `onward` is where models ask the next one, `between` runs what the sidecar speaks to instead of the
    collector, whose URL it gets.
    """
    # Not pytest's directory: a socket's path has 107 bytes at most.
    directory = Path(tempfile.mkdtemp(prefix="mt-"))
    compiled = load(plan, "plan.yaml")
    (directory / "plan.yaml").write_text(serve or plan)
    clusters = {arm.cluster for experiment in compiled.experiments for arm in experiment.arms}
    named = sorted(name for name in (*clusters, changes.get("default_cluster")) if name is not None)
    try:
        with ExitStack() as stack:
            upstreams = stack.enter_context(models(*named, onward=onward))
            collector = stack.enter_context(collecting(directory))
            receiver = collector
            if between is not None:
                relayed = stack.enter_context(between(collector.where["otlp_http"]))
                receiver = replace(collector, where={**collector.where, "otlp_http": relayed})
            started = stack.enter_context(sidecar(directory, receiver))
            target = Target(
                **{
                    "listen": "127.0.0.1:0",
                    "endpoints": {name: (address,) for name, address in upstreams.items()},
                    "sidecar": f"unix:{directory / 's'}",
                    "collector": collector.where["otlp_grpc"],
                    "admin": "127.0.0.1:0",
                    "access_log": str(directory / "access.jsonl"),
                    **changes,
                }
            )
            envoy = stack.enter_context(run_envoy(adapt(emit_envoy(compiled, target)), directory))
            running = Trial(directory, envoy, collector, started, stack)
            until(running.healthy)
            yield running
    finally:
        shutil.rmtree(directory)


@contextmanager
def patient(plan: str, adapt: Callable[[str], str] = str, **arguments: Any) -> Iterator[Trial]:
    """A trial whose decisions may take long: for who goes where, on however busy a machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MESHTRIAL_LATE_AFTER", "0")
        with trial(plan, adapt=lambda text: patiently(adapt(text)), **arguments) as running:
            yield running


def patiently(configuration: str) -> str:
    """An emitted configuration that takes no sidecar for hung: one that is dead it notices as before."""
    for emitted in ("message_timeout: 0.050s", " timeout: 0.200s"):  # of a decision, of a health check
        assert configuration.count(emitted) == 1, emitted
        configuration = configuration.replace(emitted, f"{emitted.partition(': ')[0]}: 10s")
    return configuration
