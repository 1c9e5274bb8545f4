import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshtrial.logs import ROOT, EventLog, configure


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged during the test; the loggers are then as they were before."""
    names = (ROOT, "uvicorn", "uvicorn.access", "uvicorn.error")
    loggers = [logging.getLogger(name) for name in names]
    before = [(log.handlers[:], log.level, log.propagate) for log in loggers]
    stream = io.StringIO()
    configure(stream)
    yield stream
    for log, (handlers, level, propagate) in zip(loggers, before, strict=True):
        log.handlers[:], log.propagate = handlers, propagate
        log.setLevel(level)


def test_an_event_is_one_line_of_json_with_its_fields(lines: io.StringIO) -> None:
    EventLog("store").warning("torn\ntail", journal=7, path=Path("/x"), reason="\u00e4")

    [line] = lines.getvalue().splitlines()
    event = json.loads(line)
    assert event.pop("time").endswith("Z")
    assert event == {
        "level": "warning",
        "event": "torn\ntail",
        "journal": 7,
        "path": "/x",
        "reason": "\u00e4",
    }


def test_what_comes_by_thousands_is_spoken_of_once_a_minute_for_each_kind() -> None:
    now = [1000.0]
    log = EventLog("collect", lambda: now[0])

    spoken = []
    for now[0] in (1000.0, 1000.1, 1059.9, 1060.0, 1119.9, 1200.0):
        spoken.append((log.seldom("otlp_http", 401), log.seldom("otlp_http", 401)))
    assert spoken == [
        (True, False),
        (False, False),
        (False, False),
        (True, False),
        (False, False),
        (True, False),
    ]
    assert log.seldom("otlp_http", 413)
    assert log.seldom("otlp_grpc", 401)
    assert EventLog("collect", lambda: now[0]).seldom("otlp_http", 401)


def test_the_time_is_utc_with_milliseconds(lines: io.StringIO) -> None:
    record = logging.LogRecord("meshtrial", logging.INFO, "", 0, "x", (), None)
    record.created = 1_772_357_400.1234

    logging.getLogger(ROOT).handle(record)

    assert json.loads(lines.getvalue())["time"] == "2026-03-01T09:30:00.123Z"


def test_a_traceback_stays_within_its_line(lines: io.StringIO) -> None:
    try:
        int("no")
    except ValueError:
        logging.getLogger("meshtrial.x").exception("failed")

    [line] = lines.getvalue().splitlines()
    assert "ValueError: invalid literal" in json.loads(line)["exception"]


def test_the_web_server_speaks_only_of_errors_and_in_the_same_form(lines: io.StringIO) -> None:
    logging.getLogger("uvicorn.access").info("GET /")
    logging.getLogger("uvicorn.error").error("Exception in ASGI application")

    [line] = lines.getvalue().splitlines()
    assert json.loads(line)["event"] == "Exception in ASGI application"
