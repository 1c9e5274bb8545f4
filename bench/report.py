"""Results -> tables on a terminal and on a page."""

from collections.abc import Sequence
from pathlib import Path

from figures import Table, costs, parts, ratios
from results import Results
from rich.table import Table as RichTable
from soundness import outcomes

BEGIN, END = "<!-- tables: written by bench/run.py -->\n", "<!-- end of the tables -->\n"


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


def write_page(page: Path, shown: Sequence[Table], marks: tuple[str, str] = (BEGIN, END)) -> None:
    """Replace what stands between the page's two marks."""
    begin, end = marks
    before, _, rest = page.read_text().partition(begin)
    page.write_text(f"{before}{begin}\n{markdown(shown)}\n{end}{rest.partition(end)[2]}")
