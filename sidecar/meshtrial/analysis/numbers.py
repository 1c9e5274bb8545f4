"""How a report shows numbers: in the metric's own unit; shares, chances and times."""

import math
from datetime import UTC, datetime

from meshtrial.plan.inference import MetricKind
from meshtrial.stats.estimate import Interval


def shown(value: float, kind: MetricKind) -> str:
    """A value: a proportion in percent, anything else as it is with four digits."""
    return f"{_percent(value)}%" if kind is MetricKind.PROPORTION else _digits(value)


def shown_effect(effect: float, kind: MetricKind) -> str:
    """A difference with its sign: of proportions in percentage points."""
    return f"{_percent(effect, '+')}pp" if kind is MetricKind.PROPORTION else _digits(effect, "+")


def shown_interval(interval: Interval, kind: MetricKind) -> str:
    """An interval of a difference."""
    return f"{shown_effect(interval.low, kind)} to {shown_effect(interval.high, kind)}"


def shown_p(value: float) -> str:
    """A p-value."""
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def shown_share(share: float) -> str:
    """A share with its sign, in percent with one decimal; what rounds to nothing has neither."""
    told = f"{share:+.1%}"
    return "0%" if told in {"+0.0%", "-0.0%"} else told


def shown_chance(chance: float) -> str:
    """A probability, in percent; never quite none, and never quite certain."""
    if chance > 0.999:
        return "> 99.9%"
    return "< 0.1%" if chance < 0.001 else f"{chance:.1%}"


def shown_margin(margin: float, kind: MetricKind) -> str:
    """A size of an effect, above 0: of proportions in percentage points."""
    return f"{100 * margin:.4g}pp" if kind is MetricKind.PROPORTION else _digits(margin)


def shown_duration(seconds: int) -> str:
    """As a plan writes it, in the longest unit that divides it: `14d`, `90s`."""
    units = {"d": 86_400, "h": 3600, "m": 60}
    unit = next((unit for unit, length in units.items() if seconds and seconds % length == 0), "s")
    return f"{seconds // units.get(unit, 1)}{unit}"


def rfc3339(nanoseconds: int) -> str:
    """A moment in nanoseconds since 1970, to the millisecond."""
    moment = datetime.fromtimestamp(nanoseconds / 1e9, UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")


def _percent(value: float, sign: str = "") -> str:
    """Two decimals, and four where they would hide all there is."""
    percent = 100 * value
    if abs(percent) < 0.00005:
        return f"{0.0:{sign}.2f}"
    return f"{percent:{sign}.4f}" if 0 < abs(percent) < 0.05 else f"{percent:{sign}.2f}"


def _digits(value: float, sign: str = "") -> str:
    """Four digits or more, without an exponent where that is short."""
    size = abs(value)
    if 1000 <= size < 1e9:
        return f"{value:{sign},.0f}"
    if 1e-9 < size < 1e-4:
        return f"{value:{sign}.{3 - math.floor(math.log10(size))}f}"
    return f"{value:{sign}.4g}"
