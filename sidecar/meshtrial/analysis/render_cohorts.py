"""Effects by groups of units -> tables for a terminal."""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from meshtrial.analysis.numbers import shown_p, shown_share
from meshtrial.analysis.render_over_time import effect_cells, kinds_of, spaced, titled
from meshtrial.analysis.report_beside_parts import (
    BreakdownPart,
    CarryoverPart,
    CohortsPart,
    EffectPart,
    HeterogeneityPart,
    HoldoutPart,
    InterferencePart,
    ValuePart,
)
from meshtrial.analysis.report_parts import Report
from meshtrial.plan.inference import MetricKind

_Kinds: TypeAlias = Mapping[str, MetricKind]


def groups_part(report: Report) -> RenderableType:
    """All sections that have something to show; what is withheld the metrics' tables say already."""
    kinds = kinds_of(report.metrics)
    return Group(
        *(_cohorts(report.cohorts, kinds) if report.cohorts else ()),
        *(_carryover(report.carryover, kinds) if report.carryover else ()),
        *(_holdout(report.holdout, kinds) if report.holdout else ()),
        *(_interference(report.interference, kinds) if report.interference else ()),
    )


def _cohorts(part: CohortsPart, kinds: _Kinds) -> Iterator[RenderableType]:
    for breakdown in part.breakdowns:
        table = _breakdown(breakdown, kinds[breakdown.metric], f"by {breakdown.field}")
        table.caption = f"{_heterogeneity('effects', breakdown.interaction)}\n{part.label}"
        yield spaced(table)
    if part.post_stratified:
        table = _effects("Post-stratified, beside the plan's own estimates", "metric", "arm")
        table.add_column("variance removed", justify="right")
        for one in part.post_stratified:
            removed = "" if one.variance_removed is None else shown_share(one.variance_removed).lstrip("+")
            cells = effect_cells(one.effect, kinds[one.metric])
            table.add_row(one.metric, one.arm, *cells, removed)
        table.caption = _reasons(*(one.effect for one in part.post_stratified))
        yield spaced(table)


def _carryover(part: CarryoverPart, kinds: _Kinds) -> Iterator[RenderableType]:
    if part.withheld is not None or not part.experiments:
        return
    text = f"\n{part.units:,} units had arms of {', '.join(part.experiments)} before"
    if part.balance_p_value is not None:
        text += f"; that arms here have the same mix of them: p {shown_p(part.balance_p_value)}"
    yield Text.assemble(("Carryover", "bold"), f"{text}\n")
    for one in part.primaries:
        breakdown = one.by_former_arm
        table = _breakdown(breakdown, kinds[breakdown.metric], "by the arm that units had before")
        effects = _heterogeneity("effects", breakdown.interaction)
        table.caption = f"{effects}\n{_heterogeneity('values, whatever the arm here,', one.main_effect)}"
        yield spaced(table)


def _holdout(part: HoldoutPart, kinds: _Kinds) -> Iterator[RenderableType]:
    if not part.primaries:
        return
    table = _effects("Everyone else less the layer's holdout", "metric")
    for name in ("held out", "everyone else"):
        table.add_column(name, justify="right")
    for one in part.primaries:
        sizes = (f"{one.effect.control_units:,}", f"{one.effect.arm_units:,}")
        table.add_row(one.metric, *effect_cells(one.effect, kinds[one.metric]), *sizes)
    told = [f"on requests of {', '.join(part.experiments)}"]
    if part.moved:
        told.append(f"{part.moved:,} units were seen on both sides, as the holdout changed")
    reasons = _reasons(*(one.effect for one in part.primaries))
    table.caption = "\n".join([*told, *([reasons] if reasons else []), *part.caveats])
    yield spaced(table)


def _interference(part: InterferencePart, kinds: _Kinds) -> Iterator[RenderableType]:
    for one in part.primaries:
        table = _effects(f"{one.metric} of {one.arm}: groups and their neighbours", "treated")
        kind = kinds[one.metric]
        table.add_row("the group, no neighbour", *effect_cells(one.own, kind))
        table.add_row("all neighbours, not the group", *effect_cells(one.neighbours, kind))
        table.add_row("everybody", *effect_cells(one.everywhere, kind))
        told = f"{one.groups:,} groups with neighbours, {one.left_out:,} without"
        if one.shares is not None:
            told += f"; from {one.shares[0]:.0%} to {one.shares[1]:.0%} of a group's neighbours are treated"
        table.caption = _joined(told, one.own.not_estimable)
        yield spaced(table)


def _breakdown(part: BreakdownPart, kind: MetricKind, by: str) -> Table:
    table = _effects(f"{part.metric} of {part.arm} {by}", "")
    for name in ("control's units", "arm's"):
        table.add_column(name, justify="right")
    for one in part.values:
        sizes = (f"{one.effect.control_units:,}", f"{one.effect.arm_units:,}")
        table.add_row(
            _value(one), *effect_cells(one.effect, kind), *sizes, style=None if one.tested else "dim"
        )
    return table


def _value(part: ValuePart) -> str:
    if part.value is None:
        return f"({part.joined:,} other values)"
    return part.value or "(none)"


def _heterogeneity(what: str, part: HeterogeneityPart) -> str:
    if part.p_value is None:
        return f"whether {what} differ: {part.not_estimable}"
    adjusted = "" if part.adjusted_p_value is None else f", adjusted {shown_p(part.adjusted_p_value)}"
    return f"{what} differ: p {shown_p(part.p_value)}{adjusted}"


def _effects(title: str, *names: str) -> Table:
    table = titled(title)
    for name in names:
        table.add_column(name, overflow="fold")
    table.add_column("effect", justify="right", no_wrap=True)
    table.add_column("interval", justify="right", overflow="fold")
    return table


def _reasons(*effects: EffectPart) -> str | None:
    return _joined(*sorted({effect.not_estimable for effect in effects if effect.not_estimable}))


def _joined(*texts: str | None) -> str | None:
    return "; ".join(text for text in texts if text) or None
