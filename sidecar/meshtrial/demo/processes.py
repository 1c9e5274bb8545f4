"""Other programs as context managers: up when the block begins, gone when it ends, however it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from meshtrial.errors import NotStarted

_POLL = 0.01
_TAIL = 20
"""Lines of the log that an error shows."""

_TIED_TO_PARENT = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1  # prctl(2)
ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
if os.getppid() != int(sys.argv[1]):  # it died before the call above
    sys.exit(1)
try:
    os.execvp(sys.argv[2], sys.argv[2:])
except OSError as error:
    sys.exit(f"{sys.argv[2]}: {error.strerror}")
"""
"""Asks Linux to kill this process when the one that started it dies, then becomes the program.

A program of its own rather than `preexec_fn`, which may deadlock in a process with threads:
https://docs.python.org/3/library/subprocess.html#subprocess.Popen
"""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, and how patiently."""

    name: str
    """For error messages."""
    command: Sequence[str]
    """Program and arguments."""
    log: Path
    """File that its standard output and error are appended to."""
    environment: Mapping[str, str] | None = None
    """All of its environment variables, None for our own."""
    within: float = 20.0
    """Seconds in which it must be ready: many times what Envoy or Python needs on a busy machine."""
    grace: float = 15.0
    """Seconds between SIGTERM and SIGKILL: sidecar and collector drain for 5, then write what they have."""


@dataclass(frozen=True, slots=True)
class Process:
    """A program that runs."""

    program: Program
    child: subprocess.Popen[bytes]

    def status(self) -> int | None:
        """Exit status, minus the signal's number if one ended it; None while it runs."""
        return self.child.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program and to whatever it started; nothing happens once all are gone."""
        with suppress(ProcessLookupError):
            os.killpg(self.child.pid, number)


@contextmanager
def running(program: Program, ready: Callable[[], bool]) -> Iterator[Process]:
    """Run a program for the length of a block.

    The program gets a session of its own, so Ctrl-C reaches it only as this block's end does:
    SIGTERM to its whole group, and SIGKILL for what is left after the grace. If this process
    is killed outright, Linux kills the program (not what the program started); that also
    happens when only the thread that entered the block ends, so enter it from a lasting one.

    Args:
        program: What to run.
        ready: Whether it can be used; asked every 10 ms, must not raise.

    Raises:
        NotStarted: It ended or was not ready in time; the message has the log's last lines.
    """
    with program.log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603 - the callers' own programs, and no shell
            [sys.executable, "-I", "-S", "-c", _TIED_TO_PARENT, str(os.getpid()), *program.command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=program.environment,
        )
    process = Process(program, child)
    try:
        _wait_until_ready(process, ready)
        yield process
    finally:
        _stop(process)


def _wait_until_ready(process: Process, ready: Callable[[], bool]) -> None:
    program = process.program
    deadline = time.monotonic() + program.within
    while not ready():
        if (status := process.status()) is not None:
            raise NotStarted(f"{program.name} ended with status {status}, {_last_lines(program.log)}")
        if time.monotonic() > deadline:
            late = f"{program.name} was not ready after {program.within:g} s"
            raise NotStarted(f"{late}, {_last_lines(program.log)}")
        time.sleep(_POLL)


def _last_lines(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-_TAIL:]
    return "\n".join([f"its log ({log}) ends with", *lines]) if lines else f"its log ({log}) is empty"


def _stop(process: Process) -> None:
    process.signal(signal.SIGTERM)
    process.signal(signal.SIGCONT)  # a stopped process acts on SIGTERM only once it goes on
    try:
        with suppress(subprocess.TimeoutExpired):
            process.child.wait(process.program.grace)
    finally:  # on a second Ctrl-C too
        process.signal(signal.SIGKILL)
        process.child.wait()
