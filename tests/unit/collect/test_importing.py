"""An import against a door that answers as told."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from meshtrial.collect import importing
from meshtrial.collect.file_rows import Format
from meshtrial.collect.importing import OUTCOMES, Counts, Door, Refusal, Watcher, import_file
from meshtrial.collect.row_outcomes import Columns
from meshtrial.errors import SettingError

COLUMNS = Columns(unit="user", unit_kind="request", time="at", name="purchase")
ROWS = 10
START = 1_772_366_400


class FakeDoor:
    """Answers 200 unless `statuses` has others; keeps what was sent with 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.refuse: dict[str, str] = {}  # by unit
        self.taken: list[list[dict[str, Any]]] = []
        door = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                batch = json.loads(self.rfile.read(int(self.headers["content-length"])))
                status = door.statuses.pop(0) if door.statuses else 200
                if self.headers["authorization"] != "Bearer secret":
                    status = 401
                answer = door.answer(batch) if status == 200 else b"{}"
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, batch: list[dict[str, Any]]) -> bytes:
        self.taken.append(batch)
        refused = [
            {"index": at, "path": f"$[{at}].unit.value", "error": self.refuse[item["unit"]["value"]]}
            for at, item in enumerate(batch)
            if item["unit"]["value"] in self.refuse
        ]
        return json.dumps({"accepted": len(batch) - len(refused), "refused": refused}).encode()

    def units(self) -> list[str]:
        return [item["unit"]["value"] for batch in self.taken for item in batch]


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDoor]:
    monkeypatch.setattr(importing, "BATCH", 3)
    monkeypatch.setattr(importing, "PAUSES", (0.0, 0.0))
    fake = FakeDoor()
    thread = threading.Thread(target=fake.server.serve_forever, args=(0.01,))
    thread.start()
    yield fake
    fake.server.shutdown()
    thread.join()
    fake.server.server_close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "orders.csv"
    file.write_text("user,at,id\n" + "".join(f"u{n},{START + n},{n}\n" for n in range(ROWS)))
    return file


def run(
    path: Path, door: FakeDoor, columns: Columns = COLUMNS, token: str = "secret"
) -> tuple[Counts, list[Refusal]]:
    refused: list[Refusal] = []
    with closing(Door(door.url, token, OUTCOMES)) as sender:
        watcher = Watcher(refused.append, lambda _: None)
        return import_file(path, Format.CSV, columns, sender, watcher), refused


def test_every_row_is_sent_in_batches_and_nothing_stays_beside_the_file(path: Path, door: FakeDoor) -> None:
    counts, refused = run(path, door)

    assert (counts, refused) == (Counts(ROWS, ROWS, 0), [])
    assert door.units() == [f"u{n}" for n in range(ROWS)]
    assert [len(batch) for batch in door.taken] == [3, 3, 3, 1]
    assert list(path.parent.iterdir()) == [path]


def test_batches_stay_within_their_bytes(path: Path, door: FakeDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "BATCH_BYTES", 1)

    run(path, door)

    assert [len(batch) for batch in door.taken] == [1] * ROWS


def test_equal_rows_are_told_apart_by_their_occurrence(path: Path, door: FakeDoor) -> None:
    path.write_text(f"user,at,note\nu1,{START},x\nu2,{START},x\nu1,2026-03-01T12:00:00Z,y\nu1,{START}.0,x\n")

    run(path, door)

    found = [(item["unit"]["value"], item["occurrence"]) for batch in door.taken for item in batch]
    assert found == [("u1", 1), ("u2", 1), ("u1", 2), ("u1", 3)]


def test_with_an_id_column_rows_have_no_occurrence(path: Path, door: FakeDoor) -> None:
    run(path, door, Columns(unit="user", unit_kind="request", time="at", name="purchase", id="id"))

    assert [item["id"] for item in door.taken[0]] == ["0", "1", "2"]
    assert "occurrence" not in door.taken[0][0]


