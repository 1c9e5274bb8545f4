"""How a report shows numbers: in the metric's own unit; and times."""

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


def rfc3339(nanoseconds: int) -> str:
    """A moment in nanoseconds since 1970, to the millisecond."""
    moment = datetime.fromtimestamp(nanoseconds / 1e9, UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")


def _percent(value: float, sign: str = "") -> str:
    """Two decimals, and four where they would hide all there is."""
    percent = 100 * value
    return f"{percent:{sign}.4f}" if 0 < abs(percent) < 0.05 else f"{percent:{sign}.2f}"


def _digits(value: float, sign: str = "") -> str:
    return f"{value:{sign},.0f}" if 1000 <= abs(value) < 1e9 else f"{value:{sign}.4g}"
