"""The four things compared, as context managers: each with an Envoy of its own, all up at once."""

import json
import secrets
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cpu import cpu_seconds
from proxies import ANYWHERE, configuration, one_worker, upstream_configuration

from meshtrial.cli.plan_file import read_plan
from meshtrial.demo.envoy import Envoy
from meshtrial.demo.programs import Started, program
from meshtrial.errors import NotStarted

BARE, BASELINE, MESHTRIAL, TRACED = "bare", "baseline", "meshtrial", "meshtrial+spans"
VARIANTS = (BARE, BASELINE, MESHTRIAL, TRACED)
PLAN = Path(__file__).with_name("plan.yaml")
_BASELINE = Path(__file__).with_name("baseline.py")
_CALM = 0.3
"""Seconds without work that end a load."""
_PATIENCE = 20.0
"""Seconds for Envoy to find the sidecar healthy, and for what was recorded to be delivered."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One that runs; None for what it is without."""

    name: str
    proxy: Envoy
    sidecar: Started | None
    collector: Started | None

    @property
    def pids(self) -> dict[str, int]:
        """Its processes by the name of their part."""
        found = {"envoy": self.proxy.process.child.pid}
        if self.sidecar is not None:
            found["sidecar"] = self.sidecar.process.child.pid
        if self.collector is not None:
            found["collector"] = self.collector.process.child.pid
        return found

    def settle(self) -> None:
        """Wait until what the last load left behind is done: its CPU time is that load's, and no other's."""
        if self.collector is not None:
            until(lambda: self._waiting() == 0, "the exposures were not delivered")
        time.sleep(_CALM)
        until(self._is_calm, f"{self.name} did not come to rest")

    def messages(self) -> dict[str, int]:
        """What became of the proxy's messages since the start; empty without our sidecar."""
        return self._metric("meshtrial_messages_total", "result")

    def exposures(self) -> dict[str, int]:
        """What became of the exposures since the start; empty without our sidecar."""
        return self._metric("meshtrial_exposures_total", "state")

    def _is_calm(self) -> bool:
        """No more work than health checks; what the store rolls into segments may last for seconds."""
        before = sum(map(cpu_seconds, self.pids.values()))
        time.sleep(_CALM)
        return sum(map(cpu_seconds, self.pids.values())) - before < 0.1 * _CALM

    def _waiting(self) -> int:
        waiting: int = json.loads(self._admin("healthz"))["components"]["recording"]["waiting_bytes"]
        return waiting

    def _metric(self, name: str, label: str) -> dict[str, int]:
        if self.collector is None:
            return {}
        start = f'{name}{{{label}="'
        lines = [line for line in self._admin("metrics").splitlines() if line.startswith(start)]
        pairs = [line.removeprefix(start).split('"} ') for line in lines]
        return {value: int(float(count)) for value, count in pairs}

    def _admin(self, page: str) -> str:
        assert self.sidecar is not None
        with urllib.request.urlopen(f"{self.sidecar.where['admin']}/{page}", timeout=5) as answer:
            body: bytes = answer.read()
        return body.decode()


@contextmanager
def all_variants(directory: Path) -> Iterator[dict[str, Variant]]:
    """Run the upstream and every variant; their logs and stores go to folders of `directory`.

    Raises:
        NotStarted: Something did not come up.
        SettingError: Envoy is not installed.
    """
    with ExitStack() as stack:
        folder = _folder(directory, "upstream")
        upstream = stack.enter_context(one_worker(upstream_configuration(), folder)).listeners[0]
        yield {
            name: stack.enter_context(_variant(name, upstream, _folder(directory, name))) for name in VARIANTS
        }


@contextmanager
def _variant(name: str, upstream: str, directory: Path) -> Iterator[Variant]:
    hidden = {"MESHTRIAL_KEY": secrets.token_urlsafe(24), "MESHTRIAL_TOKEN": secrets.token_urlsafe(24)}
    sidecar = collector = spans_to = None
    with ExitStack() as stack:
        if name in {MESHTRIAL, TRACED}:
            collect = ["-m", "meshtrial", "collect", "--store", str(directory / "store")]
            collect += ["--otlp-grpc", ANYWHERE, "--otlp-http", ANYWHERE]
            collector = stack.enter_context(program("collect", collect, directory, hidden))
            serve = ["-m", "meshtrial", "serve", str(PLAN), "--listen", ANYWHERE, "--admin", ANYWHERE]
            serve += ["--collector", collector.where["otlp_http"], "--spool", str(directory / "spool")]
            sidecar = stack.enter_context(program("serve", serve, directory, hidden))
            spans_to = collector.where["otlp_grpc"] if name == TRACED else None
        elif name == BASELINE:
            sidecar = stack.enter_context(program("baseline", [str(_BASELINE), str(PLAN)], directory, hidden))
        asks = None if sidecar is None else sidecar.where["ext_proc"]
        text = configuration(read_plan(PLAN), directory / "access.log", upstream, asks, spans_to)
        proxy = stack.enter_context(one_worker(text, directory))
        if asks is not None:
            healthy = "cluster.meshtrial.membership_healthy"
            until(
                lambda: proxy.stats(healthy).get(healthy) == 1, f"{name}: the sidecar was not found healthy"
            )
        yield Variant(name, proxy, sidecar, collector)


def until(reached: Callable[[], bool], otherwise: str) -> None:
    """Wait for something to become true.

    Raises:
        NotStarted: It did not; `otherwise` says what is wrong.
    """
    deadline = time.monotonic() + _PATIENCE
    while not reached():
        if time.monotonic() > deadline:
            raise NotStarted(f"{otherwise} within {_PATIENCE:g} s")
        time.sleep(0.2)


def _folder(directory: Path, name: str) -> Path:
    folder = directory / name
    folder.mkdir()
    return folder
