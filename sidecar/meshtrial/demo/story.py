"""`meshtrial demo`: two models, one proxy, a real split, and a report that was earned."""

import fcntl
import json
import secrets
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from meshtrial.analysis.render import render
from meshtrial.analysis.report import make_report
from meshtrial.analysis.report_parts import Report
from meshtrial.demo import traffic
from meshtrial.demo.audit import Split, audit
from meshtrial.demo.digits import VERSIONS
from meshtrial.demo.envoy import envoy
from meshtrial.demo.programs import program
from meshtrial.demo.traffic import Seen, Target
from meshtrial.emit.envoy import envoy as envoy_configuration
from meshtrial.emit.target import Target as EnvoyTarget
from meshtrial.errors import DemoFailed, NoData
from meshtrial.plan.load import load
from meshtrial.plan.model import Experiment, Plan
from meshtrial.store.read import connect

_MARK = ".meshtrial-demo"
"""File that says that a directory is a demo's, and may be replaced by the next."""
_TIMEOUT_MS = 1000
"""Twenty times the default: here a busy laptop must not turn a decision into a fail-open."""
_HEALTHY = "cluster.meshtrial.membership_healthy"
"""Envoy's count of healthy sidecars."""
_SETTLE = 20.0
"""Seconds within which Envoy finds the sidecar healthy, and spans and log lines arrive."""


@dataclass(frozen=True, slots=True)
class Running:
    """Everything that the demo started."""

    target: Target
    store: Path
    access_log: Path


def tell(directory: Path, console: Console) -> Report:
    """Run the whole demo; what it made stays in `directory`.

    Raises:
        DemoFailed: A step did not end as it must.
        NotStarted: A program did not come up.
    """
    with _prepared(directory):
        return _told(directory, console)


