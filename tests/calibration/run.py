"""`make calibrate`: every study in full, over all processors -> docs/calibration.md.

Every part of a study has a seed of its own, so the counts do not depend on how many processes there are.
"""

import multiprocessing
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from calibration.page import page
from calibration.registry import STUDIES

PAGE = Path(__file__).parents[2] / "docs/calibration.md"


def _part(study: int, number: int, runs: int) -> list[int]:
    return STUDIES[study].part(number, runs)


def _parts() -> Iterator[tuple[int, int, int]]:
    """The study's place, and the part of it."""
    for place, study in enumerate(STUDIES):
        yield from ((place, *part) for part in study.parts(study.full))


def main() -> int:
    """Count, write the page, and tell what failed: 0 where nothing did."""
    console = Console()
    counts = [[0] * len(study.claims) for study in STUDIES]
    shown = (BarColumn(), TextColumn("{task.percentage:3.0f}%"), TimeElapsedColumn(), TimeRemainingColumn())
    with (
        ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool,
        Progress(TextColumn("{task.description}"), *shown, console=console) as progress,
    ):
        started = {pool.submit(_part, *part): part for part in _parts()}
        task = progress.add_task("trials", total=sum(study.full for study in STUDIES))
        for done in as_completed(started):
            place, _, runs = started[done]
            counts[place] = [sum(pair) for pair in zip(counts[place], done.result(), strict=True)]
            progress.update(task, advance=runs, description=STUDIES[place].title[:60])
    PAGE.write_text(page({study.title: count for study, count in zip(STUDIES, counts, strict=True)}))
    failed = [
        f"{study.title}: {claim.what}: {count:,} of {study.full:,}"
        for study, found in zip(STUDIES, counts, strict=True)
        for claim, count in zip(study.claims, found, strict=True)
        if claim.verdict(count, study.full) == "FAILS"
    ]
    for line in failed:
        console.print(f"FAILS  {line}", highlight=False, soft_wrap=True)
    console.print(f"{PAGE}: {len(STUDIES)} studies, {len(failed)} claims fail")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
