import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from growing_store import Growing, Row, Traffic, same
from judged_rows import PLAN, plan_of
from meshtrial.plan.model import Plan
from meshtrial.store.engine import DuckDB

SEQUENTIAL = plan_of(("method: fixed", "method: sequential"))
AT = 40.0


def grown(folder: Path, plan: Plan = SEQUENTIAL, *, returning: float = 0.0) -> tuple[Growing, Traffic]:
    """A store of one batch with a report on it, and what comes next."""
    store = Growing(folder / "store")
    traffic = Traffic(plan, random.Random(1), returning=returning)
    store.grow(traffic.batch(60, odd=0))
    store.report(plan, 30)
    assert store.anew == 1
    return store, traffic


def asked_of_all(store: Growing, monkeypatch: pytest.MonkeyPatch, plan: Plan, second: float) -> list[str]:
    """The queries of a report that ask the whole store for exposures or outcomes."""
    asked: list[str] = []
    engines: list[DuckDB] = []
    made, rows, keep = DuckDB.__init__, DuckDB.rows, DuckDB.keep

    def note(engine: DuckDB, query: str) -> None:
        if engine is engines[0] and ("meshtrial.exposure" in query or "meshtrial.outcome" in query):
            asked.append(query)

    def noted_init(engine: DuckDB, connection: duckdb.DuckDBPyConnection) -> None:
        engines.append(engine)
        made(engine, connection)

    def noted_rows(engine: DuckDB, query: str) -> Sequence[tuple[Any, ...]]:
        note(engine, query)
        return rows(engine, query)

    def noted_keep(engine: DuckDB, name: str, query: str) -> None:
        note(engine, query)
        keep(engine, name, query)

    with monkeypatch.context() as patched:
        patched.setattr(DuckDB, "__init__", noted_init)
        patched.setattr(DuckDB, "rows", noted_rows)
        patched.setattr(DuckDB, "keep", noted_keep)
        store.report(plan, second)
    return asked


def test_a_second_report_asks_the_whole_store_for_no_exposure_and_no_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, traffic = grown(tmp_path, PLAN)
    store.grow(traffic.batch(10, odd=0))
    assert asked_of_all(store, monkeypatch, PLAN, AT) == []
    assert store.anew == 1
    store.memory.rename(tmp_path / "away")
    assert asked_of_all(store, monkeypatch, PLAN, AT)
    assert store.anew == 2


def test_units_of_before_that_come_again_are_counted_by_all_their_rows(tmp_path: Path) -> None:
    store, traffic = grown(tmp_path, returning=0.9)
    for journal in (True, False):
        store.grow(traffic.batch(20, odd=0), journal=journal)
        assert same(store.report(SEQUENTIAL, AT + 30), store.fresh(SEQUENTIAL, AT + 30))
    assert store.anew == 1


def test_another_arm_of_a_unit_of_before_is_found(tmp_path: Path) -> None:
    store, traffic = grown(tmp_path)
    exposure = next(row for row in traffic.old if row["SpanName"] == "meshtrial.exposure")
    other = "v1" if exposure["Arm"] == "v2" else "v2"
    later: Row = {"TraceId": "f" * 32, "SpanId": "f" * 16, "Arm": other}
    store.grow([{**exposure, **later, "Timestamp": int(str(exposure["Timestamp"])) + 1}])
    report = store.report(SEQUENTIAL, AT)
    assert same(report, store.fresh(SEQUENTIAL, AT))
    assert store.anew == 1
    assert "1 of 60 units" in next(c["detail"] for c in report["health"] if c["check"] == "one_arm")


@pytest.mark.parametrize("earlier", [-500_000_000, 500_000_000])
def test_a_row_of_before_that_comes_again_counts_once(tmp_path: Path, earlier: int) -> None:
    store, traffic = grown(tmp_path)
    rows = [row for row in traffic.old if row["SpanName"] == "meshtrial.outcome"][:5]
    store.grow([{**row, "ReceivedAt": int(str(row["ReceivedAt"])) + earlier} for row in rows])
    assert same(store.report(SEQUENTIAL, AT), store.fresh(SEQUENTIAL, AT))


def test_another_plan_remembers_for_itself(tmp_path: Path) -> None:
    store, traffic = grown(tmp_path)
    store.grow(traffic.batch(10, odd=0))
    assert same(store.report(PLAN, AT), store.fresh(PLAN, AT))
    assert store.anew == 2
    assert same(store.report(SEQUENTIAL, AT), store.fresh(SEQUENTIAL, AT))
    assert store.anew == 2


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    store, traffic = grown(tmp_path)
    store.grow(traffic.batch(10, odd=0))
    for path in store.memory.iterdir():
        path.write_bytes(path.read_bytes()[:-9] + b"123456789")
    assert same(store.report(SEQUENTIAL, AT), store.fresh(SEQUENTIAL, AT))
    assert store.anew == 2
    store.report(SEQUENTIAL, AT)
    assert store.anew == 2


def test_a_segment_that_is_another_one_is_not_taken_for_the_one_remembered(tmp_path: Path) -> None:
    store = grown(tmp_path)[0]
    other = Growing(tmp_path / "other")
    other.grow(Traffic(SEQUENTIAL, random.Random(2)).batch(60, odd=0))
    segment = Path("segments/00000001/otel_traces.parquet")
    (store.root / segment).write_bytes((other.root / segment).read_bytes())
    assert same(store.report(SEQUENTIAL, AT), store.fresh(SEQUENTIAL, AT))
    assert store.anew == 2


def test_a_store_that_cannot_be_written_has_its_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refused)
    store = Growing(tmp_path / "store")
    traffic = Traffic(SEQUENTIAL, random.Random(1))
    for _ in range(2):
        store.grow(traffic.batch(30, odd=0))
        assert same(store.report(SEQUENTIAL, AT), store.fresh(SEQUENTIAL, AT))
    assert store.anew == 2


def test_a_report_as_of_an_earlier_time_is_of_that_time(tmp_path: Path) -> None:
    store = grown(tmp_path)[0]
    assert same(store.report(SEQUENTIAL, 5), store.fresh(SEQUENTIAL, 5))
    assert same(store.report(SEQUENTIAL, AT), store.fresh(SEQUENTIAL, AT))


@pytest.mark.parametrize("share", ["60%", "98%"])
def test_a_cap_that_was_not_settled_is_made_anew_though_nothing_came_but_time(
    tmp_path: Path, share: str
) -> None:
    window = "value: amount, window: 10s"
    plan = plan_of(
        ("planned_units: 100", "planned_units: 40"),
        ("lateness: 0s", "lateness: 20s"),
        (window, f"{window}, cap: {share}"),
    )
    store = Growing(tmp_path / "store")
    store.grow(Traffic(plan, random.Random(1)).batch(60, odd=0))

    for second in (33.0, 35.0, 50.0, 300.0):  # all is received, and units are final from 30 to 40
        assert same(store.report(plan, second), store.fresh(plan, second))
