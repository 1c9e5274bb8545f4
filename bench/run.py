"""`make bench`: what a decision costs, against no decision and against a plain grpc.aio server.

::

    python bench/run.py [--seconds 5] [--rounds 5] [--quick] [--json FILE] [--page FILE]

Exit status 1 where the figures are not to be trusted, 2 where something that is needed is missing.
"""

import argparse
import sys
from pathlib import Path

import msgspec
from measure import measured
from report import on_terminal, tables, write_page
from rich.console import Console
from soundness import complaints

from meshtrial.errors import MeshtrialError

_WIDE = 180
"""Columns of output that goes to no terminal: no cell is broken."""


def main() -> int:
    """Measure, print, and say whether the figures can be trusted."""
    wanted = _arguments()
    try:
        results = measured(wanted.seconds, wanted.rounds)
    except MeshtrialError as error:
        print(error, file=sys.stderr)
        return 2
    shown = tables(results)
    console = Console(width=None if sys.stdout.isatty() else _WIDE)
    for table in shown:
        console.print(on_terminal(table))
    if wanted.json:
        wanted.json.write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")
    if wanted.page:
        write_page(wanted.page, shown)
    wrong = complaints(results)
    for complaint in wrong:
        print(complaint, file=sys.stderr)
    return 1 if wrong else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=_positive, default=5, help="length of each load, 5 if left out")
    parser.add_argument(
        "--rounds", type=_positive, default=5, help="how often each is repeated, 5 if left out"
    )
    parser.add_argument("--quick", action="store_true", help="two rounds of one second: does it run?")
    parser.add_argument("--json", type=Path, help="write what was measured there")
    parser.add_argument("--page", type=Path, help="replace the tables of this Markdown page")
    wanted = parser.parse_args()
    if wanted.quick:
        wanted.seconds, wanted.rounds = 1, 2
    if wanted.page and not wanted.page.is_file():
        parser.error(f"there is no page {wanted.page}")
    return wanted


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


if __name__ == "__main__":
    sys.exit(main())
