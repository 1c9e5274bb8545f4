import asyncio
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collecting import ids, trace_request
from meshtrial.errors import StoreError
from meshtrial.store.journal import Journal
from meshtrial.store.layout import Layout
from meshtrial.store.schema import SCHEMA
from meshtrial.store.segments import Rolled, roll, write_rows

REQUESTS = [trace_request({}, {}), trace_request({}), trace_request({}, {}, {})]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path)
    layout.create()
    return layout


def write_journal(layout: Layout, number: int = 1, requests: list[Any] = REQUESTS) -> None:
    async def main() -> None:
        journal = Journal(layout.journal(number), 2**20)
        for at, request in enumerate(requests):
            await journal.append(request.SerializeToString(), at)
        await journal.close()

    asyncio.run(main())


def stored(layout: Layout, number: int = 1) -> set[tuple[str, str]]:
    table = pq.read_table(layout.parquet(number))
    return set(zip(table["TraceId"].to_pylist(), table["SpanId"].to_pylist(), strict=True))


EXPECTED = set().union(*map(ids, REQUESTS))


def test_a_journal_becomes_a_zstd_parquet_segment_and_is_gone(layout: Layout) -> None:
    write_journal(layout)

    assert Rolled(1, 6, 0) == roll(layout, 1)

    assert stored(layout) == EXPECTED
    assert layout.journals() == []
    assert list((layout.root / "building").iterdir()) == []
    file = pq.ParquetFile(layout.parquet(1))
    assert file.schema_arrow == SCHEMA
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"


def test_an_empty_journal_becomes_no_segment(layout: Layout) -> None:
    write_journal(layout, requests=[])

    assert Rolled(1, 0, 0) == roll(layout, 1)

    assert (layout.journals(), layout.segments()) == ([], [])


def test_a_torn_journal_gives_what_is_whole_and_is_kept_for_looking(layout: Layout) -> None:
    write_journal(layout)
    with layout.journal(1).open("ab") as file:
        file.write(b"torn")

    assert Rolled(1, 6, 4) == roll(layout, 1)

    assert stored(layout) == EXPECTED
    assert layout.journals() == []
    assert layout.journal(1).with_suffix(".unreadable").exists()


STEPS = ("fsync", "rename", "unlink")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_after_a_crash_around_any_step_rolling_again_ends_well(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, step: str, before: bool
) -> None:
    write_journal(layout)
    owner: Any = os if step == "fsync" else Path
    real = getattr(owner, step)

    def crash(*arguments: Any) -> None:
        if not before:
            real(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(owner, step, crash)
        with pytest.raises(KeyboardInterrupt):
            roll(layout, 1)

    if 1 in layout.journals():
        roll(layout, 1)

    assert stored(layout) == EXPECTED
    assert layout.journals() == []


def test_a_full_disk_leaves_the_journal_as_it_was(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    write_journal(layout)
    written = layout.journal(1).read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(pq, "ParquetWriter", full)
        with pytest.raises(StoreError, match=r"cannot be made into a segment: .*No space left on device"):
            roll(layout, 1)

    assert written == layout.journal(1).read_bytes()
    assert layout.segments() == []
    assert roll(layout, 1).spans == 6


def test_rows_of_one_name_are_together_in_the_order_received_so_that_readers_pass_over_the_others(
    tmp_path: Path,
) -> None:
    names = [
        "meshtrial.outcome",
        "a",
        "meshtrial.exposure",
        "b",
        "meshtrial.outcome",
        "meshtrial.exposure",
        "a",
    ]
    columns: dict[str, list[object]] = {name: [None] * len(names) for name in SCHEMA.names}
    columns |= {"SpanName": list(names), "SpanId": [str(number) for number in range(len(names))]}
    with (tmp_path / "segment").open("wb") as file:
        write_rows(pa.table(columns, schema=SCHEMA), file)

    groups = pq.ParquetFile(tmp_path / "segment")
    found = [groups.read_row_group(i).select(["SpanName", "SpanId"]) for i in range(groups.num_row_groups)]
    assert [list(zip(*group.to_pydict().values(), strict=True)) for group in found] == [
        [("meshtrial.exposure", "2"), ("meshtrial.exposure", "5")],
        [("meshtrial.outcome", "0"), ("meshtrial.outcome", "4")],
        [("a", "1"), ("b", "3"), ("a", "6")],
    ]
