import asyncio
import errno
import os
import struct
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from meshtrial.errors import Refused, StoreError
from meshtrial.store.journal import Journal, read_journal


def record(received_ns: int, payload: bytes) -> bytes:
    """The documented format, written out."""
    checked = struct.pack("<q", received_ns) + payload
    return struct.pack("<II", len(payload), zlib.crc32(checked)) + checked


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "00000001.journal"


def appending(path: Path, *payloads: bytes, max_pending: int = 2**20) -> None:
    async def main() -> None:
        journal = Journal(path, max_pending)
        for at, payload in enumerate(payloads):
            await journal.append(payload, at)
        await journal.close()

    asyncio.run(main())


def test_what_was_appended_is_in_the_documented_format(path: Path) -> None:
    appending(path, b"first", b"", b"third")

    assert record(0, b"first") + record(1, b"") + record(2, b"third") == path.read_bytes()


def test_what_was_appended_is_read_back(path: Path) -> None:
    appending(path, b"first", b"", b"\0" * 5_000)

    contents = read_journal(path)

    assert contents.records == ((0, b"first"), (1, b""), (2, b"\0" * 5_000))
    assert contents.unreadable == 0


def test_a_tail_torn_anywhere_costs_only_the_torn_record(path: Path) -> None:
    whole = record(1, b"kept") + record(2, b"also kept")
    torn = record(3, b"never acknowledged")
    for length in range(len(torn)):
        path.write_bytes(whole + torn[:length])

        contents = read_journal(path)

        assert contents.records == ((1, b"kept"), (2, b"also kept"))
        assert length == contents.unreadable


@pytest.mark.parametrize("tail", [b"\0" * 64, b"\xff" * 64, record(3, b"x" * 40)[:-1] + b"y"])
def test_a_tail_of_anything_else_ends_the_reading(path: Path, tail: bytes) -> None:
    path.write_bytes(record(1, b"kept") + tail)

    contents = read_journal(path)

    assert contents.records == ((1, b"kept"),)
    assert len(tail) == contents.unreadable


def test_an_existing_journal_is_not_written_over(path: Path) -> None:
    path.write_bytes(record(1, b"kept"))

    with pytest.raises(StoreError, match="cannot be made: File exists"):
        Journal(path, 2**20)


