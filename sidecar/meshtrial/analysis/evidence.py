"""What the analysis knows of one experiment, before it judges: frozen values between SQL and rules."""

from collections.abc import Mapping
from dataclasses import dataclass

from meshtrial.plan.model import Arm, Experiment, Metric, Primary
from meshtrial.stats.estimate import Comparison
from meshtrial.stats.moments import Moments
from meshtrial.stats.proportion import Proportion


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the trial is."""

    started: int | None
    """First exposure of the phase, nanoseconds since 1970; None before any."""
    exposed: Mapping[str, int]
    """Units by arm as the spans name it, of the present phase and before the cut."""
    closed: int
    """Units whose windows have closed, of all arms."""
    other_phases: int
    """Units first exposed under another allocation, another kind of unit included: left out of every arm."""
    other_plans: int
    """Units exposed under another plan of the same allocation: metrics or the decision may have changed."""
    keys: tuple[str, ...]
    """Ids of the pseudonym keys of the store's exposures and outcomes."""
    stored: tuple[str, ...]
    """Experiments that the store has exposures of, 20 at most."""
    decided_at: int | None
    """When planned size and minimum duration were first both met; None before that."""


@dataclass(frozen=True, slots=True)
class Stray:
    """Outcomes of one metric that no unit's value holds."""

    names: tuple[str, ...]
    """Names of outcomes that the store has, 20 at most."""
    never_exposed: int
    before_exposure: int
    after_window: int
    lacking_value: int


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric of all arms."""

    metric: Metric
    samples: Mapping[str, Proportion | Moments]
    """By arm id; an arm without units has an empty sample."""
    stray: Stray


@dataclass(frozen=True, slots=True)
class Compared:
    """One primary metric of one arm against control."""

    primary: Primary
    arm: Arm
    control_value: float | None
    comparison: Comparison
    """Its interval is at the level that all arms and primaries share (`alpha`)."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that a verdict may stand on."""

    experiment: Experiment
    progress: Progress
    measured: tuple[Measured, ...]
    """One for each primary metric, in the plan's order."""
    alpha: float
    """Error rate of each interval: the plan's, divided by arms times primaries (Bonferroni)."""
    compared: tuple[Compared, ...]
