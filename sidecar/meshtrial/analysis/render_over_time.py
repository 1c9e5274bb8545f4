"""Effects over time -> tables for a terminal."""

from collections.abc import Iterator, Mapping
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from meshtrial.analysis.numbers import shown_effect, shown_interval, shown_p, shown_share
from meshtrial.analysis.report_beside_parts import CoursePart, EffectPart, OverTimePart, PointPart, TrendPart
from meshtrial.analysis.report_parts import MetricPart
from meshtrial.plan.inference import MetricKind
from meshtrial.stats.estimate import Interval

MOST_ROWS: Final = 10
"""Of a curve: with more points, ten from the first to the last are shown here, and all in the document."""
_DRIFTS = {
    "none": "no trend of the effect can be told",
    "novelty": "it fades: novelty",
    "primacy": "it grows: primacy",
}


def over_time_part(part: OverTimePart, metrics: tuple[MetricPart, ...]) -> RenderableType:
    """The section; nothing where it is withheld, as the metrics' tables say so already."""
    kinds = kinds_of(metrics)
    return Group(*(table for course in part.courses for table in _course(course, kinds[course.metric])))


def _course(course: CoursePart, kind: MetricKind) -> Iterator[RenderableType]:
    title = f"{course.metric} of {course.arm} over time"
    if course.not_estimable is not None:
        yield Text.assemble((title, "bold"), f"\n{course.not_estimable}\n")
        return
    if len(course.grown) < 2 and course.since_exposure is None:
        return  # one day is the metric's own table
    table = titled(title)
    table.add_column("units first exposed from", no_wrap=True)
    for name in ("up to then", "all looks' interval", "then alone", "interval"):
        table.add_column(name, justify="right", overflow="fold")
    of_day = {point.day: point.effect for point in course.by_day}
    for point in _few(course.grown):
        alone = of_day[point.day]
        table.add_row(_day(point.day), *effect_cells(point.effect, kind), *effect_cells(alone, kind))
    table.caption = "\n".join(_notes(course, kind)) or None
    yield spaced(table)


def _notes(course: CoursePart, kind: MetricKind) -> Iterator[str]:
    if (points := len(course.grown)) > MOST_ROWS:
        what = "days" if all(point.days == 1 for point in course.grown) else "points"
        yield f"{MOST_ROWS} of {points} {what}; all are in --json"
    change = course.by_first_exposure
    if change is not None and change.change is not None and change.interval is not None:
        interval = shown_interval(Interval(*change.interval), kind)
        yield (
            f"late units less early ones: {shown_effect(change.change, kind)} ({interval}),"
            f" p {shown_p(change.p_value or 0.0)}"
        )
    trend = course.since_exposure
    if trend is not None and trend.slope is not None and trend.interval is not None:
        interval = shown_interval(Interval(*trend.interval), kind)
        yield (
            f"by days since first exposure: {shown_effect(trend.slope, kind)} a day ({interval}),"
            f" p {shown_p(trend.p_value or 0.0)}{_drift(trend)}"
        )
        first, last = trend.days[0].effect, trend.days[-1].effect
        if first is not None and last is not None:
            both = (shown_effect(effect, kind) for effect in (first, last))
            yield "on a unit's first day and on its last: " + ", ".join(both)


def _drift(trend: TrendPart) -> str:
    """What a slope means; with the one as a share where that is why it means nothing."""
    words = _DRIFTS[trend.drift or "none"]
    if trend.drift != "none" or trend.interval is None or trend.interval[0] <= 0 <= trend.interval[1]:
        return f": {words}"
    if trend.relative_slope is None or trend.relative_interval is None:
        return f": {words}"
    low, high = map(shown_share, trend.relative_interval)
    return f"; as a share of the arms' values {shown_share(trend.relative_slope)} ({low} to {high}): {words}"


def _few(points: tuple[PointPart, ...]) -> list[PointPart]:
    """Evenly from the first to the last."""
    if len(points) <= MOST_ROWS:
        return list(points)
    return [points[round(i * (len(points) - 1) / (MOST_ROWS - 1))] for i in range(MOST_ROWS)]


def _day(moment: str) -> str:
    """A midnight as its day."""
    return moment.removesuffix("T00:00:00.000Z")


def effect_cells(part: EffectPart, kind: MetricKind) -> tuple[str, str]:
    """Effect and interval; empty where there are none."""
    if part.effect is None or part.interval is None:
        return "", ""
    return shown_effect(part.effect, kind), shown_interval(Interval(*part.interval), kind)


def kinds_of(metrics: tuple[MetricPart, ...]) -> Mapping[str, MetricKind]:
    """Of each metric by its id."""
    return {metric.metric: kind_of(metric) for metric in metrics}


def kind_of(metric: MetricPart) -> MetricKind:
    """What its numbers are shown as."""
    return MetricKind.PROPORTION if metric.in_percent else MetricKind(metric.kind)


def titled(title: str | None) -> Table:
    """An empty table as all of the report's are."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        caption_justify="left",
        box=box.SIMPLE,
        pad_edge=False,
    )


def spaced(table: Table) -> RenderableType:
    """With a blank line at its end: the frame has one, and what stands below the frame needs one more."""
    return Group(table, "") if table.caption else table
