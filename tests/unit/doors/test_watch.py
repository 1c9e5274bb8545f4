"""When a file has to be read again: each `due` is one look, and no clock is involved."""

import os
from pathlib import Path

import pytest

from meshtrial.doors.watch import Watch


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text("first")
    return path


def looks(watch: Watch, times: int) -> list[bool]:
    return [watch.due() for _ in range(times)]


def test_a_file_that_stays_is_never_due(path: Path) -> None:
    assert looks(Watch(path), 5) == [False] * 5


def test_a_change_is_due_once_at_the_second_look(path: Path) -> None:
    watch = Watch(path)
    path.write_text("second one")
    assert looks(watch, 4) == [False, True, False, False]


def test_a_file_that_is_still_being_written_is_left_alone_until_it_rests(path: Path) -> None:
    watch = Watch(path)
    with path.open("w") as file:
        for _ in range(5):
            file.write("more\n")
            file.flush()
            assert not watch.due()
    assert looks(watch, 2) == [True, False]


def test_a_change_before_the_first_look_is_seen(path: Path) -> None:
    watch = Watch(path)
    new = path.with_name("new")
    new.write_text("first")
    os.utime(new, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    new.rename(path)  # same size, same time: another file all the same
    assert looks(watch, 2) == [False, True]


def test_new_permissions_are_a_change(path: Path) -> None:
    watch = Watch(path)
    path.chmod(0o640)
    assert looks(watch, 3) == [False, True, False]


@pytest.mark.parametrize("gone", [Path.unlink, lambda path: path.rename(path.with_name("away"))])
def test_a_file_that_goes_is_due_once_and_once_again_when_it_is_back(path: Path, gone: object) -> None:
    watch = Watch(path)
    assert callable(gone)
    gone(path)
    assert looks(watch, 3) == [False, True, False]
    path.write_text("back")
    assert looks(watch, 3) == [False, True, False]


def test_a_gap_of_one_look_is_no_absence(path: Path) -> None:
    watch = Watch(path)
    path.unlink()
    assert not watch.due()
    path.write_text("second")
    assert looks(watch, 3) == [False, True, False]


def test_a_forgotten_file_is_due_once_although_it_did_not_change(path: Path) -> None:
    watch = Watch(path)
    watch.forget()
    assert looks(watch, 3) == [True, False, False]


def test_a_change_and_being_forgotten_at_once_are_one_reading(path: Path) -> None:
    watch = Watch(path)
    path.write_text("second")
    watch.forget()
    assert looks(watch, 4) == [False, True, False, False]


def test_a_pipe_is_never_due_of_itself(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    watch = Watch(pipe)
    os.utime(pipe)
    assert looks(watch, 3) == [False] * 3
