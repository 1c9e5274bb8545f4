"""What both forms of `meshtrial size` print."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from meshtrial.plan.inference import Method, MetricKind
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.size_looks import Looks
from meshtrial.stats.size_trial import Point


@dataclass(frozen=True, slots=True)
class Answer:
    """What is printed."""

    lines: tuple[str, ...]
    tables: tuple[Table, ...]
    document: dict[str, Any]
    """For `--json`."""


def effect_words(effect: float, kind: MetricKind) -> str:
    """A change with its sign: `+3.04pp`, `-0.12`."""
    return f"{100 * effect:+.3g}pp" if kind is MetricKind.PROPORTION else f"{effect:+.4g}"


def duration_line(days: float | None, units_per_day: float | None) -> tuple[str, ...]:
    """Rounded up, in hours up to two days; nothing where no traffic is given."""
    if days is None:
        return ()
    return (f"{duration(days)} at {units_per_day:,.10g} new units a day, and then the metric's window",)


def duration(days: float) -> str:
    """Rounded up: `9 days`, up to two of them in hours."""
    hours = math.ceil(24 * days)
    number, unit = (math.ceil(days), "day") if hours > 48 else (hours, "hour")
    return f"{number:,} {unit}{'s' if number > 1 else ''}"


def looks_line(method: Method, looks: Looks, units: float, share: float) -> tuple[str, ...]:
    """What looking costs; nothing for one look.

    Args:
        method: The plan's.
        looks: With the power asked for.
        units: Of all arms.
        share: What they are of the size that has this power.
    """
    if method is Method.FIXED:
        return ()
    name = "Confidence sequence" if method is Method.SEQUENTIAL else "Group sequential"
    with_effect, without = (units * looks.mean_time(part) for part in (share, 0.0))
    at_most = f"{looks.most:.4g} times the units of one look at most"
    average = f"on average {with_effect:,.0f} with the effect, {without:,.0f} without"
    return (f"{name}, {len(looks.times)} looks evenly spaced: {at_most}; {average}",)


def curve_table(points: Sequence[Point], units_per_day: float | None, kind: MetricKind) -> Table:
    """Units beside what they find."""
    table = Table()
    for heading in ("units", *(("days",) if units_per_day else ()), "power", "finds"):
        table.add_column(heading, justify="right")
    for point in points:
        days = (f"{point.units / units_per_day:,.1f}",) if units_per_day else ()
        table.add_row(f"{point.units:,.0f}", *days, power_words(point), found_words(point, kind))
    return table


def power_words(point: Point) -> str:
    """`80.0%`, and a dash where it is not known."""
    return "-" if isinstance(point.power, NotEstimable) else f"{100 * point.power:.1f}%"


def found_words(point: Point, kind: MetricKind) -> str:
    """The effect that is found with the power asked for, and a dash where none is."""
    found = point.detectable
    return "-" if isinstance(found, NotEstimable) else effect_words(found, kind)


def curve_document(points: Sequence[Point], units_per_day: float | None) -> list[dict[str, Any]]:
    """The same as JSON; null where something is not known."""
    return [
        {
            "units": point.units,
            "days": point.units / units_per_day if units_per_day else None,
            **point_document(point),
        }
        for point in points
    ]


def point_document(point: Point) -> dict[str, Any]:
    """Power and effect; null where something is not known."""
    return {
        "power": None if isinstance(point.power, NotEstimable) else point.power,
        "detectable_effect": None if isinstance(point.detectable, NotEstimable) else point.detectable,
    }
