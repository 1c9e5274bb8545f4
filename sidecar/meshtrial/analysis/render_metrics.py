"""Metrics of a report -> tables for a terminal."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from meshtrial.analysis.numbers import (
    shown,
    shown_chance,
    shown_effect,
    shown_interval,
    shown_margin,
    shown_p,
    shown_share,
)
from meshtrial.analysis.render_over_time import kind_of, titled
from meshtrial.analysis.report_parts import ComparisonPart, MetricPart, Report
from meshtrial.plan.inference import MetricKind
from meshtrial.stats.estimate import Interval

_STANDINGS = {
    "practically_better": ("better, by the minimum effect or more", "green"),
    "better_maybe_small": ("better, maybe by less than the minimum effect", "green"),
    "equivalent": ("equivalent: better or worse by less than the minimum effect", "default"),
    "inconclusive": ("inconclusive", "default"),
    "worse": ("worse", "red"),
}
_UNCORRECTED = (
    "{}: crossed its bound at an earlier look, so there is no correction for when the trial stopped"
)


class _Trial(NamedTuple):
    """What is known of the trial when one of its metrics is shown."""

    broken: bool
    """A health check failed: numbers may be shown, but nothing may be read from them."""
    stopped: bool
    """By a group-sequential look."""


def metrics_part(report: Report) -> RenderableType:
    """All metrics; where none may be looked at yet, as a list."""
    metrics = report.metrics
    if all(told.withheld and told.effect is None for metric in metrics for told in metric.comparisons):
        return _to_come(metrics)
    trial = _Trial(
        broken=report.verdict.decision == "unhealthy",
        stopped=report.method.method == "group_sequential" and report.progress.decided_at is not None,
    )
    warning: list[RenderableType] = [
        Text("No verdict: the numbers below are of a broken trial", "bold red"),
        "",
    ]
    deciding = [_metric(metric, trial) for metric in metrics if metric.role != "secondary"]
    others = [metric for metric in metrics if metric.role == "secondary"]
    return Group(*(warning if trial.broken else []), *deciding, *([_secondaries(others)] if others else []))


def _to_come(metrics: Sequence[MetricPart]) -> Table:
    table = titled("Metrics, not looked at yet")
    for name in ("metric", "role", "kind", "better"):
        table.add_column(name, overflow="fold")
    for metric in metrics:
        table.add_row(metric.metric, metric.role, metric.kind, metric.direction or "")
    return table


def _metric(metric: MetricPart, trial: _Trial) -> RenderableType:
    """A primary or a guardrail: its table, and what else there is to say of each arm."""
    table = titled(f"{metric.metric} ({', '.join(_words(metric))})")
    table.add_column("arm", overflow="fold")
    for name in ("value", "effect", "interval", "p"):
        table.add_column(name, justify="right", no_wrap=name != "interval")
    comparisons = {c.arm: c for c in metric.comparisons}
    kind = kind_of(metric)
    for arm in metric.arms:
        value = "" if arm.value is None else shown(arm.value, kind)
        told = comparisons.get(arm.arm)
        table.add_row(f"{arm.arm}\n  {arm.units:,} units", value, *_cells(told, kind))
    notes = [note for comparison in metric.comparisons for note in _notes(comparison, kind, trial)]
    if trial.stopped and metric.role == "primary":
        notes += [Text(_UNCORRECTED.format(c.arm)) for c in metric.comparisons if _crossed_before(c)]
    return _with_notes(table, [*_margins(metric, kind), *notes])


def _margins(metric: MetricPart, kind: MetricKind) -> Iterator[Text]:
    """How much worse an arm may be; of each arm where control's value, that it is a share of, differs."""
    margins = {}
    for told in metric.comparisons:
        if told.margin is not None:
            share = "" if told.relative_margin is None else f" ({100 * told.relative_margin:.4g}% relative)"
            margins[told.arm] = f"may be worse by less than {shown_margin(told.margin, kind)}{share}"
    if len(set(margins.values())) == 1:
        margins = {"an arm": next(iter(margins.values()))}
    for arm, words in margins.items():
        yield Text(f"{arm} {words}")


def _crossed_before(told: ComparisonPart) -> bool:
    """Whether what stopped the trial was something else, at a later look than the one that it crossed at."""
    return told.stopped is None and told.effect is not None and told.withheld is None


