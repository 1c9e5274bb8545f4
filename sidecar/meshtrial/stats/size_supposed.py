"""What is supposed of a metric before there are data: its value in control, and how units vary.

Stage: **supposed** -> sought -> size. Every kind of metric comes down to a variance of one unit's value: of
what is averaged, of a ratio's or a quantile's linear form. So any kind goes with any design and method.
"""

import math
from dataclasses import dataclass

from scipy.special import ndtri

from meshtrial.plan.inference import MetricKind
from meshtrial.stats.estimate import require_between


@dataclass(frozen=True, slots=True)
class Supposed:
    """A metric of one unit.

    Raises:
        ValueError: A parameter is out of range, or nothing tells how units vary.
    """

    kind: MetricKind
    baseline: float = 0.0
    """Control's value, in the metric's unit; of a mean it matters only where something is a share of it."""
    sd: float | None = None
    """Standard deviation between units, in the metric's unit, above 0: of a mean the units' values, of a
    ratio (numerator - ratio * denominator) / mean denominator, of a quantile `quantile_sd`. None of a
    proportion, whose value tells, and of a count whose `dispersion` tells."""
    dispersion: float = 1.0
    """Of a count: variance by mean, above 0; 1 is Poisson's."""
    removed: float = 0.0
    """Share of the variance that covariates remove, r squared, in [0, 1): CUPED, regression adjustment."""

    def __post_init__(self) -> None:
        if not math.isfinite(self.baseline):
            raise ValueError(f"baseline must be finite, not {self.baseline}")
        if self.sd is not None:
            require_between("sd", self.sd, 0, math.inf)
        require_between("dispersion", self.dispersion, 0, math.inf)
        if not 0 <= self.removed < 1:
            raise ValueError(f"the share removed must be 0 or more and below 1, not {self.removed:g}")
        if self.kind is MetricKind.PROPORTION:
            require_between("baseline", self.baseline, 0, 1)
        elif self.kind is MetricKind.COUNT and self.sd is None:
            require_between("baseline", self.baseline, 0, math.inf)
        elif self.sd is None:
            raise ValueError(f"a {self.kind} needs a standard deviation between units")

    def variance(self, value: float) -> float:
        """Of one unit in an arm with this value, before covariates, in the metric's unit squared.

        Raises:
            ValueError: The metric cannot have the value.
        """
        if self.kind is MetricKind.PROPORTION:
            require_between("baseline plus effect", value, 0, 1)
            return value * (1 - value)
        if self.sd is not None:
            return self.sd * self.sd
        require_between("baseline plus effect", value, 0, math.inf)
        return self.dispersion * value


def quantile_sd(q: float, density: float, events: float = 1.0, alike: float = 0.0) -> float:
    """How far one unit moves a quantile of events, as a standard deviation: its error times sqrt(units).

    Args:
        q: The quantile, in (0, 1).
        density: Of the events at the quantile, above 0, in 1 / the metric's unit; see `lognormal_density`.
        events: A unit's events on average, 1 or more.
        alike: Intraclass correlation of being at or below the quantile, of events of one unit, in [0, 1].

    Raises:
        ValueError: A parameter is out of range.

    Source: Deng, Knoblich & Lu 2018, KDD (arXiv 1803.06336), section 4; Kish 1965, Survey Sampling (the
    factor 1 + (events - 1) alike, for units of about as many events).
    """
    require_between("q", q, 0, 1)
    require_between("density", density, 0, math.inf)
    if not 1 <= events < math.inf:
        raise ValueError(f"events must be 1 or more and finite, not {events:g}")
    if not 0 <= alike <= 1:
        raise ValueError(f"the events' correlation must be from 0 to 1, not {alike:g}")
    return math.sqrt(q * (1 - q) * (1 + (events - 1) * alike) / events) / density


def lognormal_density(q: float, value: float, median: float) -> float:
    """Density at a quantile of the lognormal distribution that has it and this median.

    Latencies are about lognormal in their middle; tails are often longer, and then the density is less.

    Args:
        q: The quantile, in (0, 1), not 0.5.
        value: Of the quantile, above 0 and on its side of the median.
        median: Above 0.

    Raises:
        ValueError: A parameter is out of range.
    """
    require_between("q", q, 0, 1)
    require_between("median", median, 0, math.inf)
    require_between("baseline", value, 0, math.inf)
    z = float(ndtri(q))
    spread = math.log(value / median) / z if z else 0.0
    if not spread > 0:
        raise ValueError(f"no lognormal distribution has the median {median:g} and {value:g} at {q:g}")
    return math.exp(-z * z / 2) / (math.sqrt(2 * math.pi) * spread * value)