def _told(directory: Path, console: Console) -> Report:
    text = resources.files("meshtrial.demo").joinpath("plan.yaml").read_text("utf-8")
    (directory / "plan.yaml").write_text(text)
    plan = load(text, "plan.yaml")
    experiment = plan.experiments[0]
    with ExitStack() as stack:
        with console.status("Training two models, starting Envoy, the sidecar and the collector"):
            running = stack.enter_context(_everything(plan, directory))
        seen = _send(running, console)
        (directory / "client.jsonl").write_text("".join(json.dumps(asdict(one)) + "\n" for one in seen))
        split = _audited(experiment, seen, running)
        console.print(_split_table(split))
        report = _wait_for_verdict(plan, experiment, running, console)
    (directory / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    console.print(render(report))
    _say_what_next(directory, experiment, console)
    if report.verdict.decision not in {"ship", "keep_control"}:
        raise DemoFailed(f"the demo ended without a verdict: {report.verdict.decision}")
    return report


@contextmanager
def _prepared(directory: Path) -> Iterator[None]:
    """An empty directory of our own; an earlier demo's is replaced, a running one's is not."""
    mark = directory / _MARK
    try:
        if directory.exists() and any(directory.iterdir()) and not mark.exists():
            raise DemoFailed(f"{directory} exists and is no earlier demo: choose another with --out")
        directory.mkdir(parents=True, exist_ok=True)
        with mark.open("a") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for old in directory.iterdir():
                if old.is_dir():
                    shutil.rmtree(old)
                elif old != mark:
                    old.unlink()
            yield
    except BlockingIOError:
        raise DemoFailed(f"another demo is running in {directory}: choose another with --out") from None
    except OSError as error:
        raise DemoFailed(f"the demo failed in {directory}: {error}") from error


@contextmanager
def _everything(plan: Plan, directory: Path) -> Iterator[Running]:
    token = secrets.token_urlsafe(24)
    hidden = {"MESHTRIAL_KEY": secrets.token_urlsafe(24), "MESHTRIAL_TOKEN": token}
    store, access_log = directory / "store", directory / "access.jsonl"
    anywhere = "127.0.0.1:0"
    with ExitStack() as stack:
        models = {
            f"model-{version}": stack.enter_context(
                program(f"model-{version}", ["-m", "meshtrial.demo.model", version], directory)
            ).where["http"]
            for version in VERSIONS
        }
        collect = ["-m", "meshtrial", "collect", "--store", str(store)]
        collect += ["--otlp-grpc", anywhere, "--otlp-http", anywhere]
        collector = stack.enter_context(program("collect", collect, directory, hidden)).where
        serve = [
            "-m",
            "meshtrial",
            "serve",
            str(directory / "plan.yaml"),
            "--listen",
            anywhere,
            "--admin",
            anywhere,
        ]
        serve += ["--collector", collector["otlp_http"], "--late-after", str(_TIMEOUT_MS / 2)]
        serve += ["--spool", str(directory / "spool")]
        sidecar = stack.enter_context(program("serve", serve, directory, hidden)).where
        configuration = envoy_configuration(
            plan,
            EnvoyTarget(
                listen=anywhere,
                endpoints={cluster: (address,) for cluster, address in models.items()},
                sidecar=sidecar["ext_proc"],
                collector=collector["otlp_grpc"],
                admin=anywhere,
                message_timeout_ms=_TIMEOUT_MS,
                access_log=str(access_log),
            ),
        )
        proxy = stack.enter_context(envoy(configuration, directory))
        _until(lambda: proxy.stats(_HEALTHY).get(_HEALTHY) == 1, "Envoy did not find the sidecar healthy")
        outcomes = collector["otlp_http"].removeprefix("http://")
        yield Running(Target(proxy.listeners[0], outcomes, token), store, access_log)


def _until(reached: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _SETTLE
    while not reached():
        if time.monotonic() > deadline:
            raise DemoFailed(f"{otherwise} within {_SETTLE:g} s")
        time.sleep(0.1)


def _send(running: Running, console: Console) -> list[Seen]:
    everyone = traffic.users()
    with _progress(console) as progress:
        task = progress.add_task("Users ask and report", total=len(everyone))
        return traffic.send(everyone, running.target, lambda: progress.advance(task))


def _audited(experiment: Experiment, seen: Sequence[Seen], running: Running) -> tuple[Split, ...]:
    """The audit, once log lines and spans have arrived: both are written some moments after the answer."""
    deadline = time.monotonic() + _SETTLE
    while True:
        try:
            with connect(running.store) as connection:
                return audit(experiment, seen, running.access_log, connection)
        except (DemoFailed, NoData):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def _wait_for_verdict(plan: Plan, experiment: Experiment, running: Running, console: Console) -> Report:
    """Wait until every window has closed and the minimum duration is over."""
    rule = experiment.decision
    longest = rule.closing() + rule.minimum_duration
    with _progress(console) as progress:
        task = progress.add_task("Waiting for the outcome windows to close", total=rule.planned_units)
        deadline = time.monotonic() + longest + _SETTLE
        while True:
            with connect(running.store) as connection:
                report = make_report(connection, plan, experiment, time.time_ns())
            progress.update(task, completed=report.progress.closed_units)
            if report.verdict.decision != "wait" or time.monotonic() > deadline:
                return report
            time.sleep(0.5)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console)


def _split_table(split: Sequence[Split]) -> Table:
    table = Table(title="Where the requests went, by each witness", title_justify="left")
    table.add_column("arm")
    for name in ("planned", "client", "access log", "exposure spans"):
        table.add_column(name, justify="right")
    for one in split:
        counts = (f"{count:,}" for count in (one.client, one.access_log, one.exposures))
        table.add_row(one.arm, f"{one.planned:.0%}", *counts)
    return table


def _say_what_next(directory: Path, experiment: Experiment, console: Console) -> None:
    plan, store = directory / "plan.yaml", directory / "store"
    console.print(f"\nEverything the demo made is in [bold]{directory}[/]. Three things to try:")
    for words, why in (
        (["explain", plan, experiment.id, "user-0001"], "why this user got this model"),
        (["report", experiment.id, "--plan", plan, "--store", store, "--json"], "the report for programs"),
        (
            ["size", "--baseline", "74%", "--effect", "4pp", "--alpha", "2.5%"],
            "users that half the effect takes",
        ),
    ):
        command = shlex.join([*_ourselves(), *map(str, words)])
        console.print(f"  [cyan]{command}[/]  [dim]# {why}[/]", soft_wrap=True, highlight=False)


def _ourselves() -> list[str]:
    """How this command can be called again, from the same place."""
    if shutil.which("meshtrial"):
        return ["meshtrial"]
    return [sys.argv[0]] if Path(sys.argv[0]).name == "meshtrial" else [sys.executable, "-m", "meshtrial"]
