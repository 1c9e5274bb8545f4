"""`python bench/analysis.py`: a report's time and memory, beside pandas and Ibis with tea-tasting.

::

    python bench/analysis.py [--exposures 1000000,3000000,10000000] [--runs 3] [--json FILE] [--page FILE]

Each size is a store of that many exposures and as many outcomes (`trial_store`). Runs of all rivals take
turns, each in a process of its own; the least time of each counts. Then 1% more data come, and another report
is made.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from figures import Table
from report import flags, publish
from rich.progress import track
from rivals import plan
from trial_store import more, write_store

BEGIN, END = "<!-- analysis: written by bench/analysis.py -->\n", "<!-- end of analysis -->\n"
_RIVALS = Path(__file__).with_name("rivals.py")
_RUNS = (("meshtrial", 4), ("meshtrial", 3), ("ibis", 3), ("pandas", 3))
"""How, and of how many metrics."""


@dataclass(frozen=True, slots=True)
class Run:
    """One analysis of one store."""

    how: str
    metrics: int
    exposures: int
    again: bool
    """The second report, after 1% more data."""
    seconds: float
    cpu: float
    peak_mib: float
    effects: dict[str, float]


def main() -> int:
    """Measure and print."""
    wanted = _arguments()
    runs: list[Run] = []
    for exposures in wanted.exposures:
        with tempfile.TemporaryDirectory(dir=wanted.folder) as folder:
            runs += _measured(Path(folder) / "store", exposures, wanted.runs)
    publish([table(runs)], runs, wanted, (BEGIN, END))
    return 0


def _measured(store: Path, exposures: int, rounds: int) -> list[Run]:
    experiment = plan(3).experiments[0]
    write_store(store, experiment, exposures, seed=1)
    runs = []
    for _ in track(range(rounds), f"{exposures:,} exposures"):
        for how, metrics in _RUNS:
            shutil.rmtree(store / "aggregates", ignore_errors=True)
            runs.append(_run(how, metrics, store, exposures, again=False))
    for metrics in (4, 3):
        _run("meshtrial", metrics, store, exposures, again=False)
    more(store, experiment, exposures, seed=2)
    return runs + [_run("meshtrial", metrics, store, exposures, again=True) for metrics in (4, 3)]


def _run(how: str, metrics: int, store: Path, exposures: int, *, again: bool) -> Run:
    command = [sys.executable, str(_RIVALS), how, str(store), str(metrics)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return Run(how, metrics, exposures, again, **json.loads(printed))


def table(runs: Sequence[Run]) -> Table:
    """The quickest run of each kind, beside meshtrial's of the same metrics and size."""
    rows = []
    for key in dict.fromkeys((r.exposures, r.metrics, r.again, r.how) for r in runs):
        exposures, metrics, again, how = key
        best = _best(runs, exposures, how, metrics, again=again)
        first = _best(runs, exposures, "meshtrial", metrics, again=False)
        rows.append(
            (
                f"{exposures:,}",
                f"{how}, second report" if again else how,
                str(metrics),
                f"{best.seconds:.2f}",
                f"{best.cpu:.2f}",
                f"{best.peak_mib:,.0f}",
                f"{best.seconds / first.seconds:.2f}",
            )
        )
    header = ("exposures", "analysis", "metrics", "s", "CPU s", "peak MiB", "times the report")
    return Table("A report, and what else analyses the same files", header, tuple(rows))


def _best(runs: Sequence[Run], exposures: int, how: str, metrics: int, *, again: bool) -> Run:
    same = (r for r in runs if (r.exposures, r.how, r.metrics, r.again) == (exposures, how, metrics, again))
    return min(same, key=lambda run: run.seconds)


def _arguments() -> argparse.Namespace:
    parser = flags(__doc__)
    sizes = "sizes of the stores, 1000000,3000000,10000000 if left out"
    parser.add_argument("--exposures", type=_sizes, default=[1_000_000, 3_000_000, 10_000_000], help=sizes)
    parser.add_argument("--runs", type=int, default=3, help="of each analysis, 3 if left out")
    parser.add_argument("--folder", type=Path, default=None, help="where the stores are made: 1 GB")
    return parser.parse_args()


def _sizes(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