def _secondaries(metrics: Sequence[MetricPart]) -> RenderableType:
    """All secondaries as one table: they decide nothing."""
    table = titled("Secondary metrics, which decide nothing (p adjusted)")
    table.add_column("metric", overflow="fold")
    for name in ("arm", "value", "effect", "interval", "p"):
        table.add_column(name, justify="right", overflow="fold")
    notes: list[Text] = []
    for metric in metrics:
        kind = kind_of(metric)
        comparisons = {c.arm: c for c in metric.comparisons}
        for number, arm in enumerate(metric.arms):
            told = comparisons.get(arm.arm)
            value = "" if arm.value is None else shown(arm.value, kind)
            name = metric.metric if not number else ""
            table.add_row(name, arm.arm, value, *_cells(told, kind, adjusted_only=True))
            if told is not None and (why := told.withheld or told.not_estimable):
                notes.append(Text(why if told.withheld else f"{metric.metric} of {arm.arm}: {why}"))
    return _with_notes(table, notes)


def _with_notes(table: Table, notes: Sequence[Text]) -> Group:
    """Each note once, under the table."""
    once = {note.plain: note for note in notes}
    if not once:
        return Group(table)
    return Group(table, *(Padding(note, (0, 0, 0, 2)) for note in once.values()), "")


def _words(metric: MetricPart) -> Iterator[str]:
    yield metric.role
    yield metric.kind
    if metric.direction is not None:
        yield f"{metric.direction} is better"
    if metric.cap is not None:
        yield f"capped at {shown(metric.cap, kind_of(metric))}"


def _cells(
    told: ComparisonPart | None, kind: MetricKind, *, adjusted_only: bool = False
) -> tuple[str, str, str]:
    """Effect, interval and p-value; below them as shares of control's value, and adjusted."""
    if told is None or told.effect is None or told.interval is None:
        return "", "", ""
    effect = [shown_effect(told.effect, kind)]
    interval = [shown_interval(Interval(*told.interval), kind)]
    if told.relative is not None:
        effect.append(shown_share(told.relative))
    if told.relative_interval is not None:
        low, high = told.relative_interval
        interval.append(f"{shown_share(low)} to {shown_share(high)}")
    p_value = [] if told.p_value is None else [shown_p(told.p_value)]
    if told.adjusted_p_value is not None:
        adjusted = shown_p(told.adjusted_p_value)
        p_value = [adjusted] if adjusted_only else [*p_value, f"{adjusted} adj."]
    return "\n".join(effect), "\n".join(interval), "\n".join(p_value)


def _notes(told: ComparisonPart, kind: MetricKind, trial: _Trial) -> Iterator[Text]:
    """What there is to say of an arm beside its numbers."""
    if told.withheld is not None:
        yield Text(told.withheld, "cyan")
    if told.not_estimable is not None:
        by_itself = "" if told.p_value is None else f"; p {shown_p(told.p_value)} by safe e-values"
        yield Text(f"{told.arm}: {told.not_estimable}{by_itself}")
    if trial.broken:
        yield from _precision(told, kind)
        return
    if told.standing is not None:
        words, style = _STANDINGS.get(told.standing, (told.standing, "default"))
        yield Text.assemble(f"{told.arm}: ", (words, style), _size(told))
    if told.margin is not None and told.within_margin is not None:
        words, style = ("within", "green") if told.within_margin else ("not shown to be within", "yellow")
        yield Text.assemble(f"{told.arm}: ", (words, style), f" the margin{_size(told)}")
    yield from _precision(told, kind)
    yield from _course(told, kind)


def _size(told: ComparisonPart) -> str:
    return "" if told.effect_size is None else f" (effect size {told.effect_size:+.3g})"


def _precision(told: ComparisonPart, kind: MetricKind) -> Iterator[Text]:
    plain = told.unadjusted
    if told.not_adjusted is not None:
        yield Text(f"{told.arm}: without covariates, as {told.not_adjusted}")
    elif plain is not None:
        interval = shown_interval(Interval(*plain.interval), kind)
        said = f"{told.arm}: {shown_effect(plain.effect, kind)}, {interval} without covariates"
        if told.variance_removed is not None:
            said += f", which removed {shown_share(told.variance_removed).lstrip('+')} of the variance"
        yield Text(said)


def _course(told: ComparisonPart, kind: MetricKind) -> Iterator[Text]:
    if (stopped := told.stopped) is not None:
        interval = shown_interval(Interval(*stopped.interval), kind)
        effect = shown_effect(stopped.estimate, kind)
        p_value = shown_p(stopped.p_value)
        yield Text(f"{told.arm}: {effect}, {interval}, p {p_value} corrected for when it stopped")
    if told.conditional_power is not None:
        chance = shown_chance(told.conditional_power)
        yield Text(f"{told.arm}: {chance} chance that a later look finds the minimum effect, were it true")
    if told.bayes is not None:
        chance, prior = (
            shown_chance(told.bayes.chance_to_beat_control),
            shown_margin(told.bayes.prior_sd, kind),
        )
        yield Text(
            f"{told.arm}: {chance} chance to beat control, if effects have the prior sd {prior}", "dim"
        )
