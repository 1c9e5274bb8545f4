"""A whole trial on free loopback ports: models, collector, sidecar, Envoy; and the load of some clients."""

import http.client
import json
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from e2e.upstreams import models
from meshtrial.demo.envoy import Envoy
from meshtrial.demo.envoy import envoy as run_envoy
from meshtrial.demo.programs import Started, program
from meshtrial.emit.envoy import envoy as emit_envoy
from meshtrial.emit.target import Target
from meshtrial.errors import NoData
from meshtrial.plan.load import load
from meshtrial.store.read import connect
from proof import often

HEALTHY = "cluster.meshtrial.membership_healthy"
SECRETS = {"MESHTRIAL_KEY": "an end-to-end test's key", "MESHTRIAL_TOKEN": "an end-to-end test's token"}


def until(reached: Callable[[], bool], seconds: float = 20.0) -> None:
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


@contextmanager
def sidecar(directory: Path, collector: Started) -> Iterator[Started]:
    """`meshtrial serve` on a socket of the directory."""
    arguments = ["-m", "meshtrial", "serve", str(directory / "plan.yaml"), "--admin", "127.0.0.1:0"]
    arguments += ["--listen", f"unix:{directory / 's'}", "--collector", collector.where["otlp_http"]]
    arguments += ["--spool", str(directory / "spool")]
    with program("serve", arguments, directory, SECRETS) as started:
        yield started


@contextmanager
def collecting(directory: Path, *flags: str) -> Iterator[Started]:
    """`meshtrial collect` on free ports, its store in the directory."""
    arguments = ["-m", "meshtrial", "collect", "--store", str(directory / "store"), *flags]
    arguments += ["--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0"]
    with program("collect", arguments, directory, SECRETS) as started:
        yield started


@contextmanager
def trial(plan: str, serve: str = "", adapt: Callable[[str], str] = str, **changes: Any) -> Iterator[Trial]:
    """Run a plan; the block begins when Envoy finds the sidecar healthy.

    `serve` is the sidecar's plan where it is another, `adapt` changes Envoy's emitted configuration.
    """
    # Not pytest's directory: a socket's path has 107 bytes at most.
    directory = Path(tempfile.mkdtemp(prefix="mt-"))
    compiled = load(plan, "plan.yaml")
    (directory / "plan.yaml").write_text(serve or plan)
    clusters = {arm.cluster for experiment in compiled.experiments for arm in experiment.arms}
    try:
        with ExitStack() as stack:
            upstreams = stack.enter_context(models(*clusters))
            collector = stack.enter_context(collecting(directory))
            started = stack.enter_context(sidecar(directory, collector))
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


@dataclass
class Load:
    """Clients that ask without a pause until they are told to stop; bounded in time."""

    proxy: str
    users: int = 400
    clients: int = 3
    pause: float = 0.002
    answers: list[tuple[str, int, str]] = field(default_factory=list)
    """User, status, model of each request; status 0 where the connection failed."""

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(self.clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, more: int) -> None:
        """Until so many more requests were answered."""
        enough = len(self.answers) + more
        until(lambda: len(self.answers) >= enough)

    def _ask(self, client: int) -> None:
        connection = http.client.HTTPConnection(self.proxy, timeout=10)
        deadline = time.monotonic() + often(120, 1200)
        number = client
        while not self._stop.is_set() and time.monotonic() < deadline:
            user = f"user-{number % self.users}"
            number += self.clients
            try:
                connection.request("GET", "/recommend", headers={"x-user-id": user})
                response = connection.getresponse()
                body = response.read()
                model = json.loads(body)["model"] if response.status == 200 else ""
                self.answers.append((user, response.status, model))
            except (OSError, http.client.HTTPException):
                self.answers.append((user, 0, ""))
                connection.close()
            self._stop.wait(self.pause)
        connection.close()
