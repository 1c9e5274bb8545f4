"""A file of outcomes or exposures -> the collector's door, in batches: the collector stays the one writer.

Stage: file_rows -> row_cells -> row_outcomes or row_exposures -> **importing** -> the collector's door.

What was sent counts once however often it is sent, so an import that was interrupted is run again; a small
file beside the imported one, with how many rows were acknowledged, makes that quick.
"""

import hashlib
import http.client
import json
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from meshtrial.collect.file_rows import Format, Row, read_rows
from meshtrial.collect.row_cells import RowFlaw
from meshtrial.connecting import connection_to
from meshtrial.errors import SettingError

BATCH: Final = 5000
"""Items in one request; the door takes 10,000."""
BATCH_BYTES: Final = 2 * 2**20
"""Bytes of one request; the door takes 4 MiB."""
TIMEOUT: Final = 30.0
"""Seconds to connect, and to wait for an answer."""
PAUSES: Final = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds before each further attempt to send a batch."""


class Refusal(NamedTuple):
    """A row that was not taken."""

    line: int
    rule: str


@dataclass(slots=True)
class Counts:
    """How far an import is."""

    rows: int = 0
    """Read and either taken or refused."""
    acknowledged: int = 0
    """The collector has them on disk; those that were known are among them, and count once."""
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who is told how it goes."""

    refused: Callable[[Refusal], None]
    done: Callable[[float], None]
    """Given the share of the file that was read, 0..1."""


class Columns(Protocol):
    """Where a file has what its items are made of; its text tells one such from another."""

    def needed(self) -> tuple[str, ...]:
        """The columns that are read, each once."""

    def item(self, cells: Mapping[str, object]) -> Mapping[str, Any]:
        """The item of a row, equal for rows that say the same; raises `RowFlaw` where it is none."""

    @property
    def repeats(self) -> bool:
        """Equal rows are as many items; they are told apart by their `occurrence`."""


class Kind(NamedTuple):
    """What is imported."""

    name: str
    path: str
    """Of the door."""


OUTCOMES: Final = Kind("outcomes", "/v1/outcomes?imported=true")
EXPOSURES: Final = Kind("exposures", "/v1/exposures")


class Door:
    """A collector's door for one kind of items, over one connection that is kept."""

    def __init__(self, url: str, token: str, kind: Kind) -> None:
        """Prepare for the collector at `http://host:4318`.

        Raises:
            SettingError: The URL is not of that kind.
        """
        self._connection, base = connection_to(url, "--collector", TIMEOUT)
        self.url, self._path, self._name = url, base + kind.path, kind.name
        self._headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}

    def send(self, items: list[bytes]) -> dict[int, str]:
        """Send items, each a JSON object; those that were refused, by their place in the list.

        Raises:
            SettingError: The collector cannot be reached, or refuses the token.
        """
        body = b"[" + b",".join(items) + b"]"
        why = ""
        for pause in (0.0, *PAUSES):
            time.sleep(pause)
            try:
                self._connection.request("POST", self._path, body, self._headers)
                response = self._connection.getresponse()
                status, answer = response.status, response.read()
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                why = str(error) or type(error).__name__
                continue
            if status in (http.HTTPStatus.OK, http.HTTPStatus.UNPROCESSABLE_ENTITY):
                return self._refused(answer)
            if status == http.HTTPStatus.UNAUTHORIZED:
                raise SettingError(f"{self.url} refuses the token: it needs the collector's MESHTRIAL_TOKEN")
            why = f"it answered {status}"
            if status < http.HTTPStatus.INTERNAL_SERVER_ERROR and status != http.HTTPStatus.REQUEST_TIMEOUT:
                break
        raise SettingError(
            f"{self.url} takes no {self._name}: {why}. Run the command again to go on from here"
        )

    def close(self) -> None:
        """Close the connection; it opens again when something is sent."""
        self._connection.close()

    def _refused(self, answer: bytes) -> dict[int, str]:
        with suppress(ValueError, KeyError, TypeError):
            refused = json.loads(answer)["refused"]
            return {item["index"]: _rule(item["path"], item["error"]) for item in refused}
        raise SettingError(f"{self.url} is no collector's HTTP port: its answer cannot be read")


