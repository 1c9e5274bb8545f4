"""`meshtrial simulate`: a plan's own decision rule on simulated traffic."""

import json
from pathlib import Path
from typing import Annotated

import typer

from meshtrial.cli import metric_flags as flags
from meshtrial.errors import SettingError


def simulate(
    plan: Annotated[Path, typer.Argument(help="The plan document.", metavar="PLAN")],
    experiment: Annotated[str, typer.Argument(help="The experiment's id in it.", metavar="EXPERIMENT")],
    units_per_day: Annotated[
        float, typer.Option(help="New units a day of all arms, such as users not seen before.")
    ],
    baseline: flags.Baseline = None,
    sd: flags.Sd = None,
    effect: flags.SimulatedEffect = None,
    dispersion: flags.Dispersion = None,
    removed: flags.Removed = None,
    median: flags.Median = None,
    density: flags.Density = None,
    events: flags.Events = None,
    event_icc: flags.EventIcc = None,
    shape: flags.ShapeOption = None,
    days: Annotated[
        float | None,
        typer.Option(help="Give up after so many; when the planned units should have come if left out."),
    ] = None,
    runs: Annotated[int, typer.Option(min=1, max=1_000_000, help="Trials of each scenario.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same numbers.")] = 1,
    jobs: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Processes; one for each core if left out.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    r"""Try a plan's decision rule on traffic that is drawn, many times over.

    How often it ships a model that changes nothing, how often one that has the minimum effect, and after
    how many days:

        meshtrial simulate plan.yaml rank-v2 --units-per-day 1000 \
          --baseline conversion=12%

    With a guardrail that gets worse, as a third scenario:

        meshtrial simulate plan.yaml rank-v2 --units-per-day 1000 \
          --baseline conversion=12% --baseline error_rate=1% \
          --effect conversion=2pp --effect error_rate=0.5pp

    Every trial goes through the analysis and the decision of `meshtrial report`, look by look; a sequential
    one is looked at each day. Health checks, days of the week and late outcomes are not simulated.
    """
    from meshtrial.cli.plan_file import chosen_experiment, read_plan
    from meshtrial.cli.simulate_runs import Job, tallies
    from meshtrial.cli.simulate_words import document, rendered
    from meshtrial.cli.size_plan import metric_ids

    compiled = read_plan(plan)
    chosen = chosen_experiment(plan, compiled, experiment)
    given = {
        "--baseline": baseline, "--sd": sd, "--effect": effect, "--dispersion": dispersion,
        "--removed": removed, "--median": median, "--density": density, "--events": events,
        "--event-icc": event_icc, "--shape": shape,
    }  # fmt: skip
    texts = flags.texts_of(given, metric_ids(chosen))
    try:
        job = Job.of(compiled, chosen, texts, units_per_day, days, seed)
        found = tallies(job, runs, jobs)
    except ValueError as error:
        raise SettingError(f"this cannot be simulated: {error}") from error
    if as_json:
        typer.echo(json.dumps(document(job, found, runs)))
        return
    from rich.console import Console

    Console(highlight=False).print(rendered(job, found, runs))
