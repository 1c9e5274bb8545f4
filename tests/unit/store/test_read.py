import asyncio
import struct
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from collecting import ids, trace_request
from meshtrial.errors import NoData, StoreError
from meshtrial.store.journal import Journal
from meshtrial.store.layout import Layout
from meshtrial.store.read import connect, open_snapshot
from meshtrial.store.schema import SCHEMA
from meshtrial.store.segments import roll
from meshtrial.store.writer import Store, StoreSettings

NOW = 1_700_000_001 * 10**9


def make_store(path: Path, *journals: list[tuple[int, Any]], rolled: int = 0) -> Path:
    """A store of these journals of (received_ns, request), the first `rolled` made into segments."""

    async def main() -> None:
        layout = Layout(path)
        layout.create()
        for number, requests in enumerate(journals, 1):
            journal = Journal(layout.journal(number), 2**24)
            for received_ns, request in requests:
                await journal.append(request.SerializeToString(), received_ns)
            await journal.close()
            if number <= rolled:
                roll(layout, number)

    asyncio.run(main())
    return path


def select(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with connect(path) as database:
        return database.execute(sql).fetchall()


def test_no_store_and_an_empty_store_say_so_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(NoData, match=f"^there is no store at {tmp_path}/none$"):
        connect(tmp_path / "none")
    make_store(tmp_path / "empty", [])
    with pytest.raises(NoData, match=f"^the store {tmp_path}/empty holds no spans yet$"):
        connect(tmp_path / "empty")


def test_a_damaged_segment_and_a_strange_journal_are_one_clear_error(tmp_path: Path) -> None:
    damaged = make_store(tmp_path / "damaged", [(0, trace_request({}))], rolled=1)
    Layout(damaged).parquet(1).write_bytes(b"no Parquet")
    with pytest.raises(StoreError, match=rf"^the store {damaged} cannot be read: "):
        connect(damaged)

    strange = make_store(tmp_path / "strange", [(0, trace_request({"name": "x" * 50}))])
    journal = Layout(strange).journal(1)
    payload = b"something else"
    checked = struct.pack("<q", 0) + payload
    journal.write_bytes(struct.pack("<II", len(payload), zlib.crc32(checked)) + checked)
    with pytest.raises(StoreError, match=r"holds what is no ExportTraceServiceRequest$"):
        connect(strange)


@pytest.mark.parametrize("rolled", [0, 1, 2, 3])
def test_segments_and_journals_are_one_table(tmp_path: Path, rolled: int) -> None:
    requests = [trace_request({}, {}) for _ in range(6)]
    journals = [[(at, requests[at]), (at + 1, requests[at + 1])] for at in (0, 2, 4)]

    store = make_store(tmp_path, *journals, rolled=rolled)

    found = select(store, "SELECT TraceId, SpanId FROM otel_traces")
    assert sorted(x for request in requests for x in ids(request)) == sorted(found)


def test_the_view_has_exactly_the_columns_of_the_schema(tmp_path: Path) -> None:
    store = make_store(tmp_path, [(0, trace_request({}))], [(1, trace_request({}))], rolled=1)

    assert SCHEMA.names == [name for name, *_ in select(store, "DESCRIBE otel_traces")]


@pytest.mark.parametrize("old", [(1,), (2,), (1, 2)])
def test_a_segment_of_a_version_with_fewer_columns_is_read_with_nulls_in_them(
    tmp_path: Path, old: tuple[int, ...]
) -> None:
    said = {
        "meshtrial.cohort": "enterprise",
        "meshtrial.window": 5,
        "meshtrial.strata.x-country": "IN",
        "meshtrial.neighbours": "0" * 15 + "7" + "f" * 16,
        "http.response.status_code": 200,
        "rpc.grpc.status_code": 0,
        "meshtrial.route": "rank",
        "meshtrial.failed_open": False,
    }
    requests = [trace_request({"name": "meshtrial.exposure", "attributes": said}) for _ in range(2)]
    store = make_store(tmp_path, *([(at, request)] for at, request in enumerate(requests)), rolled=2)
    added = ["Cohort", "Window", "Strata", "Neighbours", "Status", "GrpcStatus", "Route", "FailedOpen"]
    for number in old:
        path = Layout(store).parquet(number)
        pq.write_table(pq.read_table(path).drop_columns(added), path)

    listed = ", ".join(f'"{name}"' for name in added)
    found = select(store, f"SELECT {listed} FROM otel_traces ORDER BY ReceivedAt")

    new = ("enterprise", 5, {"x-country": "IN"}, [7], 200, 0, "rank", False)
    assert found == [(None,) * len(added) if n in old else new for n in (1, 2)]


def test_values_come_back_as_they_were_stored(tmp_path: Path) -> None:
    outcome = {
        "name": "meshtrial.outcome",
        "start_time_unix_nano": 1_700_000_000_123_456_789,
        "attributes": {
            "meshtrial.outcome.name": "purchase",
            "meshtrial.outcome.values.amount": 0.1,
            "feature_flag.context.id": "f" * 32,
        },
    }
    store = make_store(
        tmp_path, [(NOW, trace_request(outcome))], [(NOW + 1, trace_request(outcome))], rolled=1
    )

    found = select(
        store,
        """SELECT epoch_ns(Timestamp), Outcome, OutcomeValues['amount'], Unit, Bucket,
                  SpanAttributes['feature_flag.context.id'], epoch_ns(ReceivedAt)
           FROM otel_traces ORDER BY ReceivedAt""",
    )

    same = (1_700_000_000_123_456_789, "purchase", 0.1, 2**64 - 1, None, "f" * 32)
    assert [(*same, NOW), (*same, NOW + 1)] == found


VERSIONS = "SELECT SpanAttributes['version'] FROM otel_traces"


def version(which: str, **fields: Any) -> dict[str, Any]:
    """A span that tells itself from its copies by an attribute."""
    again = {"trace_id": b"t" * 16, "span_id": b"s" * 8, "name": "again"}
    return {**again, **fields, "attributes": {"version": which}}


@pytest.mark.parametrize("rolled", [0, 1, 2])
def test_a_span_that_came_twice_counts_once_as_received_first(tmp_path: Path, rolled: int) -> None:
    other = version("other", span_id=b"S" * 8)  # of the same trace, and not the same span
    store = make_store(
        tmp_path,
        [(30, trace_request(version("third"))), (10, trace_request(version("first")))],
        [(20, trace_request(version("second"), other))],
        rolled=rolled,
    )

    assert sorted(select(store, VERSIONS)) == [("first",), ("other",)]


@pytest.mark.parametrize("rolled", [0, 1, 2])
def test_an_imported_copy_counts_only_where_there_is_no_other(tmp_path: Path, rolled: int) -> None:
    times = {"name": "meshtrial.outcome", "start_time_unix_nano": 5}
    imported, alone = version("imported", **times), version("alone", **times, span_id=b"S" * 8)
    for span in (imported, alone):
        span["attributes"]["meshtrial.imported"] = True
    store = make_store(
        tmp_path,
        [(10, trace_request(imported, alone))],
        [(20, trace_request(version("second", **times))), (30, trace_request(version("third", **times)))],
        rolled=rolled,
    )

    assert sorted(select(store, VERSIONS)) == [("alone",), ("second",)]


@pytest.mark.parametrize("rolled", [0, 1, 2, 3])
def test_of_two_imports_of_one_span_the_earlier_counts(tmp_path: Path, rolled: int) -> None:
    times = {"name": "meshtrial.exposure", "start_time_unix_nano": 5}
    copies = [version(name, **times) for name in ("first", "second", "third")]
    for span in copies:
        span["attributes"]["meshtrial.imported"] = True
    journals = [[(10 + n, trace_request(span))] for n, span in enumerate(copies)]

    store = make_store(tmp_path, *journals, rolled=rolled)

    assert select(store, VERSIONS) == [("first",)]


def test_of_copies_received_at_once_one_is_left(tmp_path: Path) -> None:
    store = make_store(tmp_path, [(1, trace_request(version("a"), version("b")))])

    assert select(store, VERSIONS) == [("a",)]


@pytest.mark.parametrize("rolled", [0, 1, 2])
def test_a_span_of_another_name_cannot_take_the_place_of_one_by_its_ids(tmp_path: Path, rolled: int) -> None:
    store = make_store(
        tmp_path,
        [(1, trace_request(version("forged", name="anything")))],
        [(2, trace_request(version("real", name="meshtrial.outcome")))],
        rolled=rolled,
    )

    assert sorted(select(store, VERSIONS)) == [("forged",), ("real",)]


def test_a_journal_whose_segment_is_there_already_is_not_read_twice(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    make_store(tmp_path, [(1, trace_request({}))])
    journal = layout.journal(1).read_bytes()
    roll(layout, 1)
    layout.journal(1).write_bytes(journal)  # as between the renaming and the deleting

    snapshot = open_snapshot(tmp_path)

    assert (len(snapshot.segments), snapshot.journal.num_rows) == (1, 0)


def test_a_journal_rolled_between_listing_and_reading_is_found_as_a_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_store(tmp_path, [(1, trace_request({}))])
    listed = Layout.journals

    def list_then_roll(layout: Layout) -> list[int]:
        numbers = listed(layout)
        roll(layout, 1)
        return numbers

    monkeypatch.setattr(Layout, "journals", list_then_roll)

    assert len(open_snapshot(tmp_path).segments) == 1


def test_a_reader_beside_a_rolling_writer_sees_everything_acknowledged_at_each_moment(tmp_path: Path) -> None:
    acknowledged: list[tuple[str, str]] = []
    stop = threading.Event()
    journals_seen: set[int] = set()

    async def write() -> None:
        async with Store.open(tmp_path, StoreSettings(roll_bytes=20_000)) as store:
            at = 0
            while not stop.is_set():
                requests = [trace_request({}, {}) for _ in range(20)]
                await asyncio.gather(*(store.append(r.SerializeToString(), at) for r in requests))
                acknowledged.extend(x for r in requests for x in ids(r))
                at += 1
                await asyncio.sleep(0.01)

    writer = threading.Thread(target=lambda: asyncio.run(write()))
    writer.start()
    try:
        while not acknowledged:
            assert writer.is_alive()
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            expected = set(acknowledged)
            found = select(tmp_path, "SELECT TraceId, SpanId FROM otel_traces")
            assert len(found) == len(set(found))
            assert expected <= set(found)
            journals_seen.update(Layout(tmp_path).journals())
    finally:
        stop.set()
        writer.join()

    assert len(journals_seen) > 5, "no journal was rolled meanwhile"
    assert sorted(acknowledged) == sorted(select(tmp_path, "SELECT TraceId, SpanId FROM otel_traces"))
