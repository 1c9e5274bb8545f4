"""Our own programs as context managers: each is up, and says where, when its block begins."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from meshtrial.demo.processes import Process, Program, running


@dataclass(frozen=True, slots=True)
class Started:
    """A program that said it is ready."""

    process: Process
    where: dict[str, str]
    """Its addresses, by name, as its `ready` line has them."""


@contextmanager
def program(
    name: str, arguments: Sequence[str], directory: Path, environment: dict[str, str] | None = None
) -> Iterator[Started]:
    """Run `python ARGUMENTS`, which logs one JSON line whose event is `ready`.

    Args:
        name: For messages, and its log is `<name>.log`.
        arguments: Begin with `-m MODULE`.
        directory: Exists; gets the log.
        environment: Added to our own.

    Raises:
        NotStarted: It did not come up.
    """
    log = directory / f"{name}.log"
    start = log.stat().st_size if log.exists() else 0
    command = [sys.executable, *arguments]
    run = Program(name, command, log, {**os.environ, **(environment or {})})
    with running(run, lambda: _ready_line(log, start) is not None) as process:
        yield Started(process, _ready_line(log, start) or {})


def _ready_line(log: Path, start: int) -> dict[str, str] | None:
    with log.open("rb") as lines:
        lines.seek(start)
        for line in lines:
            if b'"ready"' in line and line.endswith(b"\n"):
                said: dict[str, str] = json.loads(line)
                return said
    return None
