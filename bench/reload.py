"""`python bench/reload.py`: how long after a plan's file changes every sidecar on it decides by the new plan.

::

    python bench/reload.py [--changes 200] [--json FILE] [--page FILE]

Exit status 1 where the target is missed, 2 where something that is needed is missing.
"""

import argparse
import json
import math
import random
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import yaml
from figures import Table
from proxies import ANYWHERE
from report import flags, publish
from rich.progress import track

from meshtrial.demo.programs import program
from meshtrial.doors.ext_proc_pb2 import (
    HeaderMap,
    HeaderValue,
    HttpHeaders,
    ProcessingRequest,
    ProcessingResponse,
)
from meshtrial.errors import MeshtrialError, NotStarted
from meshtrial.names import EXT_PROC_SERVICE, METADATA_NAMESPACE
from meshtrial.plan.load import load

BEGIN, END = "<!-- reload: written by bench/reload.py -->\n", "<!-- end of reload -->\n"
PROCESSES = 2
SIZES = (1, 30, 100, 1000)
"""Experiments in the plan."""
TARGET_MS = 100.0
"""For 99% of the changes of the benchmark's own plan, which has one experiment."""
_PLAN = Path(__file__).with_name("plan.yaml")
_PAUSE = 0.004
"""Seconds between an answer and the next question, so that asking is not what is measured."""
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Changes:
    """Many changes of one plan."""

    experiments: int
    delays_ms: tuple[float, ...]
    """From just before the rename until the last process has answered by the new plan."""


@dataclass(frozen=True, slots=True)
class Process:
    """One sidecar, asked all the time from a thread of its own."""

    seen: dict[str, float]
    """When each plan's digest was first answered with, by the monotonic clock."""


def main() -> int:
    """Measure, print, and say whether the target is met."""
    wanted = _arguments()
    try:
        with tempfile.TemporaryDirectory() as name:
            measured = [
                _measured(size, _count(size, wanted.changes), Path(name) / str(size)) for size in SIZES
            ]
    except MeshtrialError as error:
        print(error, file=sys.stderr)
        return 2
    publish([table(measured)], measured, wanted, (BEGIN, END))
    return 0 if met(measured) else 1


def table(measured: Sequence[Changes]) -> Table:
    """A row for each size of the plan."""
    rows = [
        (
            f"{changes.experiments:,}",
            f"{len(changes.delays_ms):,}",
            *(f"{percentile(changes.delays_ms, share):.0f}" for share in (0.5, 0.99, 1.0)),
        )
        for changes in measured
    ]
    title = f"From a file's change until {PROCESSES} processes decide by it"
    return Table(title, ("experiments", "changes", "p50, ms", "p99, ms", "longest, ms"), tuple(rows))


def met(measured: Sequence[Changes]) -> bool:
    """Whether the target is."""
    return all(percentile(c.delays_ms, 0.99) < TARGET_MS for c in measured if c.experiments == 1)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _count(experiments: int, changes: int) -> int:
    """Fewer of what takes seconds."""
    return changes if experiments < 1000 else max(1, changes // 10)


def _measured(experiments: int, changes: int, directory: Path) -> Changes:
    directory.mkdir()
    path = directory / "plan.yaml"
    path.write_text(_text(experiments, "start"))
    chance = random.Random(experiments)
    with _running(path) as processes:
        delays = [
            _change(path, _text(experiments, f"change-{number}"), processes, chance.uniform(0.02, 0.07))
            for number in track(range(changes), f"{experiments} experiments")
        ]
    return Changes(experiments, tuple(delays))


def _text(experiments: int, salt: str) -> str:
    """The benchmark's plan with another salt, and further experiments on other paths; JSON is YAML."""
    document: dict[str, Any] = yaml.safe_load(_PLAN.read_text())
    [(name, first)] = document["experiments"].items()
    others = {f"{name}-{n}": {**first, "match": {"path_prefix": f"/{n}/"}} for n in range(1, experiments)}
    document["experiments"] = {name: {**first, "salt": salt}, **others}
    return json.dumps(document, indent=1)


def _change(path: Path, text: str, processes: Sequence[Process], rest: float) -> float:
    """Milliseconds until the last process answers by a new plan.

    `rest` seconds go before it, so that it comes at any moment of the processes' looks at the file.
    """
    digest = load(text, path.name).digest
    new = path.with_name("new.yaml")
    new.write_text(text)
    time.sleep(rest)
    start = time.monotonic()
    new.rename(path)
    while not all(digest in process.seen for process in processes):
        if time.monotonic() > start + _PATIENCE:
            raise NotStarted(f"a changed plan was not in force within {_PATIENCE:g} s")
        time.sleep(_PAUSE)
    return round((max(process.seen[digest] for process in processes) - start) * 1000, 1)


@contextmanager
def _running(plan: Path) -> Iterator[list[Process]]:
    """The sidecars on one file, with a collector, each asked by a thread."""
    hidden = {"MESHTRIAL_KEY": secrets.token_urlsafe(24), "MESHTRIAL_TOKEN": secrets.token_urlsafe(24)}
    directory = plan.parent
    with ExitStack() as stack:
        collect = ["-m", "meshtrial", "collect", "--store", str(directory / "store")]
        collect += ["--otlp-grpc", ANYWHERE, "--otlp-http", ANYWHERE]
        collector = stack.enter_context(program("collect", collect, directory, hidden))
        serve = ["-m", "meshtrial", "serve", str(plan), "--listen", ANYWHERE, "--admin", ANYWHERE]
        serve += ["--collector", collector.where["otlp_http"]]
        addresses = []
        for number in range(PROCESSES):
            arguments = [*serve, "--spool", str(directory / f"spool-{number}")]
            started = stack.enter_context(program(f"serve-{number}", arguments, directory, hidden))
            addresses.append(started.where["ext_proc"])
        yield [stack.enter_context(_asked(address)) for address in addresses]


@contextmanager
def _asked(address: str) -> Iterator[Process]:
    process, stop = Process({}), threading.Event()
    headers = [
        HeaderValue(key=":path", raw_value=b"/recommend"),
        HeaderValue(key="x-user-id", raw_value=b"u"),
    ]
    question = ProcessingRequest(request_headers=HttpHeaders(headers=HeaderMap(headers=headers)))
    with grpc.insecure_channel(address) as channel:
        ask = channel.stream_stream(f"/{EXT_PROC_SERVICE}/Process")

        def work() -> None:
            while not stop.wait(_PAUSE):
                [answer] = ask(iter([question.SerializeToString()]), timeout=_PATIENCE)
                came = time.monotonic()
                metadata = ProcessingResponse.FromString(answer).dynamic_metadata
                plan = metadata.fields[METADATA_NAMESPACE].struct_value.fields["plan"].string_value
                process.seen.setdefault(plan, came)

        thread = threading.Thread(target=work)
        thread.start()
        yield process
        stop.set()
        thread.join()


def _arguments() -> argparse.Namespace:
    parser = flags(__doc__)
    parser.add_argument("--changes", type=int, default=200, help="of each plan, 200 if left out")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