class SlowDisk:
    """Lets fsync return only when told to, and counts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.syncs = 0
        self.may_go_on = threading.Event()
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self.fsync)

    def fsync(self, descriptor: int) -> None:
        self.may_go_on.wait(5)
        self.syncs += 1
        self._fsync(descriptor)


def on_slow_disk(
    path: Path, monkeypatch: pytest.MonkeyPatch, use: Callable[[Journal, SlowDisk], Any], **kw: int
) -> None:
    async def main() -> None:
        journal = Journal(path, kw.get("max_pending", 2**20))
        disk = SlowDisk(monkeypatch)
        try:
            await use(journal, disk)
        finally:
            disk.may_go_on.set()
            await journal.close()

    asyncio.run(main())


def test_an_append_returns_only_after_its_fsync(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(journal: Journal, disk: SlowDisk) -> None:
        append = asyncio.create_task(journal.append(b"x", 1))
        await asyncio.sleep(0.1)
        assert not append.done()

        disk.may_go_on.set()
        await asyncio.wait_for(append, 5)

        assert disk.syncs == 1

    on_slow_disk(path, monkeypatch, use)


def test_appends_that_wait_together_share_one_fsync(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(journal: Journal, disk: SlowDisk) -> None:
        first = asyncio.create_task(journal.append(b"first", 0))
        await asyncio.sleep(0.05)
        rest = [asyncio.create_task(journal.append(b"%d" % n, n)) for n in range(500)]
        await asyncio.sleep(0.05)
        disk.may_go_on.set()
        await asyncio.gather(first, *rest)

        assert disk.syncs == 2

    on_slow_disk(path, monkeypatch, use)
    assert len(read_journal(path).records) == 501


def test_more_than_may_wait_is_refused_and_the_rest_stored(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use(journal: Journal, disk: SlowDisk) -> None:
        first = asyncio.create_task(journal.append(b"x" * 900, 0))
        await asyncio.sleep(0)
        with pytest.raises(
            Refused, match="the store is busy: 916 bytes already wait for the disk"
        ) as refused:
            await journal.append(b"y" * 100, 1)
        assert refused.value.status == 503
        disk.may_go_on.set()
        await first
        await journal.append(b"z" * 100, 2)

    on_slow_disk(path, monkeypatch, use, max_pending=1_000)
    assert [at for at, _ in read_journal(path).records] == [0, 2]


def test_who_stops_waiting_harms_nobody_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(journal: Journal, disk: SlowDisk) -> None:
        gone = asyncio.create_task(journal.append(b"gone", 0))
        stays = asyncio.create_task(journal.append(b"stays", 1))
        await asyncio.sleep(0.05)
        gone.cancel()
        disk.may_go_on.set()
        await stays
        await journal.append(b"later", 2)

    on_slow_disk(path, monkeypatch, use)
    assert [at for at, _ in read_journal(path).records] == [0, 1, 2]


@pytest.mark.parametrize("failing", ["pwrite", "fsync"])
def test_a_full_disk_refuses_the_append_and_loses_nothing_acknowledged(
    path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def write_half(descriptor: int, data: bytes, at: int, _write: Any = os.pwrite) -> int:
        if at == journal_size[0]:
            return int(_write(descriptor, bytes(data)[:3], at))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    journal_size = [0]

    async def main() -> None:
        journal = Journal(path, 2**20)
        await journal.append(b"before", 0)
        journal_size[0] = journal.size
        with monkeypatch.context() as full:
            full.setattr(os, failing, write_half if failing == "pwrite" else fail)
            with pytest.raises(
                Refused, match="the store cannot be written: No space left on device"
            ) as refused:
                await journal.append(b"lost", 1)
            assert refused.value.status == 503
        await journal.append(b"after", 2)
        await journal.close()

    asyncio.run(main())
    assert record(0, b"before") + record(2, b"after") == path.read_bytes()


def test_a_journal_that_cannot_be_cut_back_takes_nothing_more(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async def main() -> None:
        journal = Journal(path, 2**20)
        await journal.append(b"before", 0)
        with monkeypatch.context() as broken:
            broken.setattr(os, "fsync", fail)
            broken.setattr(os, "ftruncate", fail)
            with pytest.raises(Refused, match="Input/output error"):
                await journal.append(b"lost", 1)
        assert journal.broken
        with pytest.raises(Refused, match="an earlier failed write could not be undone"):
            await journal.append(b"later", 2)
        await journal.close()

    asyncio.run(main())
    assert read_journal(path).records[0] == (0, b"before")


def test_a_failure_of_any_kind_refuses_what_waits_and_later_appends_succeed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("no room")

    async def main() -> None:
        journal = Journal(path, 2**20)
        with monkeypatch.context() as broken:
            broken.setattr(os, "pwrite", fail)
            async with asyncio.timeout(5):
                with pytest.raises(Refused, match="the store cannot be written: MemoryError") as refused:
                    await journal.append(b"lost", 1)
            assert refused.value.status == 503
        assert journal.pending == 0
        async with asyncio.timeout(5):
            await journal.append(b"after", 2)
        await journal.close()

    asyncio.run(main())
    assert record(2, b"after") == path.read_bytes()


def test_a_new_journals_name_is_on_disk_before_anything_is_acknowledged(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    appending(path, b"first")

    assert [str(path.parent), str(path)] == synced


def test_a_journal_is_not_for_everybody_to_read(path: Path) -> None:
    before = os.umask(0o022)
    try:
        appending(path, b"first")
    finally:
        os.umask(before)

    assert path.stat().st_mode & 0o777 == 0o640
