"""`meshtrial outcome`: outcomes from elsewhere."""

from datetime import UTC, tzinfo
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from meshtrial import settings
from meshtrial.cli.help_text import Command
from meshtrial.cli.options import option, require_secret
from meshtrial.collect.file_rows import Format, format_of
from meshtrial.errors import SettingError

outcome = typer.Typer(no_args_is_help=True)

_KNOWN = "those that were known count once"


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
    import json
    from contextlib import closing
    from dataclasses import asdict

    from rich.console import Console
    from rich.progress import Progress

    from meshtrial.collect.importing import OutcomeDoor, Refusal, Watcher, import_file
    from meshtrial.collect.row_outcomes import Columns
    from meshtrial.plan.problems import printable

    columns = Columns(
        unit=unit_column,
        unit_kind=unit_kind,
        time=time_column,
        name=name,
        name_column=name_column,
        id=id_column,
        values=tuple(_value(text) for text in value or ()),
        zone=None if timezone is None else _zone(timezone),
    )
    door = OutcomeDoor(collector, require_secret(settings.TOKEN, token_file, of="meshtrial collect"))
    console = Console(stderr=True, highlight=False, soft_wrap=True)

    def refused(refusal: Refusal) -> None:
        console.print(printable(f"{file}:{refusal.line}: {refusal.rule}"), markup=False)

    shown = Progress(console=console, transient=True, disable=not console.is_terminal)
    with closing(door), shown as progress:
        task = progress.add_task(file.name, total=1.0)
        watcher = Watcher(refused, lambda share: progress.update(task, completed=share))
        counts = import_file(file, form or format_of(file), columns, door, watcher)
    if as_json:
        typer.echo(json.dumps({**asdict(counts), "note": _KNOWN}))
    else:
        taken = f"{counts.acknowledged:,} acknowledged, {counts.refused:,} refused"
        typer.echo(f"{counts.rows:,} rows: {taken}; {_KNOWN}")
    if counts.refused:
        raise typer.Exit(2)


def _value(text: str) -> tuple[str, str]:
    field, _, column = text.partition("=")
    if not field or not column:
        raise SettingError(f"--value must be FIELD=COLUMN, such as amount=total, not {text}")
    return field, column


def _zone(name: str) -> tzinfo:
    try:
        return UTC if name == "UTC" else ZoneInfo(name)  # which needs the system's tzdata
    except (OSError, ValueError, KeyError) as error:
        raise SettingError(
            f"--timezone {name} is no time zone; write it such as Europe/Paris or UTC"
        ) from error
