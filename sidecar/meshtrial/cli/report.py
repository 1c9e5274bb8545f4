"""`meshtrial report`."""

from pathlib import Path
from typing import Annotated

import typer

from meshtrial import settings
from meshtrial.cli.options import option


def report(
    experiment: Annotated[str, typer.Argument(help="The experiment's id in the plan.", metavar="EXPERIMENT")],
    plan: Annotated[Path, option(settings.PLAN)] = Path(settings.PLAN.default),
    store: Annotated[Path, option(settings.STORE)] = Path(settings.STORE.default),
    peek: Annotated[
        bool, typer.Option("--peek", help="Show estimates between the planned looks; they decide nothing.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report document (docs/report.md).")
    ] = False,
) -> None:
    """Judge an experiment: ship, keep control, roll back, review, wait, or unhealthy.

    The plan decides how it is judged:

        meshtrial report rank-v2 --plan plan.yaml --store meshtrial-store

    Reads the store while `meshtrial collect` writes to it. Estimates are withheld until the plan's method
    lets them be looked at (`fixed`: planned size and minimum duration both reached): looking early and
    stopping on a good day finds effects that are not there.
    """
    import time

    import msgspec
    from rich.console import Console

    from meshtrial.analysis.render import render
    from meshtrial.analysis.report import make_report
    from meshtrial.cli.plan_file import chosen_experiment, read_plan
    from meshtrial.store.read import open_reading

    compiled = read_plan(plan)
    chosen = chosen_experiment(plan, compiled, experiment)
    with open_reading(store, exposures_once=False) as reading:
        made = make_report(reading, compiled, chosen, time.time_ns(), peek=peek)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(made)))
    else:
        Console().print(render(made))
