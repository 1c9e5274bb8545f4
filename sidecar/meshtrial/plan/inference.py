"""What a plan says of measuring units and judging arms by it.

Built by `meshtrial.plan.load` alone, as the rest of the Plan (`plan.model`).
"""

from dataclasses import dataclass
from enum import StrEnum


class MetricKind(StrEnum):
    """How a unit's events become what is compared."""

    PROPORTION = "proportion"
    """1 if the unit had an event within the window, else 0; the share of units."""
    MEAN = "mean"
    """The sum of a field over the unit's events, 0 where there is none; the mean over units."""
    COUNT = "count"
    """How many events the unit had; the mean over units."""
    RATIO = "ratio"
    """The sum of one thing over all units by the sum of another, such as clicks by impressions."""
    QUANTILE = "quantile"
    """A quantile of a field over all events; events of one unit go together."""


class RequestField(StrEnum):
    """What the proxy's access log tells of each request of a unit."""

    ERROR = "error"
    """1 where the answer was 5xx or none, else 0."""
    DURATION_MS = "duration_ms"
    """From the request's first byte to the response's last, in milliseconds."""
    GRPC_ERROR = "grpc_error"
    """1 where `grpc-status` was not 0, else 0."""


class Direction(StrEnum):
    """Which way a metric gets better."""

    UP = "up"
    DOWN = "down"


class Scale(StrEnum):
    """What an effect or a margin is measured in."""

    ABSOLUTE = "absolute"
    """The metric's own unit; for a proportion, a difference in 0..1."""
    RELATIVE = "relative"
    """A share of the control arm's value."""


@dataclass(frozen=True, slots=True)
class Events:
    """What is taken of a unit: its outcomes of one name, or its requests in the proxy's access log."""

    outcome: str | None
    """Name of the outcome; None for requests."""
    field: str | None
    """What is summed, or compared as a quantile; None where events are counted. Of requests a
    `RequestField`."""


REQUESTS = Events(None, None)
"""All requests of a unit, counted."""


@dataclass(frozen=True, slots=True)
class Window:
    """Seconds after a unit's first exposure between which its events count."""

    start: int
    """0 or more, inclusive."""
    end: int
    """Above `start`, exclusive; the unit's window closes there."""


@dataclass(frozen=True, slots=True)
class Cap:
    """What a unit's value is at most: far more than others' is cut down to it (winsorised)."""

    value: float
    """In the metric's unit, or a share of units in (0.5, 1): the quantile of the values of both arms together
    that is the cap."""
    is_share: bool


@dataclass(frozen=True, slots=True)
class Covariate:
    """What a unit did before its first exposure: no arm can have changed it."""

    events: Events
    before: int
    """Seconds before the first exposure from which events count."""


@dataclass(frozen=True, slots=True)
class Metric:
    """What is measured of each unit."""

    id: str
    kind: MetricKind
    events: Events
    """Of a ratio, the numerator."""
    window: Window
    denominator: Events | None = None
    """Of a ratio only."""
    q: float | None = None
    """Of a quantile only: in (0, 1)."""
    cap: Cap | None = None
    """Of a mean, a count."""
    covariates: tuple[Covariate, ...] = ()
    """Of a proportion, a mean, a count; of a ratio one, whose numerator and denominator are the metric's own
    before exposure (`events` is then the numerator). One of the metric's own events is CUPED; several are
    regression adjustment."""

    @property
    def is_failure_share(self) -> bool:
        """Whether it is a ratio of requests that failed by all."""
        failed = {RequestField.ERROR, RequestField.GRPC_ERROR}
        return self.kind is MetricKind.RATIO and self.events.outcome is None and self.events.field in failed

    @property
    def read_as(self) -> MetricKind:
        """The kind that people read its numbers as: a share of failed requests is a proportion to them."""
        return MetricKind.PROPORTION if self.is_failure_share else self.kind


@dataclass(frozen=True, slots=True)
class Margin:
    """An effect size of a plan: a minimum effect, or how much worse a guardrail may be."""

    value: float
    """Above 0, in the unit that `scale` says."""
    scale: Scale


