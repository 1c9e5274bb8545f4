"""What commands that import a file have in common: progress, refused rows, the last line, the status."""

from datetime import UTC, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import typer

from meshtrial import settings
from meshtrial.cli.options import require_secret
from meshtrial.collect.file_rows import Format, format_of
from meshtrial.errors import SettingError

if TYPE_CHECKING:
    from meshtrial.collect.importing import Columns, Kind

_KNOWN = "those that were known count once"


def run_import(
    file: Path,
    form: Format | None,
    columns: "Columns",
    kind: "Kind",
    collector: str,
    token_file: Path | None,
    *,
    as_json: bool,
    plan: bytes | None = None,
) -> None:
    """Send a file's rows and say what became of them; refused rows stand on stderr, and end it with status 2.

    Args:
        file: Of rows.
        form: Its format, None for what its name says.
        columns: Where it has what.
        kind: What the rows are.
        collector: Its URL.
        token_file: Holds the token.
        as_json: How to say it.
        plan: An item that follows the rows once one of them is on disk: by which plan they were imported.

    Raises:
        SettingError: The file cannot be read as it should be, or the collector takes nothing.
    """
    import json
    from contextlib import closing
    from dataclasses import asdict

    from rich.console import Console
    from rich.progress import Progress

    from meshtrial.collect.importing import Door, Refusal, Watcher, import_file
    from meshtrial.plan.problems import printable

    door = Door(collector, require_secret(settings.TOKEN, token_file, of="meshtrial collect"), kind)
    console = Console(stderr=True, highlight=False, soft_wrap=True)

    def refused(refusal: Refusal) -> None:
        console.print(printable(f"{file}:{refusal.line}: {refusal.rule}"), markup=False)

    shown = Progress(console=console, transient=True, disable=not console.is_terminal)
    with closing(door), shown as progress:
        task = progress.add_task(file.name, total=1.0)
        watcher = Watcher(refused, lambda share: progress.update(task, completed=share))
        counts = import_file(file, form or format_of(file), columns, door, watcher)
        not_recorded = door.send([plan]) if plan is not None and counts.acknowledged else {}
    for rule in not_recorded.values():
        warn_unrecorded(f"the collector refuses it: {rule}")
    if as_json:
        typer.echo(json.dumps({**asdict(counts), "note": _KNOWN}))
    else:
        taken = f"{counts.acknowledged:,} acknowledged, {counts.refused:,} refused"
        typer.echo(f"{counts.rows:,} rows: {taken}; {_KNOWN}")
    if counts.refused:
        raise typer.Exit(2)


def warn(text: str) -> None:
    """One line on stderr; the import goes on."""
    typer.echo(f"warning: {text}", err=True)


def warn_unrecorded(why: str) -> None:
    """Say that the store does not get to know a plan, and what that means."""
    warn(
        f"the plan is not recorded with its exposures, so no report can list how its rule is amended later, "
        f"nor combine its phase with a later one: {why}"
    )


def pairs(flag: str, example: str, texts: list[str] | None) -> tuple[tuple[str, str], ...]:
    """What `--value amount=total` and its like say.

    Raises:
        SettingError: A text is no such pair.
    """
    found = []
    for text in texts or ():
        name, _, column = text.partition("=")
        if not name or not column:
            raise SettingError(f"{flag} must be {example}, not {text}")
        found.append((name, column))
    return tuple(found)


def zone_of(name: str | None) -> tzinfo | None:
    """The time zone of `--timezone`.

    Raises:
        SettingError: There is no such zone.
    """
    if name is None:
        return None
    try:
        return UTC if name == "UTC" else ZoneInfo(name)  # which needs the system's tzdata
    except (OSError, ValueError, KeyError) as error:
        raise SettingError(
            f"--timezone {name} is no time zone; write it such as Europe/Paris or UTC"
        ) from error
