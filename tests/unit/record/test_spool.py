"""The queue on disk: order, limits, and what is left after a process died."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from meshtrial.errors import SettingError
from meshtrial.record.span import Timing, span_record
from meshtrial.record.spool import Spool


def record(name: str, padding: int = 0) -> bytes:
    return span_record(name, {"padding": "x" * padding}, "", os.urandom(24), Timing(1, 2))


def names(data: bytes) -> list[str]:
    request = ExportTraceServiceRequest.FromString(data)
    return [
        span.name for group in request.resource_spans for scope in group.scope_spans for span in scope.spans
    ]


def drain(spool: Spool, most: int = 10**6) -> list[str]:
    found = []
    while (batch := spool.read(most)).records:
        assert batch.records == len(names(batch.data))
        found += names(batch.data)
        spool.delivered(len(batch.data))
    return found


def test_records_come_out_in_order_and_once(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for number in range(10):
        assert spool.append(record(str(number)))

    assert drain(spool) == [str(number) for number in range(10)]
    assert (drain(spool), spool.waiting) == ([], 0)
    spool.append(record("later"))
    assert drain(spool) == ["later"]


def test_what_was_not_said_to_be_delivered_is_read_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(record("a"))

    assert spool.read(10**6) == spool.read(10**6)
    assert drain(spool) == ["a"]


@given(
    sizes=st.lists(st.integers(0, 400), max_size=30),
    most=st.integers(1, 2000),
    file_bytes=st.integers(1, 2000),
)
def test_any_sizes_of_records_batches_and_files_keep_the_order(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], most: int, file_bytes: int
) -> None:
    spool = Spool(tmp_path_factory.mktemp("spool"), file_bytes=file_bytes)
    for number, size in enumerate(sizes):
        assert spool.append(record(str(number), size))

    assert drain(spool, most) == [str(number) for number in range(len(sizes))]
    spool.close()


def test_beyond_the_limit_nothing_is_taken_until_something_was_delivered(tmp_path: Path) -> None:
    one = record("a")
    spool = Spool(tmp_path, limit=2 * len(one))

    assert [spool.append(one), spool.append(one), spool.append(one)] == [1, 1, 0]
    drain(spool)
    assert spool.append(one)


def test_what_is_no_request_is_refused_before_it_can_hide_the_records_behind_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for bad in (b"\x12\x00", record("a") + b"\x12\x00", record("a")[:-1], b"text"):
        with pytest.raises(ValueError, match="span groups only"):
            spool.append(bad)
    spool.append(record("good"))

    assert drain(spool) == ["good"]


def test_a_request_of_several_groups_counts_them(tmp_path: Path) -> None:
    assert Spool(tmp_path).append(record("a") + record("b")) == 2


def test_delivered_files_are_deleted(tmp_path: Path) -> None:
    spool = Spool(tmp_path, file_bytes=1)
    for _ in range(5):
        spool.append(record("a"))
    assert len(list(tmp_path.glob("*.otlp"))) == 5

    drain(spool)
    spool.close()

    assert list(tmp_path.glob("*.otlp")) == []


def test_a_killed_process_leaves_every_record_to_the_next_one(tmp_path: Path) -> None:
    script = (
        "import os,signal,sys; from pathlib import Path; from meshtrial.record.spool import Spool\n"
        "spool = Spool(Path(sys.argv[1])); spool.append(bytes.fromhex(sys.argv[2]))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    for number in range(3):
        subprocess.run(
            [sys.executable, "-c", script, tmp_path, record(str(number)).hex()], check=False, timeout=60
        )

    assert drain(Spool(tmp_path)) == ["0", "1", "2"]


@pytest.mark.parametrize("cut", [1, 2, 3, 20])
def test_a_record_cut_off_by_a_crash_is_left_out_and_blocks_nothing(tmp_path: Path, cut: int) -> None:
    (tmp_path / "00000007.otlp").write_bytes(record("whole") + record("torn")[:-cut])
    (tmp_path / "00000008.otlp").write_bytes(record("torn")[:cut])
    spool = Spool(tmp_path)
    spool.append(record("new"))

    found: list[str] = []
    for _ in range(10):
        found += drain(spool)

    assert found == ["whole", "new"]
    assert spool.waiting == 0


@pytest.mark.parametrize("size", [100, 3 * 2**20])
def test_a_damaged_place_is_passed_over_and_told(tmp_path: Path, size: int) -> None:
    (tmp_path / "00000001.otlp").write_bytes(record("before") + b"\0" * size)
    spool = Spool(tmp_path)
    spool.append(record("after"))

    first = spool.read(10**6)
    spool.delivered(len(first.data))
    second = spool.read(10**6)

    assert (names(first.data), first.unreadable) == (["before"], 0)
    assert (names(second.data), second.unreadable) == (["after"], size)


def test_a_file_that_was_taken_away_blocks_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(record("lost"))
    for path in tmp_path.glob("*.otlp"):
        path.unlink()

    assert spool.read(10**6).unreadable > 0
    spool.read(10**6)
    spool.append(record("new"))
    assert drain(spool) == ["new"]


def test_stray_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "0001 copy.otlp").touch()
    (tmp_path / "1.otlp").touch()

    Spool(tmp_path).close()

    assert (tmp_path / "0001 copy.otlp").exists()


def test_one_directory_has_one_process(tmp_path: Path) -> None:
    first = Spool(tmp_path)
    with pytest.raises(SettingError, match="is in use by another process"):
        Spool(tmp_path)
    first.close()
    Spool(tmp_path).close()


def test_a_directory_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SettingError, match=r"^the spool .*file cannot be written: "):
        Spool(tmp_path / "file")


def test_a_full_disk_refuses_and_loses_nothing_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path)
    spool.append(record("before"))
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, at: real(descriptor, data[:5], at))
    assert not spool.append(record("cut"))
    monkeypatch.undo()

    assert spool.append(record("after"))
    assert drain(spool) == ["before", "after"]
