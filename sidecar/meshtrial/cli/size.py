"""`meshtrial size`: how many units a trial needs, and how long it takes to get them."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshtrial import settings
from meshtrial.cli import metric_flags as flags
from meshtrial.cli.options import option
from meshtrial.errors import SettingError
from meshtrial.plan.inference import Direction, Method, MetricKind, Shape

if TYPE_CHECKING:
    from meshtrial.cli.size_words import Answer

_TRIAL = "About the trial (a plan says these itself)"
_KINDS = ", ".join(kind.value for kind in MetricKind)
_PLAIN = (
    "power", "alpha", "arms", "control_share", "kind", "quantile", "primaries", "guardrails", "margin",
    "require_above", "direction", "method", "looks", "spending", "futility", "units", "conventions",
)  # fmt: skip
"""What a plan says itself, or is asked of one metric alone."""


class Spending(StrEnum):
    """How alpha or beta is spent over looks: the functions without a parameter."""

    OBRIEN_FLEMING = Shape.OBRIEN_FLEMING.value
    POCOCK = Shape.POCOCK.value


def size(
    context: typer.Context,
    effect: flags.Effect = None,
    baseline: flags.Baseline = None,
    sd: flags.Sd = None,
    power: Annotated[
        str, typer.Option(help="Chance of finding the effect where it exists.", rich_help_panel=_TRIAL)
    ] = "80%",
    alpha: Annotated[
        str,
        typer.Option(help="Two-sided error rate, shared by all treatment arms.", rich_help_panel=_TRIAL),
    ] = "5%",
    arms: Annotated[
        int,
        typer.Option(
            min=1, max=1000, help="Treatment arms, each compared with control.", rich_help_panel=_TRIAL
        ),
    ] = 1,
    control_share: Annotated[
        str | None,
        typer.Option(help="Control's share of all units; equal arms if left out.", rich_help_panel=_TRIAL),
    ] = None,
    units_per_day: Annotated[
        float | None, typer.Option(help="New units a day, such as users not seen before.")
    ] = None,
    units: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=10**12,
            help="Units of all arms that there will be: says the power, or without --effect what they find.",
        ),
    ] = None,
    kind: Annotated[
        MetricKind | None,
        typer.Option(help=f"{_KINDS}.", metavar="KIND", rich_help_panel=_TRIAL),
    ] = None,
    quantile: Annotated[
        str | None, typer.Option(help="Of a quantile: which one, such as 95%.", rich_help_panel=_TRIAL)
    ] = None,
    dispersion: flags.Dispersion = None,
    removed: flags.Removed = None,
    median: flags.Median = None,
    density: flags.Density = None,
    events: flags.Events = None,
    event_icc: flags.EventIcc = None,
    icc: flags.Icc = None,
    group_size: Annotated[
        float | None, typer.Option(help="Where groups get arms: members of a group on average.")
    ] = None,
    group_size_variation: Annotated[
        str | None, typer.Option(help="Their standard deviation as a share of that; 0% if left out.")
    ] = None,
    primaries: Annotated[
        int, typer.Option(min=1, max=1000, help="Primary metrics: share alpha.", rich_help_panel=_TRIAL)
    ] = 1,
    guardrails: Annotated[
        int, typer.Option(min=0, max=1000, help="Guardrails: share beta.", rich_help_panel=_TRIAL)
    ] = 0,
    margin: Annotated[
        str | None,
        typer.Option(help="Of a guardrail: how much worse it may be, 1pp.", rich_help_panel=_TRIAL),
    ] = None,
    require_above: Annotated[
        str | None,
        typer.Option(help="What the effect must surely exceed, 1pp.", rich_help_panel=_TRIAL),
    ] = None,
    direction: Annotated[
        Direction,
        typer.Option(help="Which way is better: up, down.", metavar="WAY", rich_help_panel=_TRIAL),
    ] = Direction.UP,
    method: Annotated[
        Method,
        typer.Option(help="fixed, group_sequential, sequential.", metavar="METHOD", rich_help_panel=_TRIAL),
    ] = Method.FIXED,
    looks: Annotated[
        int | None,
        typer.Option(
            min=2,
            max=100,
            help="Evenly spaced; 5 if left out, of a sequential trial 14.",
            rich_help_panel=_TRIAL,
        ),
    ] = None,
    spending: Annotated[
        Spending,
        typer.Option(
            help="How alpha is spent: obrien_fleming, pocock.", metavar="SHAPE", rich_help_panel=_TRIAL
        ),
    ] = Spending.OBRIEN_FLEMING,
    futility: Annotated[
        Spending | None,
        typer.Option(help="How beta is spent on giving up.", metavar="SHAPE", rich_help_panel=_TRIAL),
    ] = None,
    plan: Annotated[Path, option(settings.PLAN)] = Path(settings.PLAN.default),
    experiment: Annotated[
        str | None,
        typer.Option(help="One of the plan: its rule says all but what is supposed of metrics."),
    ] = None,
    curve: Annotated[bool, typer.Option("--curve", help="Show what other sizes find.")] = False,
    conventions: Annotated[
        bool, typer.Option("--conventions", help="Show what other calculators say.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    r"""Say how many units a trial needs to find an effect, or what so many find.

    From 12% to 14%, and how long that takes at 1,000 new users a day:

        meshtrial size --baseline 12% --effect 2pp --units-per-day 1000

    From 12% to 13.2%, three models against a control that keeps 40% of the users:

        meshtrial size --baseline 12% --effect '10% relative' \
          --arms 3 --control-share 40%

    A mean of 3.2 that moves by 0.1, and varies between users with a standard deviation of 1.5:

        meshtrial size --baseline 3.2 --effect 0.1 --sd 1.5

    What 20,000 users find, looked at any time; and with a covariate that removes 30% of the variance:

        meshtrial size --baseline 12% --units 20000 --method sequential --curve
        meshtrial size --baseline 12% --units 20000 --removed 30%

    A guardrail, one of two: that an error rate of 1% is not worse by 0.2 points:

        meshtrial size --baseline 1% --margin 0.2pp --direction down \
          --guardrails 2

    Whether the experiment of a plan is large enough, by its own rule:

        meshtrial size --plan plan.yaml --experiment rank-v2 \
          --baseline conversion=12% --units-per-day 1000
    """
    from rich.console import Console

    given = {
        "--baseline": baseline, "--sd": sd, "--effect": effect, "--dispersion": dispersion,
        "--removed": removed, "--median": median, "--density": density, "--events": events,
        "--event-icc": event_icc, "--icc": icc,
    }  # fmt: skip

    def answer() -> "Answer":
        if experiment is None:
            if _is_given(context, "plan"):
                raise SettingError("--plan takes --experiment: which one of the plan")
            from meshtrial.cli import size_one

            question = size_one.Question(
                texts=flags.texts_of(given, [flags.ONLY]),
                kind=kind, quantile=quantile, power=power, alpha=alpha, arms=arms,
                control_share=control_share, primaries=primaries, guardrails=guardrails,
                margin=margin, require_above=require_above, direction=direction,
                group_size=group_size, group_size_variation=group_size_variation, method=method,
                looks=looks, spending=Shape(spending),
                futility=None if futility is None else Shape(futility), units=units,
                units_per_day=units_per_day, conventions=conventions, curve=curve,
            )  # fmt: skip
            return size_one.answer(question)
        if said := [name for name in _PLAIN if _is_given(context, name)]:
            raise SettingError(
                f"--{said[0].replace('_', '-')} does not go with --experiment: the plan says it"
            )
        from meshtrial.cli import size_plan
        from meshtrial.cli.plan_file import chosen_experiment, read_plan

        compiled = read_plan(plan)
        chosen = chosen_experiment(plan, compiled, experiment)
        texts = flags.texts_of(given, size_plan.metric_ids(chosen))
        wanted = size_plan.wanted_of(chosen, texts, group_size, group_size_variation, units_per_day)
        return size_plan.answer(compiled, chosen, wanted, curve=curve)

    try:
        found = answer()
    except ValueError as error:
        raise SettingError(f"no size can be given: {error}") from error
    if as_json:
        typer.echo(json.dumps(found.document))
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print("\n".join(found.lines), markup=False)
    for table in found.tables:
        console.print(table)


def _is_given(context: typer.Context, name: str) -> bool:
    """Whether a flag stands on the command line; a default and `meshtrial.toml` do not count."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
