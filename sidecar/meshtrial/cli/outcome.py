"""`meshtrial outcome`: outcomes from elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from meshtrial import settings
from meshtrial.cli.help_text import Command
from meshtrial.cli.options import option
from meshtrial.cli.row_import import pairs, run_import, zone_of
from meshtrial.collect.file_rows import Format

outcome = typer.Typer(no_args_is_help=True)


@outcome.callback()
def _outcome() -> None:
    """Outcomes from elsewhere."""


@outcome.command("import", cls=Command)
def import_(
    file: Annotated[Path, typer.Argument(help="CSV, JSON lines or Parquet.", metavar="FILE")],
    unit_column: Annotated[str, typer.Option(help="Column of the unit ids, in clear.", metavar="COLUMN")],
    unit_kind: Annotated[
        str,
        typer.Option(help="Their kind, as the plan has it: header:x-user-id, cookie:sid.", metavar="KIND"),
    ],
    time_column: Annotated[str, typer.Option(help="Column of the times.", metavar="COLUMN")],
    name: Annotated[str | None, typer.Option(help="The outcomes' name: purchase.")] = None,
    name_column: Annotated[
        str | None, typer.Option(help="Column of the names, in place of --name.", metavar="COLUMN")
    ] = None,
    id_column: Annotated[
        str | None,
        typer.Option(help="Column of ids, each of one outcome; without, rows tell apart.", metavar="COLUMN"),
    ] = None,
    value: Annotated[
        list[str] | None,
        typer.Option(help="A number of the outcome and its column; again for each.", metavar="FIELD=COLUMN"),
    ] = None,
    timezone: Annotated[
        str | None,
        typer.Option(help="Where times without an offset were written: Europe/Paris.", metavar="ZONE"),
    ] = None,
    form: Annotated[
        Format | None, typer.Option("--format", help="Of the file, where its name does not say.")
    ] = None,
    collector: Annotated[str, option(settings.COLLECTOR)] = settings.COLLECTOR.default,
    token_file: Annotated[Path | None, option(settings.TOKEN.file)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
) -> None:
    r"""Send a file of outcomes to the collector; a second import of the same file adds nothing.

    Of a table of orders:

        meshtrial outcome import orders.csv --name purchase \
          --unit-column user_id --unit-kind header:x-user-id \
          --time-column ordered_at --id-column order_id \
          --value amount=total

    Rows that are no outcomes are listed on stderr with their line, the rest goes on, and the exit status is
    then 2. After an interruption, run it again. Needs the outcome token (MESHTRIAL_TOKEN or --token-file).
    """
    from meshtrial.collect.importing import OUTCOMES
    from meshtrial.collect.row_outcomes import Columns

    columns = Columns(
        unit=unit_column,
        unit_kind=unit_kind,
        time=time_column,
        name=name,
        name_column=name_column,
        id=id_column,
        values=pairs("--value", "FIELD=COLUMN, such as amount=total", value),
        zone=zone_of(timezone),
    )
    run_import(file, form, columns, OUTCOMES, collector, token_file, as_json=as_json)