@dataclass(slots=True)
class _Batch:
    items: list[bytes] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    size: int = 0

    def add(self, line: int, item: bytes) -> None:
        self.items.append(item)
        self.lines.append(line)
        self.size += len(item) + 1

    def is_full(self) -> bool:
        return len(self.items) >= BATCH or self.size >= BATCH_BYTES


def import_file(path: Path, form: Format, columns: Columns, door: Door, watcher: Watcher) -> Counts:
    """Send every row of a file; those that cannot be sent are refused one by one.

    Raises:
        SettingError: The file cannot be read as it should be, or the collector cannot be reached.
    """
    progress = _Progress(path, f"{form} {columns} {door.url}")
    counts = progress.counts
    settled, batch = counts.rows, _Batch()
    with closing(_Occurrences()) as occurrences:
        for number, row in enumerate(read_rows(path, form, columns.needed()), 1):
            try:
                item = _encoded(row, columns, occurrences)
            except RowFlaw as flaw:
                if number > settled:
                    counts.refused += 1
                    watcher.refused(Refusal(row.line, str(flaw)))
            else:
                if number > settled:
                    batch.add(row.line, item)
            if number > settled:
                counts.rows = number
            if batch.is_full():
                _send(batch, door, counts, watcher)
                batch = _Batch()
                progress.save()
            if not number % 1000:
                watcher.done(row.done)
    _send(batch, door, counts, watcher)
    watcher.done(1.0)
    progress.forget()
    return counts


def _encoded(row: Row, columns: Columns, occurrences: "_Occurrences") -> bytes:
    if row.flaw:
        raise RowFlaw(row.flaw)
    item = msgspec.json.encode(columns.item(row.cells))
    if not columns.repeats:
        return item
    return b'%b,"occurrence":%d}' % (item[:-1], occurrences.next_of(item))


def _send(batch: _Batch, door: Door, counts: Counts, watcher: Watcher) -> None:
    if not batch.items:
        return
    refused = door.send(batch.items)
    counts.acknowledged += len(batch.items) - len(refused)
    counts.refused += len(refused)
    for index, rule in sorted(refused.items()):
        watcher.refused(Refusal(batch.lines[index], rule))


class _Occurrences:
    """How often each content has come: on disk where it does not fit into SQLite's cache."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)  # a temporary file, gone when closed
        self._database.execute("CREATE TABLE seen (content BLOB PRIMARY KEY, times INTEGER) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def next_of(self, content: bytes) -> int:
        digest = hashlib.blake2b(content, digest_size=16).digest()
        [(times,)] = self._database.execute(
            "INSERT INTO seen VALUES (?, 1) ON CONFLICT DO UPDATE SET times = times + 1 RETURNING times",
            (digest,),
        ).fetchall()
        return int(times)

    def close(self) -> None:
        self._database.close()


class _Progress:
    """How many rows an interrupted import of the same content, in the same way, had settled."""

    def __init__(self, path: Path, how: str) -> None:
        self._file = path.with_name(path.name + ".meshtrial-import")
        try:
            with path.open("rb") as content:
                digest = hashlib.file_digest(content, "blake2b").hexdigest()
        except OSError as error:
            raise SettingError(f"{path} cannot be read: {error.strerror or error}") from error
        self._of = hashlib.blake2b(f"{digest} {how}".encode()).hexdigest()
        self.counts = Counts()
        with suppress(OSError, ValueError, TypeError):  # then all is sent again, which adds nothing
            saved: dict[str, Any] = json.loads(self._file.read_text("utf-8"))
            if saved.pop("of", None) == self._of:
                self.counts = Counts(**saved)

    def save(self) -> None:
        with suppress(OSError):  # a folder that cannot be written makes another run slower, not wrong
            beside = self._file.with_name(self._file.name + ".new")
            beside.write_text(json.dumps({"of": self._of, **asdict(self.counts)}), "utf-8")
            beside.replace(self._file)

    def forget(self) -> None:
        with suppress(OSError):
            self._file.unlink(missing_ok=True)


def _rule(path: str, error: str) -> str:
    """Without the place in the request, which a file does not have."""
    place = path.partition("]")[2].lstrip(".")
    return f"{place}: {error}" if place else error
