"""Report -> what a person reads in a terminal, 80 columns wide or more."""

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from meshtrial.analysis.numbers import shown_duration, shown_p
from meshtrial.analysis.render_cohorts import groups_part
from meshtrial.analysis.render_metrics import metrics_part
from meshtrial.analysis.render_over_time import over_time_part, titled
from meshtrial.analysis.report_parts import ArmPart, Report

_COLOURS = {
    "ship": "green",
    "keep_control": "yellow",
    "wait": "cyan",
    "review": "magenta",
    "roll_back": "red",
    "unhealthy": "red",
}
_MARKS = {False: Text("FAILED", "bold red"), None: Text("note", "cyan")}


def render(report: Report) -> RenderableType:
    """The whole report."""
    return Group(
        _verdict(report),
        "",
        _arms(report),
        metrics_part(report),
        *([over_time_part(report.over_time, report.metrics)] if report.over_time else []),
        groups_part(report),
        *([_looks(report)] if len(report.progress.looks) > 1 else []),
        *([_amendments(report)] if report.amendments else []),
        _health(report),
        _method(report),
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


def _arms(report: Report) -> RenderableType:
    table = titled(None)
    total = sum(arm.units for arm in report.arms)
    table.add_column("arm", overflow="fold")
    for name in ("planned", "exposed", "share", "analysed"):
        table.add_column(name, justify="right")
    for arm in report.arms:
        row = (_name(arm), f"{arm.share:.1%}", f"{arm.units:,}", _share(arm.units, total))
        table.add_row(*row, f"{arm.analysed:,}")
        for part in arm.cohorts:
            size = sum(p.units for a in report.arms for p in a.cohorts if p.cohort == part.cohort)
            cells = (f"{part.share:.1%}", f"{part.units:,}", _share(part.units, size))
            table.add_row(f"  of {part.cohort}", *cells, style="dim")
    return Group(Text(f"Units: {_units(report)}", "bold"), table)


def _units(report: Report) -> str:
    """How many there are; of a trial that is over those it was decided on, and how many came too late."""
    progress = report.progress
    if progress.decided_at is None:
        return f"{progress.closed_units:,} of {progress.planned_units:,} planned units are final"
    looked = sum(arm.analysed for arm in report.arms)
    look = f" at look {len(progress.looks)}" if report.method.method == "group_sequential" else ""
    told = f"decided {progress.decided_at[:10]}{look}, on {looked:,} of {progress.planned_units:,} planned"
    later = progress.closed_units - looked
    return told if later <= 0 else f"{told}; {later:,} first exposed later do not count"


def _share(units: int, total: int) -> str:
    return f"{units / total:.1%}" if total else ""


def _looks(report: Report) -> Table:
    table = titled("Looks")
    for name in ("units first exposed before", "taken", "of the planned units"):
        table.add_column(name, justify="right" if name.startswith("of") else "left")
    for look in report.progress.looks:
        table.add_row(look.cut, look.taken, f"{look.share:.1%}")
    return table


def _amendments(report: Report) -> Table:
    table = titled("Amendments after the first exposure: the verdict is by the present plan")
    for name in ("at", "plan", "changed"):
        table.add_column(name, overflow="fold")
    for amendment in report.amendments:
        table.add_row(amendment.at, amendment.plan[:12], "\n".join(amendment.changed))
    return table


def _health(report: Report) -> RenderableType:
    """What failed, what is to be noted, and in one line what passed."""
    rows = sorted((c for c in report.health if not c.passed), key=lambda check: check.passed is None)
    fine = [
        check.check if check.p_value is None else f"{check.check} (p {shown_p(check.p_value)})"
        for check in report.health
        if check.passed
    ]
    passed: list[RenderableType] = []
    if fine:
        passed = [Text.assemble(("passed", "green"), f": {', '.join(fine)}"), ""]
    if not rows:
        return Group(Text("Health", "bold"), *passed)
    table = titled("Health")
    for name in ("check", "result", "p", "detail"):
        table.add_column(name, overflow="fold", no_wrap=name in {"result", "p"})
    for check in rows:
        p_value = "" if check.p_value is None else shown_p(check.p_value)
        table.add_row(check.check, _MARKS[check.passed], p_value, check.detail)
    return Group(table, *passed)


def _method(report: Report) -> Table:
    """How all of it was judged: what a reader needs to do it again."""
    method = report.method
    several = max(1, sum(len(metric.comparisons) for metric in report.metrics if metric.role == "primary"))
    shared = (
        "primaries in order"
        if method.gatekeeping
        else f"{several} comparison{'s' if several > 1 else ''} of primaries"
    )
    lateness = shown_duration(method.lateness_seconds)
    lines = {
        "method": f"{method.method}{f', {method.boundary}' if method.boundary else ''}",
        "alpha": f"{method.alpha:g} two-sided over {shared}; power {method.power:g}",
        "unit": f"{method.unit}, randomised by {method.randomised}",
        "lateness": f"{lateness} after a unit's window for its outcomes to arrive",
        "plan": report.plan,
        "meshtrial": method.version,
    }
    table = titled("Method")
    table.show_header = False
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, line in lines.items():
        table.add_row(name, line)
    return table


def _name(arm: ArmPart) -> str:
    return f"{arm.arm} (control)" if arm.control else arm.arm
