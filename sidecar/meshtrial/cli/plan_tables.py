"""A plan -> what `meshtrial check` shows of it on a terminal."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from meshtrial.cli.rule_words import rule_words
from meshtrial.cli.wording import percent, share, unit_words, who
from meshtrial.plan.model import DEFAULT_COHORT, Experiment, Layer, Mode, Plan
from meshtrial.plan.owners import Owned, owners_of
from meshtrial.plan.words import audience_words

_BAR = 40
"""Characters for all buckets of a layer."""


def rendered(name: str, plan: Plan) -> RenderableType:
    """The whole plan: a table for each layer, a line for each cohort, a table for each experiment."""
    count = len(plan.experiments)
    head = Text(name, "bold")
    head.append(f": valid, {count} experiment{'s' if count > 1 else ''}\ndigest {plan.digest}", "not bold")
    layers = (_layer(layer, plan) for layer in plan.layers)
    cohorts = (Text(f"cohort {c.id}: {audience_words(c.audience)}") for c in plan.cohorts)
    return Group(head, *layers, *cohorts, *(_experiment(experiment) for experiment in plan.experiments))


def _layer(layer: Layer, plan: Plan) -> RenderableType:
    title = Text(f"layer {layer.id}: by {unit_words(layer.unit)}")
    table = Table(title=title, title_justify="left")
    for heading in ("owner", "share", "buckets", "0% to 100%"):
        table.add_column(
            heading, justify="right" if heading in {"share", "buckets"} else "left", no_wrap=True
        )
    buckets = layer.bucketing.buckets
    for owned in owners_of(layer, plan):
        span = f"{owned.start:,} - {owned.end - 1:,}"
        table.add_row(Text(_owner(owned)), percent(owned.share), span, _bar(owned, buckets))
    return table


def _owner(owned: Owned) -> str:
    if owned.holdout:
        return "(holdout)"
    return " and ".join(owned.experiments) or "(free)"


def _bar(owned: Owned, buckets: int) -> str:
    start, end = owned.start * _BAR // buckets, -(-owned.end * _BAR // buckets)
    return " " * start + "█" * (end - start)


def _experiment(experiment: Experiment) -> RenderableType:
    table = Table(title=Text(f"{experiment.id}: {who(experiment)}"), title_justify="left")
    cohorts = [split.id for split in experiment.splits]
    shares = ["share", *(f"share in {cohort}" for cohort in cohorts if cohort != DEFAULT_COHORT)]
    table.add_column("arm")
    for heading in shares:
        table.add_column(Text(heading), justify="right")
    leads = experiment.control.cluster is not None
    for heading in (*(["cluster"] if leads else []), "headers"):
        table.add_column(heading)
    for arm in experiment.arms:
        name = f"{arm.id} (control)" if arm is experiment.control else arm.id
        headers = ", ".join(f"{key}: {value}" for key, value in arm.headers)
        cluster = [Text(arm.cluster)] if arm.cluster is not None else []
        table.add_row(
            Text(name), *(share(experiment, arm, cohort) for cohort in cohorts), *cluster, Text(headers)
        )
    table.caption = Text("\n".join(_facts(experiment)))
    table.caption_justify = "left"
    return table


def _facts(experiment: Experiment) -> Iterator[str]:
    if experiment.mode is not Mode.RUNNING:
        yield f"{experiment.mode.value}: every request gets control"
    if experiment.audience:
        yield f"audience: {audience_words(experiment.audience)}"
    if experiment.layer is not None:
        start, end = experiment.slice
        buckets = experiment.layer.bucketing.buckets
        yield f"layer {experiment.layer.id}, buckets {start:,} - {end - 1:,} of {buckets:,}"
    if experiment.ramp != 1:
        yield f"ramp {percent(experiment.ramp)}: so much of each arm's buckets is live, the rest control's"
    for name, on in (
        ("sticky: a unit keeps its first arm", experiment.sticky),
        ("arms are carried to further hops in signed baggage", experiment.carry),
        ("outcomes are read from the model's response header", experiment.response_outcomes),
        ("every exposure is recorded", experiment.exposures.value == "all"),
    ):
        if on:
            yield name
    if experiment.strata:
        yield f"strata: {', '.join(source.name for source in experiment.strata)}"
    if experiment.neighbours:
        yield f"neighbours of its group: header {experiment.neighbours.name}"
    yield from rule_words(experiment.decision)
