"""How a report shows numbers: in the metric's own unit."""

from meshtrial.plan.inference import MetricKind
from meshtrial.stats.estimate import Interval


def shown(value: float, kind: MetricKind) -> str:
    """A value: a proportion in percent, a mean as it is."""
    return f"{value:.2%}" if kind is MetricKind.PROPORTION else f"{value:.4g}"


def shown_effect(effect: float, kind: MetricKind) -> str:
    """A difference with its sign: of proportions in percentage points."""
    return f"{effect * 100:+.2f}pp" if kind is MetricKind.PROPORTION else f"{effect:+.4g}"


def shown_interval(interval: Interval, kind: MetricKind) -> str:
    """An interval of a difference."""
    return f"{shown_effect(interval.low, kind)} to {shown_effect(interval.high, kind)}"
