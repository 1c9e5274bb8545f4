import asyncio
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collecting import ids, trace_request
from meshtrial.errors import Refused, StoreLocked
from meshtrial.store.journal import Journal
from meshtrial.store.layout import Layout
from meshtrial.store.read import Snapshot, open_snapshot
from meshtrial.store.writer import Store, StoreSettings

TINY = StoreSettings(roll_bytes=2_000)


def held(snapshot: Snapshot) -> list[tuple[str, str]]:
    """(TraceId, SpanId) of every row of a snapshot, read without DuckDB."""
    table = pa.concat_tables([*(pq.read_table(path) for path in snapshot.segments), snapshot.journal])
    return list(zip(table["TraceId"].to_pylist(), table["SpanId"].to_pylist(), strict=True))


async def first_segment(path: Path) -> None:
    """A roll is done when its segment is there and its journal gone."""
    async with asyncio.timeout(20):
        while not (segments := Layout(path).segments()) or segments[0] in Layout(path).journals():  # noqa: ASYNC110 - files alone tell
            await asyncio.sleep(0.01)


def test_what_is_appended_is_there_while_the_store_is_open_and_after(tmp_path: Path) -> None:
    request = trace_request({}, {})

    async def main() -> None:
        async with Store.open(tmp_path / "new" / "store", StoreSettings()) as store:
            await store.append(request.SerializeToString(), 1)
            assert ids(request) == set(held(open_snapshot(tmp_path / "new" / "store")))

    asyncio.run(main())
    snapshot = open_snapshot(tmp_path / "new" / "store")
    assert ids(request) == set(held(snapshot))
    assert (len(snapshot.segments), snapshot.journal.num_rows) == (1, 0)


def test_a_journal_over_its_size_is_rolled_while_appends_go_on(tmp_path: Path) -> None:
    requests = [trace_request({}) for _ in range(400)]

    async def main() -> None:
        async with Store.open(tmp_path, TINY) as store:
            for at, request in enumerate(requests):
                await store.append(request.SerializeToString(), at)

    asyncio.run(main())
    assert len(Layout(tmp_path).segments()) > 5
    assert sorted(x for request in requests for x in ids(request)) == sorted(held(open_snapshot(tmp_path)))


def test_a_journal_over_its_age_is_rolled_without_further_appends(tmp_path: Path) -> None:
    async def main() -> None:
        async with Store.open(tmp_path, StoreSettings(roll_seconds=0.05)) as store:
            await store.append(trace_request({}).SerializeToString(), 1)
            await first_segment(tmp_path)
            await asyncio.sleep(0.2)
            assert Layout(tmp_path).segments() == [1]  # an empty journal is left as it is

    asyncio.run(main())


def test_what_a_killed_process_left_is_rolled_at_the_start(tmp_path: Path) -> None:
    request = trace_request({}, {})

    async def leave() -> None:
        layout = Layout(tmp_path)
        layout.create()
        journal = Journal(layout.journal(7), 2**20)
        await journal.append(request.SerializeToString(), 1)
        await journal.close()

    async def main() -> None:
        async with Store.open(tmp_path, StoreSettings()) as store:
            await store.append(trace_request({}).SerializeToString(), 2)
            await first_segment(tmp_path)
            assert (Layout(tmp_path).journals(), Layout(tmp_path).segments()) == ([8], [7])

    asyncio.run(leave())
    asyncio.run(main())


def test_a_journal_that_cannot_be_rolled_is_kept_and_reported_and_the_others_are_rolled(
    tmp_path: Path,
) -> None:
    async def leave(number: int, payload: bytes) -> None:
        journal = Journal(Layout(tmp_path).journal(number), 2**20)
        await journal.append(payload, 1)
        await journal.close()

    async def main() -> None:
        Layout(tmp_path).create()
        await leave(1, b"something else")
        await leave(2, trace_request({}).SerializeToString())
        async with Store.open(tmp_path, StoreSettings()) as store:
            await first_segment(tmp_path)
            expected = f"journal {Layout(tmp_path).journal(1)} holds what is no ExportTraceServiceRequest"
            async with asyncio.timeout(20):
                while store.status().roll_failure != expected:  # noqa: ASYNC110 - set from a thread
                    await asyncio.sleep(0.01)

    asyncio.run(main())
    assert (Layout(tmp_path).journals(), Layout(tmp_path).segments()) == ([1], [2])


def test_after_a_journal_that_broke_the_next_append_goes_to_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, lost, later = trace_request({}), trace_request({}), trace_request({})

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    async def main() -> None:
        async with Store.open(tmp_path, StoreSettings()) as store:
            await store.append(kept.SerializeToString(), 1)
            with monkeypatch.context() as disk:
                disk.setattr(os, "pwrite", fail)
                disk.setattr(os, "ftruncate", fail)
                with pytest.raises(Refused):
                    await store.append(lost.SerializeToString(), 2)
            async with asyncio.timeout(20):
                while 2 not in Layout(tmp_path).journals():  # noqa: ASYNC110 - files alone tell
                    await asyncio.sleep(0.01)
            await store.append(later.SerializeToString(), 3)

    asyncio.run(main())
    assert ids(kept) | ids(later) == set(held(open_snapshot(tmp_path)))


def test_files_and_folders_are_not_for_everybody_to_read(tmp_path: Path) -> None:
    async def main() -> None:
        async with Store.open(tmp_path / "store", StoreSettings()) as store:
            await store.append(trace_request({}).SerializeToString(), 1)

    before = os.umask(0o022)
    try:
        asyncio.run(main())
    finally:
        os.umask(before)
    paths = [tmp_path / "store", *(tmp_path / "store").rglob("*")]
    assert {0o750} == {path.stat().st_mode & 0o777 for path in paths if path.is_dir()}
    files = {path.name: path.stat().st_mode & 0o777 for path in paths if path.is_file()}
    assert files == {"lock": 0o640, "otel_traces.parquet": 0o640}


def test_a_second_store_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with Store.open(tmp_path, StoreSettings()):
            with pytest.raises(StoreLocked, match=f"already written to by process {os.getpid()}"):
                async with Store.open(tmp_path, StoreSettings()):
                    pass

    asyncio.run(main())


def test_a_failing_disk_shows_in_the_status_until_an_append_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    async def main() -> None:
        async with Store.open(tmp_path, StoreSettings()) as store:
            with monkeypatch.context() as disk:
                disk.setattr(os, "fsync", fail)
                with pytest.raises(Refused):
                    await store.append(trace_request({}).SerializeToString(), 1)
            assert store.status().write_failure == "the store cannot be written: No space left on device"
            await store.append(trace_request({}).SerializeToString(), 2)
            assert store.status().write_failure is None
            assert store.status().journal_bytes > 0

    asyncio.run(main())
