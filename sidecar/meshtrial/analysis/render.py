"""Report -> what a person reads in a terminal."""

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from meshtrial.analysis.numbers import shown, shown_effect, shown_interval
from meshtrial.analysis.report_parts import ArmPart, ComparisonPart, MetricPart, Report
from meshtrial.plan.inference import MetricKind
from meshtrial.stats.estimate import Interval

_COLOURS = {"ship": "green", "keep_control": "yellow", "wait": "cyan", "unhealthy": "red"}
_MARKS = {True: Text("passed", "green"), False: Text("FAILED", "bold red"), None: Text("note", "cyan")}


def render(report: Report) -> RenderableType:
    """The whole report."""
    return Group(
        _verdict(report),
        _arms(report),
        *(_metric(metric) for metric in report.metrics),
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
    table = _table(
        f"Units: {progress.closed_units:,} of {progress.planned_units:,} planned have closed windows"
    )
    total = sum(arm.units for arm in report.arms)
    table.add_column("arm", overflow="fold")
    for name in ("planned", "exposed", "share"):
        table.add_column(name, justify="right")
    for arm in report.arms:
        table.add_row(_name(arm), f"{arm.share:.1%}", f"{arm.units:,}", _share(arm.units, total))
        for part in arm.cohorts:
            size = sum(p.units for a in report.arms for p in a.cohorts if p.cohort == part.cohort)
            cells = (f"{part.share:.1%}", f"{part.units:,}", _share(part.units, size))
            table.add_row(f"  of {part.cohort}", *cells, style="dim")
    return table


def _share(units: int, total: int) -> str:
    return f"{units / total:.1%}" if total else ""


def _metric(metric: MetricPart) -> Table:
    table = _table(f"{metric.metric} ({metric.role}, {metric.kind})")
    table.add_column("arm", overflow="fold")
    for name in ("analysed", "value", "effect"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("interval", "relative", "p"):  # what wraps first on a narrow terminal
        table.add_column(name, justify="right", overflow="fold")
    comparisons = {c.arm: c for c in metric.comparisons}
    kind = MetricKind(metric.kind)
    for arm in metric.arms:
        value = "" if arm.value is None else shown(arm.value, kind)
        table.add_row(arm.arm, f"{arm.units:,}", value, *_cells(comparisons.get(arm.arm), kind))
    notes = sorted({note for c in metric.comparisons if (note := c.withheld or c.not_estimable)})
    table.caption = "; ".join(notes) or None
    table.caption_justify = "left"
    return table


def _cells(comparison: ComparisonPart | None, kind: MetricKind) -> tuple[str, ...]:
    if comparison is None or comparison.effect is None or comparison.interval is None:
        return ("", "", "", "")
    relative = "" if comparison.relative is None else f"{comparison.relative:+.1%}"
    p_value = "" if comparison.p_value is None else _p(comparison.p_value)
    interval = shown_interval(Interval(*comparison.interval), kind)
    return (shown_effect(comparison.effect, kind), interval, relative, p_value)


def _health(report: Report) -> Table:
    table = _table("Health")
    for name in ("check", "result", "p", "detail"):
        table.add_column(name, overflow="fold")
    for check in report.health:
        p_value = "" if check.p_value is None else _p(check.p_value)
        table.add_row(check.check, _MARKS[check.passed], p_value, check.detail)
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE, pad_edge=False)


def _name(arm: ArmPart) -> str:
    return f"{arm.arm} (control)" if arm.control else arm.arm


def _p(value: float) -> str:
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"
