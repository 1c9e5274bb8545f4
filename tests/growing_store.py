"""A store that grows by hand-made rows, batch by batch, and the report on it; beside a copy that forgets."""

import json
import math
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from meshtrial.analysis import frozen
from meshtrial.analysis.caps import Settles
from meshtrial.analysis.frozen import Frozen
from meshtrial.analysis.report import make_report
from meshtrial.plan.model import Plan
from meshtrial.store import read, repeats
from meshtrial.store.layout import Layout
from meshtrial.store.read import Snapshot, open_reading
from meshtrial.store.schema import SCHEMA
from meshtrial.store.segments import write_rows
from trial_rows import nanoseconds

Row = dict[str, object]


@dataclass
class Growing:
    """One store; a batch becomes a segment when the next one comes, if it came as a journal."""

    root: Path
    batches: list[pa.Table] = field(default_factory=list)
    rolled: int = 0
    anew: int = 0
    """How often everything was counted."""

    def grow(self, rows: list[Row], *, journal: bool = False) -> None:
        """Add a batch."""
        columns = {name: [row.get(name) for row in rows] for name in SCHEMA.names}
        self.batches.append(pa.table(columns, schema=SCHEMA))
        layout = Layout(self.root)
        layout.create()
        while self.rolled < len(self.batches) - int(journal):
            layout.segment(self.rolled + 1).mkdir()
            with layout.parquet(self.rolled + 1).open("wb") as file:
                write_rows(self.batches[self.rolled], file)
            self.rolled += 1

    @property
    def memory(self) -> Path:
        """Where reports remember."""
        return self.root / "aggregates"

    def report(self, plan: Plan, second: float) -> Any:
        """The document."""
        with self._open() as patched:
            anew = Frozen._anew  # noqa: SLF001 - what is counted here has no other name

            def counted(frozen: Frozen, settles: Settles) -> object:
                self.anew += 1
                return anew(frozen, settles)

            patched.setattr(Frozen, "_anew", counted)
            with open_reading(self.root, exposures_once=False) as reading:
                made = make_report(reading, plan, plan.experiments[0], nanoseconds(second))
        return json.loads(msgspec.json.encode(made))

    def fresh(self, plan: Plan, second: float) -> object:
        """The document that a store without any memory gives."""
        kept = self.root.with_name("kept")
        if self.memory.exists():
            self.memory.rename(kept)
        with self._open(), open_reading(self.root, exposures_once=False) as reading:
            made = make_report(reading.connection, plan, plan.experiments[0], nanoseconds(second))
        shutil.rmtree(self.memory, ignore_errors=True)
        if kept.exists():
            kept.rename(self.memory)
        return json.loads(msgspec.json.encode(made))

    @contextmanager
    def _open(self) -> Iterator[pytest.MonkeyPatch]:
        """Few rows are remembered too, and any number of new ones read on its own."""
        journal = pa.concat_tables([SCHEMA.empty_table(), *self.batches[self.rolled :]])
        segments = tuple(Layout(self.root).parquet(number) for number in range(1, self.rolled + 1))
        with pytest.MonkeyPatch.context() as patched:
            for module in (frozen, repeats):
                patched.setattr(module, "LEAST", 1)
                patched.setattr(module, "NEW_AT_MOST", 1e9)
            snapshot = Snapshot(segments, journal.unify_dictionaries().combine_chunks())
            patched.setattr(read, "open_snapshot", lambda _: snapshot)
            yield patched


def same(one: object, other: object) -> bool:
    """Two documents, numbers but for rounding."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, str) and isinstance(other, str) and "effective units" in one:
        # Where all values are 0 the number told is a ratio of what rounding left.
        return one.split(" arm has ")[0] == other.split(" arm has ")[0]
    return one == other


@dataclass
class Traffic:
    """Rows of chance: what a collector may receive, in any order and more than once."""

    plan: Plan
    chance: random.Random
    begun: float = 0.0
    """From this second on."""
    returning: float = 0.3
    """Share of units that come again in a later batch."""
    old: list[Row] = field(default_factory=list)
    """Rows of before."""
    units: int = 0
    ids: int = 0

    def batch(self, new: int, *, odd: float) -> list[Row]:
        """Rows of new units and old ones, and with some chance each of what is not as usual."""
        chance, rows = self.chance, list[Row]()
        for unit in range(self.units, self.units + new):
            second = self.begun + chance.uniform(0, 10)
            self._of_unit(rows, unit, second, odd)
        for _ in range(new):
            if self.units and chance.random() < self.returning:
                self._of_unit(rows, chance.randrange(self.units), self.begun + chance.uniform(0, 10), odd)
        if odd:
            rows += [self._again(row) for row in chance.sample(self.old + rows, new // 10)]
            chance.shuffle(rows)
        self.units += new
        self.begun += 10
        self.old += rows
        return rows

    def _of_unit(self, rows: list[Row], unit: int, second: float, odd: float) -> None:
        chance, experiment = self.chance, self.plan.experiments[0]
        bucket = unit * 37 % 100
        arm = "v2" if bucket < 50 else "v1"
        for name in ("before", "after", "after"):
            if chance.random() < 0.5:
                since = -chance.uniform(0, 15) if name == "before" else chance.uniform(0, 12)
                values = [("amount", chance.lognormvariate(2, 1))] if not odd or chance.random() < 0.9 else []
                outcome = chance.choice(("purchase", "purchase", "visit", "nobody's"))
                rows.append(self._row("meshtrial.outcome", unit, second + since, odd, Outcome=outcome))
                rows[-1]["OutcomeValues"] = values
        for at in (second, second + chance.uniform(0, 5))[: chance.randrange(1, 3)]:
            if odd and chance.random() < 0.1:
                arm = "v1" if arm == "v2" else "v2"
            rows.append(
                self._row(
                    "meshtrial.exposure",
                    unit,
                    at,
                    odd,
                    Experiment=experiment.id if not odd or chance.random() < 0.95 else "other",
                    Plan=self.plan.digest,
                    Phase=experiment.phase,
                    Arm=arm,
                    Reason="split" if chance.random() < 0.98 else "targeting_match",
                    Bucket=bucket if chance.random() < 0.95 else None,
                    Exposed=True,
                    Strata=[("x-country", chance.choice(("se", "fi")))],
                )
            )

    def _row(self, name: str, unit: int, second: float, odd: float, **columns: object) -> Row:
        chance = self.chance
        self.ids += 1
        delay = chance.uniform(0, 2) if chance.random() >= odd / 10 else chance.uniform(10, 60)
        imported = odd and chance.random() < 0.1
        return {
            "TraceId": f"{self.ids:032x}",
            "SpanId": f"{self.ids:016x}",
            "SpanName": name,
            "Unit": unit + 1,
            "UnitKind": self.plan.experiments[0].unit.kind,
            "Timestamp": nanoseconds(second),
            "ReceivedAt": nanoseconds(second if imported else second + delay),
            "SpanAttributes": [("meshtrial.imported", "true")] if imported else [],
            **columns,
        }

    def _again(self, row: Row) -> Row:
        """The same span, received another time."""
        return {**row, "ReceivedAt": int(str(row["ReceivedAt"])) + round(self.chance.uniform(-1e9, 3e9))}
