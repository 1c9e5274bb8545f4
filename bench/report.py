"""Results -> tables on a terminal and on a page, and a file of every single measurement."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from figures import Table, costs, parts, ratios
from results import Results
from rich.console import Console
from rich.table import Table as RichTable
from soundness import outcomes

BEGIN, END = "<!-- tables: written by bench/run.py -->\n", "<!-- end of the tables -->\n"
_WIDE = 180
"""Columns of output that goes to no terminal: no cell is broken."""


def flags(doc: str | None) -> argparse.ArgumentParser:
    """A benchmark's command line, described by its module's first line: where its results go."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, help="write what was measured there")
    parser.add_argument("--page", type=_page, help="replace the tables of this Markdown page")
    return parser


def publish(
    shown: Sequence[Table], measured: object, wanted: argparse.Namespace, marks: tuple[str, str]
) -> None:
    """Print the tables, and write them and what they are of to where `flags` was told."""
    console = Console(width=None if sys.stdout.isatty() else _WIDE)
    for table in shown:
        console.print(on_terminal(table))
    if wanted.json:
        wanted.json.write_bytes(msgspec.json.format(msgspec.json.encode(measured)) + b"\n")
    if wanted.page:
        write_page(wanted.page, shown, marks)


def _page(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no page {text}")
    return path


def tables(results: Results) -> list[Table]:
    """Everything that is shown: costs and ratios under each pace, then what became of the requests."""
    bare, baseline, *ours = dict.fromkeys(s.variant for s in results.samples)
    variants = (bare, baseline, *ours)
    pairs = [(variant, bare) for variant in variants[1:]] + [(variant, baseline) for variant in ours]
    found = []
    for pace in dict.fromkeys(s.pace for s in results.samples):
        found += [costs(results.samples, pace, variants), ratios(results.samples, pace, pairs)]
    return [*found, outcomes(results), parts(results.parts_us)]


def on_terminal(table: Table) -> RichTable:
    """The table in box characters."""
    made = RichTable(title=table.title, title_justify="left")
    for index, heading in enumerate(table.header):
        made.add_column(heading, justify="right" if index else "left")
    for row in table.rows:
        made.add_row(*row)
    return made


def markdown(shown: Sequence[Table]) -> str:
    """The tables under headings of the third level."""
    return "\n".join(f"### {table.title}\n\n{_markdown(table)}" for table in shown)


def _markdown(table: Table) -> str:
    rule = ("---", *("---:" for _ in table.header[1:]))
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (table.header, rule, *table.rows))


def write_page(page: Path, shown: Sequence[Table], marks: tuple[str, str]) -> None:
    """Replace what stands between the page's two marks."""
    begin, end = marks
    before, _, rest = page.read_text().partition(begin)
    page.write_text(f"{before}{begin}\n{markdown(shown)}\n{end}{rest.partition(end)[2]}")
