"""A sidecar's plans, as the analysis finds them in the store."""

import time
from pathlib import Path

from e2e.trial import collecting, sidecar, until
from meshtrial.analysis.cells import HOUR
from meshtrial.analysis.history import documents_query, history_of
from meshtrial.analysis.tallies import read_tallies
from meshtrial.analysis.units import Trial
from meshtrial.errors import NoData
from meshtrial.plan.load import load
from meshtrial.store.engine import DuckDB
from meshtrial.store.read import connect
from plan_texts import RANK

HALF = RANK.replace("    control: v1", "    ramp: 50%\n    control: v1")


def documents(store: Path) -> list[tuple[int, str, str, int]]:
    try:
        with connect(store) as connection:
            rows = DuckDB(connection).rows(documents_query("rank-v2"))
    except NoData:
        return []
    return [(time, plan, document, imported) for time, plan, document, imported in rows]


def test_what_came_into_force_when_can_be_read_from_the_store(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(HALF)
    with collecting(tmp_path) as collector:
        with sidecar(tmp_path, collector):
            until(lambda: len(documents(tmp_path / "store")) == 1)
            plan.write_text(RANK)
            until(lambda: len(documents(tmp_path / "store")) == 2)
        for _ in range(2):
            with sidecar(tmp_path, collector):
                pass  # a restart is no change
        found = documents(tmp_path / "store")
        with connect(tmp_path / "store") as connection:
            trial = Trial(load(RANK, "plan.yaml").experiments[0], HOUR)
            assert read_tallies(DuckDB(connection), trial, time.time_ns()).phases() == []

    half, whole = load(HALF, "plan.yaml"), load(RANK, "plan.yaml")
    history = history_of(found, [], whole.digest, whole.experiments[0])
    assert [(entry.plan, entry.experiment) for entry in history.entries] == [
        (half.digest, half.experiments[0]),
        (whole.digest, whole.experiments[0]),
    ]
    assert history.unread == 0
