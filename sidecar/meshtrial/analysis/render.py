"""Report -> what a person reads in a terminal."""

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from meshtrial.analysis.report import ArmPart, ComparisonPart, MetricPart, Report

_COLOURS = {"ship": "green", "keep_control": "yellow", "wait": "cyan", "unhealthy": "red"}
_MARKS = {True: Text("passed", "green"), False: Text("FAILED", "bold red"), None: Text("not yet", "dim")}


def render(report: Report) -> RenderableType:
    """The whole report."""
    return Group(
        _verdict(report),
        _arms(report),
        *(_metric(metric, report) for metric in report.metrics),
        _health(report),
    )


def _verdict(report: Report) -> Panel:
    decision = report.verdict.decision
    headline = f"{decision} {report.verdict.arm}" if report.verdict.arm else decision
    colour = _COLOURS.get(decision, "white")
    text = Text(headline.replace("_", " ").upper(), f"bold {colour}")
    for reason in report.verdict.reasons:
        text.append(f"\n{reason}", "default")
    return Panel(
        text, title=f"{report.experiment}, as of {report.as_of}", title_align="left", border_style=colour
    )


def _arms(report: Report) -> Table:
    progress = report.progress
    table = Table(
        title=f"Units: {progress.closed_units:,} of {progress.planned_units:,} planned", title_justify="left"
    )
    total = sum(arm.units for arm in report.arms)
    for name, side in (("arm", "left"), ("planned", "right"), ("units", "right"), ("share", "right")):
        table.add_column(name, justify="left" if side == "left" else "right")
    for arm in report.arms:
        share = f"{arm.units / total:.1%}" if total else ""
        table.add_row(_name(arm), f"{arm.share:.1%}", f"{arm.units:,}", share)
    return table


def _metric(metric: MetricPart, report: Report) -> Table:
    table = Table(title=f"{metric.metric} ({metric.role}, {metric.kind})", title_justify="left")
    table.add_column("arm")
    for name in ("units", "value", "effect", "interval", "relative", "p"):
        table.add_column(name, justify="right")
    comparisons = {c.arm: c for c in metric.comparisons}
    named = {arm.arm: _name(arm) for arm in report.arms}
    for arm in metric.arms:
        value = "" if arm.value is None else _number(arm.value, metric.kind)
        table.add_row(named[arm.arm], f"{arm.units:,}", value, *_cells(comparisons.get(arm.arm), metric.kind))
    notes = {c.withheld or c.not_estimable for c in metric.comparisons} - {None}
    table.caption = "; ".join(sorted(note for note in notes if note)) or None
    table.caption_justify = "left"
    return table


def _cells(comparison: ComparisonPart | None, kind: str) -> tuple[str, ...]:
    if comparison is None or comparison.effect is None or comparison.interval is None:
        return ("", "", "", "")
    low, high = comparison.interval
    relative = "" if comparison.relative is None else f"{comparison.relative:+.1%}"
    p_value = "" if comparison.p_value is None else _p(comparison.p_value)
    span = f"{_number(low, kind, signed=True)} to {_number(high, kind, signed=True)}"
    return (_number(comparison.effect, kind, signed=True), span, relative, p_value)


def _health(report: Report) -> Table:
    table = Table(title="Health", title_justify="left")
    for name in ("check", "result", "p", "detail"):
        table.add_column(name, overflow="fold")
    for check in report.health:
        p_value = "" if check.p_value is None else _p(check.p_value)
        table.add_row(check.check, _MARKS[check.passed], p_value, check.detail)
    return table


def _name(arm: ArmPart) -> str:
    return f"{arm.arm} (control)" if arm.control else arm.arm


def _number(value: float, kind: str, *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    if kind == "proportion":
        return f"{value * 100:{sign}.2f}{'pp' if signed else '%'}"
    return f"{value:{sign}.4g}"


def _p(value: float) -> str:
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"
