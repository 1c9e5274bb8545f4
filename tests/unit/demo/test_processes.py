import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from meshtrial.demo.processes import Program, running
from meshtrial.errors import NotStarted

HERE = "import os, signal, sys, time; print(os.getpid(), flush=True)\n"
"""A program that says that it is up, with its pid."""


def program(tmp_path: Path, code: str, within: float = 20, grace: float = 5) -> Program:
    command = [sys.executable, "-c", HERE + code]
    return Program("the program", command, tmp_path / "log", within=within, grace=grace)


def said(log: Path, lines: int) -> Callable[[], bool]:
    return lambda: log.exists() and log.read_text().count("\n") >= lines


def alive(pid: int) -> bool:
    """Whether it runs; a zombie, which only its parent can bury, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pids(log: Path) -> list[int]:
    return [int(line) for line in log.read_text().split() if line.isdigit()]


def test_the_program_runs_for_the_block_and_ends_by_sigterm(tmp_path: Path) -> None:
    wanted = program(tmp_path, "time.sleep(60)")
    with running(wanted, said(wanted.log, 1)) as process:
        (pid,) = pids(wanted.log)
        assert process.status() is None
        assert alive(pid)

    assert process.status() == -signal.SIGTERM
    assert not alive(pid)


def test_the_program_may_end_in_its_own_way(tmp_path: Path) -> None:
    code = """
def drain(*_):
    print("drained", flush=True)
    sys.exit(3)

signal.signal(signal.SIGTERM, drain)
print(0, flush=True)
time.sleep(60)
"""
    wanted = program(tmp_path, code)
    with running(wanted, said(wanted.log, 2)) as process:
        pass

    assert process.status() == 3
    assert wanted.log.read_text().endswith("drained\n")


def test_a_program_that_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    code = "signal.signal(signal.SIGTERM, signal.SIG_IGN); print(0, flush=True); time.sleep(60)"
    wanted = program(tmp_path, code, grace=0.2)
    with running(wanted, said(wanted.log, 2)) as process:
        begun = time.monotonic()

    assert process.status() == -signal.SIGKILL
    assert 0.2 <= time.monotonic() - begun < 5


def test_a_stopped_program_ends_too(tmp_path: Path) -> None:
    wanted = program(tmp_path, "time.sleep(60)")
    with running(wanted, said(wanted.log, 1)) as process:
        process.signal(signal.SIGSTOP)

    assert process.status() == -signal.SIGTERM


def test_what_the_program_started_ends_with_it(tmp_path: Path) -> None:
    code = "child = os.fork(); print(os.getpid(), flush=True) if child == 0 else None; time.sleep(60)"
    wanted = program(tmp_path, code)
    with running(wanted, said(wanted.log, 2)):
        both = pids(wanted.log)

    assert len(set(both)) == 2
    assert [alive(pid) for pid in both] == [False, False]


def test_an_interrupt_in_the_block_ends_the_program(tmp_path: Path) -> None:
    wanted = program(tmp_path, "time.sleep(60)")
    with pytest.raises(KeyboardInterrupt), running(wanted, said(wanted.log, 1)):
        signal.raise_signal(signal.SIGINT)

    assert not alive(*pids(wanted.log))


def test_a_killed_program_is_seen_and_its_end_is_no_error(tmp_path: Path) -> None:
    wanted = program(tmp_path, "time.sleep(60)")
    with running(wanted, said(wanted.log, 1)) as process:
        process.signal(signal.SIGKILL)
        while process.status() is None:
            time.sleep(0.01)

    process.signal(signal.SIGTERM)
    assert process.status() == -signal.SIGKILL


def test_a_program_that_ends_at_once_is_told_with_its_last_lines(tmp_path: Path) -> None:
    wanted = program(tmp_path, "[print('line', i) for i in range(30)]; sys.exit('no such thing')")
    with pytest.raises(NotStarted) as error, running(wanted, lambda: False):
        pass

    shown = str(error.value).splitlines()
    assert shown[0] == f"the program ended with status 1, its log ({wanted.log}) ends with"
    assert shown[1:] == [*(f"line {i}" for i in range(11, 30)), "no such thing"]


def test_a_program_that_is_not_ready_in_time_is_told_and_ended(tmp_path: Path) -> None:
    wanted = program(tmp_path, "time.sleep(60)", within=0.5)
    with pytest.raises(NotStarted) as error, running(wanted, lambda: False):
        pass

    (pid,) = pids(wanted.log)
    assert str(error.value) == (
        f"the program was not ready after 0.5 s, its log ({wanted.log}) ends with\n{pid}"
    )
    assert not alive(pid)


def test_a_program_that_does_not_exist_is_named(tmp_path: Path) -> None:
    wanted = Program("the program", ["/no/such/program"], tmp_path / "log")
    with pytest.raises(NotStarted) as error, running(wanted, lambda: False):
        pass

    assert str(error.value).endswith("\n/no/such/program: No such file or directory")


def test_the_program_has_the_environment_that_is_given(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import os, time; print(os.environ, flush=True); time.sleep(60)"]
    wanted = Program("the program", command, tmp_path / "log", environment={"ONLY": "this"})
    with running(wanted, said(wanted.log, 1)):
        assert "'ONLY': 'this'" in wanted.log.read_text()
        assert "PATH" not in wanted.log.read_text()


def test_no_program_outlives_a_starter_that_is_killed_outright(tmp_path: Path) -> None:
    starter = f"""
import sys, time
from pathlib import Path
from meshtrial.demo.processes import Program, running
log = Path({str(tmp_path / "log")!r})
program = Program("it", [sys.executable, "-c", {HERE + "time.sleep(60)"!r}], log)
with running(program, lambda: log.read_text() != ""):
    print("up", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        (pid,) = pids(tmp_path / "log")
        assert alive(pid)
        os.kill(parent.pid, signal.SIGKILL)

    deadline = time.monotonic() + 5
    while alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)
