"""`meshtrial exposure`: exposures from elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from meshtrial import settings
from meshtrial.cli.help_text import Command
from meshtrial.cli.options import option
from meshtrial.cli.row_import import pairs, run_import, warn, warn_unrecorded, zone_of
from meshtrial.collect.file_rows import Format

exposure = typer.Typer(no_args_is_help=True)


@exposure.callback()
def _exposure() -> None:
    """Exposures from elsewhere."""


@exposure.command("import", cls=Command)
def import_(
    file: Annotated[Path, typer.Argument(help="CSV, JSON lines or Parquet.", metavar="FILE")],
    experiment: Annotated[str, typer.Option(help="The experiment of the plan that they are of.")],
    unit_column: Annotated[str, typer.Option(help="Column of the unit ids, in clear.", metavar="COLUMN")],
    arm_column: Annotated[str, typer.Option(help="Column of the arms.", metavar="COLUMN")],
    time_column: Annotated[
        str, typer.Option(help="Column of the times at which units met their arm.", metavar="COLUMN")
    ],
    plan: Annotated[Path, option(settings.PLAN)] = Path(settings.PLAN.default),
    phase: Annotated[
        str | None, typer.Option(help="Refuse a plan that has the experiment in another phase than this one.")
    ] = None,
    cohort_column: Annotated[
        str | None,
        typer.Option(
            help="Column of the cohorts, where the experiment has weights by cohort.", metavar="COLUMN"
        ),
    ] = None,
    group_column: Annotated[
        str | None,
        typer.Option(help="Column of the groups' ids, where groups are randomised.", metavar="COLUMN"),
    ] = None,
    stratum: Annotated[
        list[str] | None,
        typer.Option(
            help="A stratum of the experiment and its column; again for each.", metavar="HEADER=COLUMN"
        ),
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
    r"""Send a file of exposures to the collector; a second import of the same file adds nothing.

    For assignments that were made elsewhere, judged by a plan:

        meshtrial exposure import assigned.csv \
          --plan plan.yaml --experiment rank-v2 \
          --unit-column user_id --arm-column variant \
          --time-column first_seen

    Phase, digest and the units' kind are those of the plan, so that the report counts them, and the plan is
    recorded with them. Rows that are no exposures of it are listed on stderr with their line, the rest goes
    on, and the exit status is then 2.
    After an interruption, run it again. Needs the outcome token (MESHTRIAL_TOKEN or --token-file).
    """
    import json
    from datetime import UTC, datetime

    from meshtrial.cli.plan_file import chosen_experiment, read_plan
    from meshtrial.collect.importing import EXPOSURES
    from meshtrial.collect.row_exposures import Place, exposure_columns, plan_item, strata_left_out
    from meshtrial.record.experiment import LARGEST_DOCUMENT

    place = Place(
        unit=unit_column,
        arm=arm_column,
        time=time_column,
        cohort=cohort_column,
        group=group_column,
        strata=pairs("--stratum", "HEADER=COLUMN, such as x-country=country", stratum),
        zone=zone_of(timezone),
    )
    found = read_plan(plan)
    chosen = chosen_experiment(plan, found, experiment)
    columns = exposure_columns(chosen, found.digest, place, phase)
    if left_out := strata_left_out(chosen, place):
        flags = " ".join(f"--stratum {name}=COLUMN" for name in left_out)
        warn(f"no column for strata that `{chosen.id}` lists, which no import can add later: {flags}")
    item = plan_item(found, chosen, datetime.now(UTC))
    if (size := len(item["document"].encode())) > LARGEST_DOCUMENT:
        warn_unrecorded(f"its document has {size:,} bytes, of {LARGEST_DOCUMENT:,} at most")
        item = {}
    recorded = json.dumps(item).encode() if item else None
    run_import(file, form, columns, EXPOSURES, collector, token_file, as_json=as_json, plan=recorded)
