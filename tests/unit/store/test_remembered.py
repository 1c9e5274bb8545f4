import stat
from pathlib import Path

import numpy as np
import pytest

from meshtrial.store import remembered
from meshtrial.store.remembered import Memory, Remembered, common

WORDS = np.arange(1000, dtype=np.uint64) * np.uint64(2**54 + 1)


def test_what_is_saved_is_loaded_and_the_last_one_counts(tmp_path: Path) -> None:
    store = Remembered(tmp_path)
    assert store.load("one") is None
    for text in (b"first", b"second"):
        store.save("one", Memory(text, WORDS))
    loaded = store.load("one")
    assert loaded is not None
    assert loaded.text == b"second"
    assert np.array_equal(loaded.words, WORDS)
    assert [path.name for path in store.folder.iterdir()] == ["one"]


def test_files_have_the_modes_of_the_store(tmp_path: Path) -> None:
    store = Remembered(tmp_path)
    store.save("one", Memory(b"text", WORDS))
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o750
    assert stat.S_IMODE((store.folder / "one").stat().st_mode) == 0o640


def test_a_file_damaged_anywhere_is_as_good_as_none(tmp_path: Path) -> None:
    store = Remembered(tmp_path)
    store.save("one", Memory(b"text", WORDS))
    path = store.folder / "one"
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        assert store.load("one") is None
        path.write_bytes(whole[:place])
        assert store.load("one") is None
    path.write_bytes(whole + b"more")
    assert store.load("one") is None


def test_the_folder_is_bounded_and_the_oldest_files_go_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "MOST", 3)
    monkeypatch.setattr(remembered, "MOST_WORDS", 1000)
    store = Remembered(tmp_path)
    for name in ("a", "b", "c", "d"):
        store.save(name, Memory(b"", WORDS))
    store.save("e", Memory(b"", np.append(WORDS, WORDS)))
    assert sorted(path.name for path in store.folder.iterdir()) == ["b", "c", "d"]


def test_where_nothing_can_be_written_nothing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refused)
    store = Remembered(tmp_path)
    store.save("one", Memory(b"text", WORDS))
    assert store.load("one") is None
    file = Remembered(tmp_path / "file")
    file.store.write_text("no folder")
    file.save("one", Memory(b"text", WORDS))
    assert file.load("one") is None


def test_common_numbers_are_those_of_both() -> None:
    some = np.array([9, 2, 2, 7, 2**64 - 1], np.uint64)
    assert common(some, np.array([1, 2, 7, 8], np.uint64)).tolist() == [2, 7]
    assert common(some, np.array([], np.uint64)).tolist() == []
