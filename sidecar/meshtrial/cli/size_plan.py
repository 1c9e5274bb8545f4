"""`meshtrial size` of an experiment of a plan: what its rule needs, and whether it has it."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from meshtrial.analysis.findings import Role
from meshtrial.analysis.needed import Needed, Wanted, days_needed, needed_units
from meshtrial.cli.amounts import percent
from meshtrial.cli.metric_flags import Texts
from meshtrial.cli.metric_supposed import alike, expected, metrics_of
from meshtrial.cli.size_words import (
    Answer,
    duration,
    effect_words,
    found_words,
    point_document,
    power_words,
)
from meshtrial.errors import SettingError
from meshtrial.plan.inference import Method
from meshtrial.plan.model import Experiment, Plan
from meshtrial.stats.clusters import Likeness
from meshtrial.stats.size import round_up
from meshtrial.stats.size_trial import SHARES


def metric_ids(experiment: Experiment) -> list[str]:
    """Those of primaries and guardrails, which decide."""
    rule = experiment.decision
    return [*(e.metric.id for e in rule.primary), *(e.metric.id for e in rule.guardrails)]


def wanted_of(
    experiment: Experiment,
    texts: Texts,
    group_size: float | None,
    group_size_variation: str | None,
    units_per_day: float | None,
) -> Wanted:
    """What the flags say of an experiment's metrics.

    Raises:
        SettingError: A flag is missing, or is not what it must be.
    """
    rule = experiment.decision
    metrics = [*(e.metric for e in rule.primary), *(e.metric for e in rule.guardrails)]
    supposed = metrics_of(metrics, texts)
    effects = {metric: effect for metric, one in supposed.items() if (effect := expected(metric, one, texts))}
    clusters: dict[str, Likeness] = {}
    for metric in supposed:
        likeness = alike(metric, texts, group_size, group_size_variation)
        if likeness is not None:
            clusters[metric] = likeness
    groups = experiment.unit.group_kind is not None
    if groups and not clusters:
        raise SettingError(
            f"{experiment.id} gives arms to groups: say --group-size, and --icc of each metric"
        )
    if clusters and not groups:
        raise SettingError(
            f"{experiment.id} gives arms to units, not to groups: leave out --icc, --group-size"
        )
    return Wanted(supposed, effects, clusters, units_per_day)


def answer(plan: Plan, experiment: Experiment, wanted: Wanted, *, curve: bool) -> Answer:
    """What the rule needs.

    Raises:
        SettingError: A minimum effect or margin is a share of a baseline of 0.
        ValueError: What is asked for has no answer.
    """
    rule = experiment.decision
    needed = needed_units(experiment, wanted)
    largest = max(needed, key=lambda one: one.sized.units)
    units = round_up(largest.sized.units)
    per_day = wanted.units_per_day
    days = {
        name: None if per_day is None else days_needed(rule, size, per_day)
        for name, size in (("needed", units), ("planned", rule.planned_units))
    }
    sizes = sorted({*(units * part for part in SHARES), float(rule.planned_units)})
    document = {
        "plan": plan.digest,
        "experiment": experiment.id,
        "method": rule.method.value,
        "alpha": rule.alpha,
        "power": rule.power,
        "planned_units": rule.planned_units,
        "needed_units": units,
        "enough": rule.planned_units >= units,
        "days_needed": days["needed"],
        "days_planned": days["planned"],
        "metrics": [_metric(one, rule.planned_units) for one in needed],
        "curve": [_point(needed, size, per_day) for size in sizes],
    }
    lines = (_verdict(experiment, units, largest), *_durations(days, per_day), *_notes(experiment, needed))
    tables = [_table(needed, rule.planned_units)]
    return Answer(lines, (*tables, *([_curve(needed, sizes, per_day)] if curve else [])), document)


def _verdict(experiment: Experiment, units: int, largest: Needed) -> str:
    rule = experiment.decision
    name = f"{largest.entry.metric.id} of {largest.arm.id}"
    if rule.planned_units >= units:
        return f"planned_units {rule.planned_units:,} is enough: {units:,} are needed, most of all by {name}"
    return f"planned_units {rule.planned_units:,} is not enough: {units:,} are needed, by {name}"


def _durations(days: Mapping[str, float | None], per_day: float | None) -> tuple[str, ...]:
    planned, needed = days["planned"], days["needed"]
    if planned is None or needed is None:
        return ()
    both = f"{duration(planned)} as planned, {duration(needed)} as needed"
    included = "windows, lateness and minimum duration included"
    return (f"{both}, at {per_day:,.10g} new units a day: {included}",)


def _notes(experiment: Experiment, needed: Sequence[Needed]) -> tuple[str, ...]:
    rule, looks = experiment.decision, needed[0].sized.looks
    notes = []
    if rule.guardrails:
        notes.append(
            f"For a power of {percent(rule.power)} with {len(rule.guardrails)} guardrail"
            f"{'s' if len(rule.guardrails) > 1 else ''} each metric has {percent(needed[0].sized.power)}"
        )
    if rule.method is Method.SEQUENTIAL:
        count = len(looks.times)
        notes.append(
            f"Sizes are of a trial that is looked at {count} times, evenly spaced, and then given up"
        )
    if any(split.cohort is not None for split in experiment.splits):
        notes.append("Shares of the arms are those of the default cohort")
    return tuple(notes)


def _table(needed: Sequence[Needed], planned: int) -> Table:
    table = Table()
    for heading in ("metric", "arm", "to find", "alpha", "units", "on average", "power as planned"):
        is_id = heading in {"metric", "arm"}
        table.add_column(heading, justify="left" if is_id else "right", overflow="fold")
    for one in needed:
        sized = one.sized
        [point] = sized.curve([planned])
        alpha = (
            f"{percent(sized.alpha / 2)} of 1 side" if one.role is Role.GUARDRAIL else percent(sized.alpha)
        )
        table.add_row(
            Text(one.entry.metric.id),
            Text(one.arm.id),
            _sought(one),
            alpha,
            f"{round_up(sized.units):,}",
            f"{round_up(sized.one_look_units * sized.looks.expected_with):,}",
            power_words(point),
        )
    return table


def _sought(one: Needed) -> str:
    """The effect, and what it is tested against: `+2pp`, `+3pp, over +1pp`, `over -10% of control`."""
    sought, kind = one.sized.sought, one.entry.metric.kind
    effect = effect_words(sought.effect, kind)
    if not sought.beyond:
        return effect
    side = "over" if sought.gap > 0 else "under"
    beyond = (
        f"{100 * sought.beyond:+.3g}% of control" if sought.relative else effect_words(sought.beyond, kind)
    )
    return f"{effect}, {side} {beyond}" if sought.effect else f"{side} {beyond}"


def _curve(needed: Sequence[Needed], sizes: Sequence[float], per_day: float | None) -> Table:
    table = Table()
    several = len({one.arm.id for one in needed}) > 1
    for heading in ("units", *(("days",) if per_day else ())):
        table.add_column(heading, justify="right")
    for one in needed:
        arm = f" of {one.arm.id}" if several else ""
        table.add_column(Text(f"{one.entry.metric.id}{arm}"), justify="right")
    for size in sizes:
        days = (f"{size / per_day:,.1f}",) if per_day else ()
        points = [(one, one.sized.curve([size])[0]) for one in needed]
        cells = [f"{power_words(p)}  {found_words(p, one.entry.metric.kind)}" for one, p in points]
        table.add_row(f"{size:,.0f}", *days, *cells)
    return table


def _metric(one: Needed, planned: int) -> dict[str, Any]:
    sized = one.sized
    [point] = sized.curve([planned])
    return {
        "role": one.role.value,
        "metric": one.entry.metric.id,
        "arm": one.arm.id,
        "effect": sized.sought.effect,
        "tested_against": sized.sought.beyond,
        "relative": sized.sought.relative,
        "alpha": sized.alpha,
        "power": sized.power,
        "units": sized.units,
        "units_with_one_look": sized.one_look_units,
        "inflation": sized.looks.most,
        "looks": len(sized.looks.times),
        "expected_units_with_effect": sized.one_look_units * sized.looks.expected_with,
        "expected_units_without_effect": sized.one_look_units * sized.looks.expected_without,
        "design_effect": sized.sought.inflation,
        "as_planned": point_document(point),
    }


def _point(needed: Sequence[Needed], size: float, per_day: float | None) -> dict[str, Any]:
    return {
        "units": size,
        "days": size / per_day if per_day else None,
        "metrics": [
            {
                "metric": one.entry.metric.id,
                "arm": one.arm.id,
                **point_document(one.sized.curve([size])[0]),
            }
            for one in needed
        ],
    }