@dataclass(frozen=True, slots=True)
class Primary:
    """A metric that the trial may be won on."""

    metric: Metric
    direction: Direction
    minimum_effect: Margin
    """The smallest effect worth finding: what the trial is sized for, and what the interval must reach."""
    require_above: Margin | None = None
    """What the interval must lie above, instead of 0."""


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A metric that an arm may be worse in by less than a margin only."""

    metric: Metric
    direction: Direction
    margin: Margin


@dataclass(frozen=True, slots=True)
class Secondary:
    """A metric that is looked at, and decides nothing."""

    metric: Metric
    direction: Direction | None
    """None where neither way is better."""


class Method(StrEnum):
    """When a trial may be looked at."""

    FIXED = "fixed"
    """Once, when planned size and minimum duration are both reached."""
    GROUP_SEQUENTIAL = "group_sequential"
    """At planned looks, with boundaries that share out alpha over them."""
    SEQUENTIAL = "sequential"
    """At any time: confidence sequences."""


class Shape(StrEnum):
    """How a group-sequential test shares out alpha (or beta, for futility) over its looks."""

    OBRIEN_FLEMING = "obrien_fleming"
    POCOCK = "pocock"
    WANG_TSIATIS = "wang_tsiatis"
    """With a parameter in 0..0.5: 0 is O'Brien-Fleming, 0.5 Pocock. A boundary only, no spending."""
    HWANG_SHIH_DECANI = "hwang_shih_decani"
    """With a parameter in -40..40: -4 is near O'Brien-Fleming, 1 near Pocock. Spending only."""


@dataclass(frozen=True, slots=True)
class Boundary:
    """A shape and how it is used."""

    shape: Shape
    parameter: float | None = None
    """Of `wang_tsiatis` and `hwang_shih_decani` only."""
    spending: bool = True
    """An error-spending function, good for uneven looks; else the exact boundary for the looks as planned."""


@dataclass(frozen=True, slots=True)
class Looks:
    """When a group-sequential trial is looked at: at shares of the planned size, or every so often.

    The last look is always where planned size and minimum duration are both reached.
    """

    shares: tuple[float, ...] = ()
    """Ascending, in (0, 1], the last one 1; empty where `every` is given."""
    every: int | None = None
    """Seconds from the first exposure on."""


@dataclass(frozen=True, slots=True)
class DecisionRule:
    """When and how the trial is judged."""

    method: Method
    alpha: float
    """Two-sided error rate over all primaries and arms, in (0, 0.5)."""
    power: float
    """In (0, 1): what the size was planned for."""
    planned_units: int
    """Units of all arms together whose windows must have closed; for `sequential` where the confidence
    sequence is narrowest beside the fixed interval."""
    minimum_duration: int
    """Seconds from the first exposure on in which all units count that come; then their windows close."""
    primary: tuple[Primary, ...]
    guardrails: tuple[Guardrail, ...] = ()
    secondary: tuple[Secondary, ...] = ()
    lateness: int = 3600
    """Seconds after the end of a unit's window in which its outcomes may still be received; an exposure, that
    long and a window after it was made. What comes later is counted and left out."""
    gatekeeping: bool = False
    """Primaries are tested in order, each at the whole alpha, until one fails; else alpha is divided."""
    looks: Looks | None = None
    """Of `group_sequential` only."""
    boundary: Boundary | None = None
    """Of `group_sequential` only."""
    futility: Boundary | None = None
    """Of `group_sequential` only: beta spent on stopping early for want of an effect; not binding."""

    def metrics(self) -> tuple[Metric, ...]:
        """Every metric that the rule names, once: primaries, guardrails, secondaries."""
        named: list[Primary | Guardrail | Secondary] = [*self.primary, *self.guardrails, *self.secondary]
        return tuple({entry.metric.id: entry.metric for entry in named}.values())

    def closing(self) -> int:
        """Seconds after its first exposure at which a unit is final: the longest window, and the lateness."""
        return max(metric.window.end for metric in self.metrics()) + self.lateness
