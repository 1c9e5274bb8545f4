"""One text of SQL for both engines: whole reports by DuckDB and by ClickHouse's engine are the same."""

import ast
import functools
import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

import meshtrial.analysis
from clickhouse import clickhouse
from engine_stores import STORES
from judged_rows import SCHEMA as REPORT_SCHEMA
from meshtrial.analysis.report import report_of
from meshtrial.analysis.trial import analyse
from meshtrial.store.engine import DuckDB, Engine, quoted
from trial_rows import nanoseconds

Place = tuple[str, int]
"""A file's name and a line."""


class Told:
    """An engine that says where it was asked from."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.asked: set[Place] = set()

    def rows(self, query: str) -> Sequence[tuple[Any, ...]]:
        self._note()
        return self.engine.rows(query)

    def keep(self, name: str, query: str) -> None:
        self._note()
        self.engine.keep(name, query)

    def name(self, name: str, query: str) -> None:
        self._note()
        self.engine.name(name, query)

    def drop(self, name: str) -> None:
        self._note()
        self.engine.drop(name)

    def _note(self) -> None:
        frame = sys._getframe(2)  # noqa: SLF001 - how else to know who called
        self.asked.add((Path(frame.f_code.co_filename).name, frame.f_lineno))


@functools.cache
def both(name: str) -> tuple[Any, Any, frozenset[Place], frozenset[Place]]:
    """A store's documents by DuckDB and ClickHouse, and where each was asked from."""
    store = STORES[name]()
    found: list[Any] = []
    with store.rows.connection() as connection, clickhouse(store.rows.table()) as other:
        for engine in (Told(DuckDB(connection)), Told(other)):
            now = nanoseconds(store.day * 86_400)
            analysis = analyse(engine, store.plan, store.plan.experiments[0], now, peek=store.peek)
            document = json.loads(msgspec.json.encode(report_of(analysis, now)))
            found.append((document, frozenset(engine.asked)))
    (one, asked), (another, asked_too) = found
    return one, another, asked, asked_too


def differences(one: object, another: object, where: str = "") -> Iterator[tuple[str, object, object]]:
    """Where two documents differ: numbers by more than 1e-9 of them, all else at all."""
    if isinstance(one, float) and isinstance(another, float):
        if not math.isclose(one, another, rel_tol=1e-9):
            yield where, one, another
    elif isinstance(one, dict) and isinstance(another, dict) and one.keys() == another.keys():
        for name in one:
            yield from differences(one[name], another[name], f"{where}.{name}")
    elif isinstance(one, list) and isinstance(another, list) and len(one) == len(another):
        for at, (left, right) in enumerate(zip(one, another, strict=True)):
            yield from differences(left, right, f"{where}[{at}]")
    elif type(one) is not type(another) or one != another:
        yield where, one, another


@pytest.mark.parametrize("name", STORES)
def test_the_whole_report_is_the_same_by_either_engine(name: str) -> None:
    one, another, *_ = both(name)

    assert list(differences(one, another)) == []
    jsonschema.validate(one, json.loads(REPORT_SCHEMA.read_text()))


def test_the_stores_have_every_kind_method_and_part_to_compare() -> None:
    documents = [both(name)[0] for name in STORES]
    estimated = {
        (document["method"]["method"], metric["kind"])
        for document in documents
        for metric in document["metrics"]
        if any(comparison["effect"] is not None for comparison in metric["comparisons"])
    }
    kinds = ("proportion", "mean", "count", "ratio", "quantile")
    assert estimated == {(m, k) for m in ("fixed", "group_sequential", "sequential") for k in kinds}
    parts = ("over_time", "cohorts", "carryover", "holdout", "interference")
    shown = {
        part for document in documents for part in parts if (document[part] or {}).get("withheld", "") is None
    }
    assert shown == set(parts)
    amiss = {check["check"] for document in documents for check in document["health"] if not check["passed"]}
    assert amiss >= {"one_arm", "one_key", "one_plan", "one_allocation", "forced_units", "failed_open"}
    assert amiss >= {
        "exposures_recorded",
        "exposures_routed",
        "exposures_counted",
        "received_in_time",
        "clocks",
    }


def calls() -> Iterator[tuple[str, range]]:
    """Every place in the analysis that asks an engine: its file's name, and the lines of the call."""
    for path in sorted(Path(meshtrial.analysis.__path__[0]).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                of = node.func.value
                asked = (
                    of.id if isinstance(of, ast.Name) else of.attr if isinstance(of, ast.Attribute) else ""
                )
                if asked == "engine" and node.end_lineno is not None:
                    yield path.name, range(node.lineno, node.end_lineno + 1)


def test_every_query_of_the_analysis_was_run_on_both() -> None:
    every = list(calls())
    assert len(every) > 40
    for number in (2, 3):
        asked = frozenset().union(*(both(name)[number] for name in STORES))
        never = [(file, lines.start) for file, lines in every if not any((file, at) in asked for at in lines)]
        assert never == []
        unseen = {file for file, at in asked} - {file for file, _ in every}
        assert unseen == set()


TEXTS = ["", "it's", "a\\", "\\'", "\\n", "$q0$\\", "\\$q0", "'; DROP TABLE spans; --\\", "é\\\\u", "%_\\%"]


@pytest.mark.parametrize("text", TEXTS)
def test_a_quoted_text_is_itself_to_either_engine(text: str) -> None:
    store = STORES["nobody"]()
    query = f"SELECT {quoted(text)}, {quoted(text + 'x')}"
    with store.rows.connection() as connection, clickhouse(store.rows.table()) as other:
        assert [tuple(row) for row in DuckDB(connection).rows(query)] == [(text, text + "x")]
        assert other.rows(query) == [(text, text + "x")]
