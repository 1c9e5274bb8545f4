import os
import subprocess
import sys
from pathlib import Path

import pytest

from meshtrial.errors import StoreError, StoreLocked
from meshtrial.store.layout import Layout, locked

HOLD = """
import sys
from pathlib import Path
from meshtrial.store.layout import Layout, locked
with locked(Layout(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_writer_is_refused_with_the_first_ones_process_id(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreLocked) as refused, locked(Layout(tmp_path)):
            pass
        assert f"the store {tmp_path} is already written to by process {holder.pid}" == str(refused.value)

        holder.kill()
        holder.wait()

        with locked(Layout(tmp_path)):
            assert f"{os.getpid()}\n" == (tmp_path / "lock").read_text()


def test_a_store_where_a_file_stands_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError, match=r"the store .*/file/store cannot be made: Not a directory"):
        Layout(tmp_path / "file" / "store").create()


def test_numbers_are_listed_in_order_and_strangers_are_left_alone(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.create()
    for number in (10, 9, 12_345_678):
        layout.journal(number).touch()
        layout.segment(number).mkdir()
    (tmp_path / "journals" / "notes.txt").touch()
    layout.journal(4).with_suffix(".unreadable").touch()
    for stray in ("0001 copy.journal", "00000009 copy.journal", "000000011.journal", "1.journal"):
        (tmp_path / "journals" / stray).touch()
    for stray in ("lost+found", "0001.bak", "00000009.bak", "000000011"):
        (tmp_path / "segments" / stray).mkdir()

    assert layout.journals() == [9, 10, 12_345_678]
    assert layout.segments() == [9, 10, 12_345_678]
