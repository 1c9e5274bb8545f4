"""What the analysis knows of one experiment, before it judges: frozen values between SQL and rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from meshtrial.plan.inference import Metric, Primary
from meshtrial.plan.model import Arm, Experiment
from meshtrial.stats.estimate import Comparison
from meshtrial.stats.moments import Moments
from meshtrial.stats.proportion import Proportion

Sample: TypeAlias = Proportion | Moments


def unsupported(experiment: Experiment) -> str | None:
    """Why this version has no verdict on an experiment's design; None where it has.

    What was randomised together differs together, so that an interval by unit is too short: with 20 units a
    group and a correlation of 0.1 within groups, 5% become 25% false alarms (Kish 1965, design effect).
    """
    if experiment.unit.group_kind is not None:
        randomised = "group"
    elif experiment.unit.switchback is not None:
        randomised = "key and window"
    else:
        return None
    return (
        f"randomised by {randomised}, which is not analysed by this version: an analysis by unit would "
        "understate the error"
    )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the trial is."""

    started: int | None
    """First exposure of the phase, nanoseconds since 1970; None before any."""
    exposed: Mapping[str, Mapping[str, int]]
    """Units by cohort and arm as the spans name them, of the present phase and before the cut; the cohort is
    `default` where the experiment has one split; of a switchback, a unit is a key in one window."""
    groups: Mapping[str, Mapping[str, int]]
    """The same of groups, where groups are randomised; else empty."""
    closed: int
    """Units whose windows have closed, of all arms and of the cohorts that get all arms."""
    other_phases: int
    """Units first exposed under another allocation, another kind of unit included: left out of every arm."""
    other_plans: int
    """Units exposed under another plan of the same allocation: metrics or the decision may have changed."""
    moved: int
    """Units that met another arm in another cohort later on; they stay where they met their first."""
    forced: int
    """Units that met another arm than their own by a tester's signed header; counted all the same."""
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
    samples: Mapping[str, Mapping[str, Sample]]
    """By cohort and arm id; an arm without units has an empty sample. Empty where nothing was measured."""
    stray: Stray | None
    """None where nothing was measured."""


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

    @property
    def several_cohorts(self) -> bool:
        """Whether the experiment has weights by cohort."""
        return len(self.experiment.splits) > 1
