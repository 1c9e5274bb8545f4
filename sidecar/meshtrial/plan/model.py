"""The plan as one frozen value: what every other part reads.

Built by `meshtrial.plan.load`; nothing else makes one, so a Plan that exists is valid.
"""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction


class MetricKind(StrEnum):
    """How a unit's outcomes become one number."""

    PROPORTION = "proportion"
    """1 if the unit had the outcome within the window, else 0."""
    MEAN = "mean"
    """The sum of the outcome's value within the window, 0 where there is none."""


class Direction(StrEnum):
    """Which way a metric gets better."""

    UP = "up"
    DOWN = "down"


class Scale(StrEnum):
    """What a minimum effect is measured in."""

    ABSOLUTE = "absolute"
    """The metric's own unit; for a proportion, a difference in 0..1."""
    RELATIVE = "relative"
    """A share of the control arm's value."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One number a unit, from its outcomes."""

    id: str
    kind: MetricKind
    outcome: str
    """Name of the outcome that is counted or summed."""
    value: str | None
    """Field of the outcome that is summed; None for a proportion."""
    window: int
    """Seconds after a unit's first exposure in which its outcomes count."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What is randomised."""

    kind: str
    """`header:<name>` or `request`; part of the pseudonym."""
    header: str
    """Lower-case name of the request header that carries it."""


@dataclass(frozen=True, slots=True)
class Match:
    """Which requests take part; both None is every request."""

    route: str | None
    """Envoy's route name, exactly."""
    path_prefix: str | None
    """What the path (without the query) begins with, as Envoy's `prefix`."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One variant."""

    id: str
    cluster: str
    """Envoy cluster that serves it."""
    headers: tuple[tuple[str, str], ...]
    """Set on the request, lower-case names, sorted by name."""
    width: int
    """Buckets it owns, 0..buckets."""


@dataclass(frozen=True, slots=True)
class MinimumEffect:
    """The smallest effect worth finding: what the trial is sized for."""

    value: float
    """Above 0, in the unit that `scale` says."""
    scale: Scale


@dataclass(frozen=True, slots=True)
class Primary:
    """A metric that the trial may be won on."""

    metric: Metric
    direction: Direction
    minimum_effect: MinimumEffect


@dataclass(frozen=True, slots=True)
class DecisionRule:
    """When and how the trial is judged; method `fixed`: once, at a size set beforehand."""

    alpha: float
    """Two-sided error rate over all primaries and arms, in (0, 0.5)."""
    power: float
    """In (0, 1): what the size was planned for."""
    planned_units: int
    """Units of all arms together whose windows must have closed."""
    minimum_duration: int
    """Seconds from the first exposure on."""
    primary: tuple[Primary, ...]


@dataclass(frozen=True, slots=True)
class Experiment:
    """One split of one stream of requests."""

    id: str
    match: Match
    unit: Unit
    buckets: int
    """Number of buckets a unit is hashed to."""
    salt: str
    """Hashed before the unit; "" hashes the bare unit."""
    arms: tuple[Arm, ...]
    """In document order."""
    control: Arm
    decision: DecisionRule
    phase: str
    """Digest of the allocation (unit, buckets, salt, arms' weights), 16 hex digits."""

    def treatments(self) -> tuple[Arm, ...]:
        """The arms other than control, in document order."""
        return tuple(arm for arm in self.arms if arm is not self.control)

    def arm(self, arm_id: str) -> Arm | None:
        """The arm of this id, None where there is none."""
        return next((arm for arm in self.arms if arm.id == arm_id), None)

    def share(self, arm: Arm) -> Fraction:
        """Share of units that the arm is to get, 0..1, exact."""
        return Fraction(arm.width, self.buckets)


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole valid plan document."""

    metrics: tuple[Metric, ...]
    """In order of their ids."""
    experiments: tuple[Experiment, ...]
    """In order of their ids."""
    canonical: str
    """The canonical document (JSON, so a plan itself): equal for plans that mean the same."""
    digest: str
    """SHA-256 of `canonical`, 64 hex digits."""

    def experiment(self, experiment_id: str) -> Experiment | None:
        """The experiment of this id, None where there is none."""
        return next((e for e in self.experiments if e.id == experiment_id), None)

    def owned_headers(self) -> tuple[str, ...]:
        """Every header that some arm sets, sorted: a client's own copies are dropped."""
        return tuple(sorted({name for e in self.experiments for arm in e.arms for name, _ in arm.headers}))
