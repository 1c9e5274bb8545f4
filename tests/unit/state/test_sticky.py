import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from meshtrial.assign.context import Kept
from meshtrial.errors import SettingError
from meshtrial.state.sticky import Sticky, StickyFile, StickyMemory


@contextmanager
def locked(path: Path, how: str) -> Iterator[None]:
    """Another program writes."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(how)
        yield


V1, V2 = Kept("v1", "1" * 16), Kept("v2", "2" * 16)

BOTH = pytest.mark.parametrize("opened", [lambda _: StickyMemory(), StickyFile], ids=["memory", "file"])


@BOTH
def test_the_first_arm_of_a_unit_is_kept_for_each_experiment(
    opened: Callable[[Path], Sticky], tmp_path: Path
) -> None:
    sticky = opened(tmp_path / "sticky")

    assert sticky.kept("rank", "u1") is None
    sticky.keep("rank", "u1", V2)
    sticky.keep("rank", "u1", V1)
    sticky.keep("search", "u1", V1)
    assert sticky.kept("rank", "u1") == V2
    assert sticky.kept("search", "u1") == V1
    assert sticky.kept("rank", "u2") is None
    sticky.close()


WRITER = """
import sys
from pathlib import Path
from meshtrial.assign.context import Kept
from meshtrial.state.sticky import StickyFile
sticky = StickyFile(Path(sys.argv[1]))
for number in range(200):
    sticky.keep("rank", f"u{number}", Kept(sys.argv[2], "0" * 16))
"""


def test_processes_share_a_file_and_the_first_to_keep_wins(tmp_path: Path) -> None:
    path = tmp_path / "sticky"
    mine = StickyFile(path)
    for number in range(0, 200, 2):
        mine.keep("rank", f"u{number}", V1)
    subprocess.run([sys.executable, "-c", WRITER, str(path), "v9"], check=True, timeout=30)

    kept = [mine.kept("rank", f"u{number}") for number in range(200)]
    assert [each.arm for each in kept if each] == ["v1", "v9"] * 100
    mine.close()
    again = StickyFile(path)
    assert [again.kept("rank", f"u{number}") for number in range(200)] == kept
    again.close()


def test_what_a_killed_process_kept_is_there(tmp_path: Path) -> None:
    path = tmp_path / "sticky"
    killed = WRITER + "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"
    subprocess.run([sys.executable, "-c", killed, str(path), "v2"], check=False, timeout=30)
    sticky = StickyFile(path)

    assert all(sticky.kept("rank", f"u{number}") == Kept("v2", "0" * 16) for number in range(200))
    sticky.close()


def test_while_another_writes_kept_arms_are_still_read_and_keeping_gives_up_soon(tmp_path: Path) -> None:
    path, now = tmp_path / "sticky", [0.0]
    sticky = StickyFile(path, lambda: now[0])
    sticky.keep("rank", "u1", V1)
    with locked(path, "BEGIN EXCLUSIVE"):
        start = time.monotonic()
        for _ in range(1_000):
            sticky.keep("rank", "u2", V2)
            assert sticky.kept("rank", "u1") == V1
        assert time.monotonic() - start < 1  # it is asked once, and then left alone
        assert sticky.failures == 1_000
        assert sticky.health() == {"status": "degraded", "reason": "database is locked"}
    now[0] += 0.2
    sticky.keep("rank", "u2", V2)
    assert sticky.kept("rank", "u2") == V2
    assert sticky.failures == 1_000
    sticky.close()


def test_a_file_that_cannot_be_read_gives_no_arm_and_is_asked_again_soon(tmp_path: Path) -> None:
    path, now = tmp_path / "sticky", [0.0]
    sticky = StickyFile(path, lambda: now[0])
    sticky.keep("rank", "u1", V1)
    with closing(sqlite3.connect(path)) as other:
        other.execute("ALTER TABLE first RENAME TO elsewhere")
        assert [sticky.kept("rank", "u1") for _ in range(3)] == [None] * 3
        assert sticky.failures == 3
        assert sticky.health() == {"status": "degraded", "reason": "no such table: first"}
        other.execute("ALTER TABLE elsewhere RENAME TO first")
    now[0] += 0.2
    assert sticky.kept("rank", "u1") == V1
    sticky.close()


def test_trouble_shows_for_a_minute_after_the_last_of_it(tmp_path: Path) -> None:
    path, now = tmp_path / "sticky", [0.0]
    sticky = StickyFile(path, lambda: now[0])
    with locked(path, "BEGIN IMMEDIATE"):
        sticky.keep("rank", "u1", V1)
    for now[0], status in ((59.0, "degraded"), (61.0, "ok")):
        sticky.keep("rank", "u1", V1)
        assert sticky.health()["status"] == status
    sticky.close()


def test_trouble_of_a_kind_is_logged_once_a_minute(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, now = tmp_path / "sticky", [0.0]
    sticky = StickyFile(path, lambda: now[0])
    for now[0] in (0.0, 1.0, 59.0, 60.0, 61.0):
        with locked(path, "BEGIN IMMEDIATE"):
            sticky.keep("rank", "u1", V1)
        assert sticky.kept("rank", "u1") is None
    sticky.close()
    now[0] = 62.0
    sticky.keep("rank", "u1", V1)

    reasons = [vars(record)["fields"]["reason"] for record in caplog.records]
    assert reasons == [*["database is locked"] * 2, "Cannot operate on a closed database."]


def test_a_memory_forgets_who_was_longest_away() -> None:
    sticky = StickyMemory(largest=100)
    for number in range(1_000):
        sticky.keep("rank", f"u{number}", V1)
        sticky.keep("rank", "regular", V2)

    assert sticky.kept("rank", "regular") == V2
    assert sticky.kept("rank", "u999") == V1
    assert sum(sticky.kept("rank", f"u{number}") is not None for number in range(900)) == 0


def test_another_thread_may_read(tmp_path: Path) -> None:
    sticky = StickyFile(tmp_path / "sticky")
    sticky.keep("rank", "u1", V1)
    found: list[Kept | None] = []
    reader = threading.Thread(target=lambda: found.append(sticky.kept("rank", "u1")))
    reader.start()
    reader.join()

    assert found == [V1]
    sticky.close()


@pytest.mark.parametrize("what", ["a directory", "no database", "no such directory"])
def test_a_file_that_cannot_be_used_is_refused_by_name(what: str, tmp_path: Path) -> None:
    path = tmp_path / "sticky"
    match what:
        case "a directory":
            path.mkdir()
        case "no database":
            path.write_bytes(b"this is no database, and never was one" * 100)
        case _:
            path = tmp_path / "nowhere" / "sticky"
    with pytest.raises(SettingError) as refused:
        StickyFile(path)
    assert str(refused.value).startswith(f"the file of sticky assignments {path} cannot be used: ")


def test_the_file_is_for_its_owner_and_group_alone(tmp_path: Path) -> None:
    path = tmp_path / "sticky"
    sticky = StickyFile(path)
    sticky.keep("rank", "u1", V1)

    assert {file.name: file.stat().st_mode & 0o007 for file in tmp_path.iterdir()} == dict.fromkeys(
        (file.name for file in tmp_path.iterdir()), 0
    )
    sticky.close()