def test_rows_that_are_refused_here_or_there_are_named_by_their_line(path: Path, door: FakeDoor) -> None:
    path.write_text(f"user,at\nu1,{START}\nu2,never\n\nu3,{START}\nu4\nbad,{START}\n")
    door.refuse = {"bad": "a rule", "u1": "another"}

    counts, refused = run(path, door)

    assert counts == Counts(rows=5, acknowledged=1, refused=4)
    assert [(refusal.line, refusal.rule[:30]) for refusal in sorted(refused)] == [
        (2, "unit.value: another"),
        (3, "`at` must be a time such as 20"),
        (6, "it has 1 cells; the first line"),
        (7, "unit.value: a rule"),
    ]


def test_after_an_interruption_it_goes_on_behind_what_was_acknowledged(path: Path, door: FakeDoor) -> None:
    door.statuses = [200, 200, 503, 503, 503]
    with pytest.raises(SettingError, match=r"it answered 503\. Run the command again to go on from here"):
        run(path, door)

    counts, _ = run(path, door)

    assert counts == Counts(ROWS, ROWS, 0)
    assert door.units() == [f"u{n}" for n in range(ROWS)]
    assert list(path.parent.iterdir()) == [path]


def test_equal_rows_keep_their_number_when_an_import_goes_on(path: Path, door: FakeDoor) -> None:
    path.write_text("user,at\n" + f"u,{START}\n" * 7)
    door.statuses = [200, 200, 503, 503, 503]
    with pytest.raises(SettingError):
        run(path, door)

    run(path, door)

    assert [item["occurrence"] for batch in door.taken for item in batch] == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("changed", ["file", "columns", "state"])
def test_what_was_changed_meanwhile_is_sent_from_its_beginning(
    path: Path, door: FakeDoor, changed: str
) -> None:
    door.statuses = [200, 503, 503, 503]
    with pytest.raises(SettingError):
        run(path, door)
    door.taken.clear()

    columns = COLUMNS
    match changed:
        case "file":
            path.write_text(path.read_text() + "u10,1772366410,10\n")
        case "columns":
            columns = Columns(unit="user", unit_kind="request", time="at", name="refund")
        case _:
            path.with_name("orders.csv.meshtrial-import").write_text("{")
    run(path, door, columns)

    assert door.units()[:ROWS] == [f"u{n}" for n in range(ROWS)]


def test_refusals_before_an_interruption_still_count(path: Path, door: FakeDoor) -> None:
    door.refuse = {"u1": "a rule"}
    door.statuses = [200, 503, 503, 503]
    with pytest.raises(SettingError):
        run(path, door)

    counts, refused = run(path, door)

    assert (counts, refused) == (Counts(ROWS, ROWS - 1, 1), [])


def test_a_busy_collector_is_asked_again(path: Path, door: FakeDoor) -> None:
    door.statuses = [503, 408, 200]

    assert run(path, door)[0] == Counts(ROWS, ROWS, 0)


def test_a_wrong_token_and_a_wrong_port_are_one_clear_error(path: Path, door: FakeDoor) -> None:
    with pytest.raises(SettingError, match=f"^{door.url} refuses the token: it needs the collector's"):
        run(path, door, token="wrong")
    door.statuses = [404]
    with pytest.raises(SettingError, match=f"^{door.url} takes no outcomes: it answered 404"):
        run(path, door)
    door.answer = lambda _: b"<html>"  # type: ignore[method-assign, assignment]  # another program's answer
    with pytest.raises(SettingError, match="is no collector's HTTP port: its answer cannot be read"):
        run(path, door)


@pytest.mark.parametrize(
    "url",
    [
        *("localhost:4318", "http://", "http://x:99999", "ftp://x", "http://x/ü"),
        *("http://user:secret@x", "http://x?a=b", "http://x/#part"),
    ],
)
def test_what_is_no_url_of_a_collector_is_one_clear_error(url: str) -> None:
    with pytest.raises(SettingError, match=r"^--collector ") as refused:
        Door(url, "token", OUTCOMES)
    assert "secret" not in str(refused.value)
