"""Many simulated trials: scenarios, and how often each verdict is reached; pure but for generators."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from meshtrial.analysis.decision import Ruling
from meshtrial.analysis.needed import expected_effect
from meshtrial.analysis.simulated import Ran, Scenario, Simulated
from meshtrial.stats.estimate import Interval
from meshtrial.stats.proportion import wilson_of

NO_EFFECT: Final = "no effect"
MINIMUM_EFFECT: Final = "minimum effect"
GIVEN_EFFECT: Final = "given effect"
_Z95: Final = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something happened, in so many runs."""

    count: int
    runs: int

    @property
    def share(self) -> float:
        """0..1."""
        return self.count / self.runs

    @property
    def interval(self) -> Interval:
        """Wilson's, at 95%: what more runs would narrow."""
        found = wilson_of(self.share, self.runs, _Z95)
        # Where nothing or everything happened, its end is 0 or 1 but for rounding.
        return Interval(found.low if self.count else 0.0, found.high if self.count < self.runs else 1.0)


@dataclass(frozen=True, slots=True)
class Mean:
    """An average over runs."""

    value: float
    error: float
    """Its standard error over the runs; 0 of one run."""
    highest: float
    """That 95 of 100 runs do not exceed."""

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Mean":
        """Of one number or more."""
        values = np.asarray(numbers, float)
        error = float(values.std(ddof=1)) / math.sqrt(values.size) if values.size > 1 else 0.0
        return cls(float(values.mean()), error, float(np.quantile(values, 0.95, method="higher")))


@dataclass(frozen=True, slots=True)
class Tally:
    """All runs of one scenario."""

    scenario: Scenario
    decisions: Mapping[Ruling, Rate]
    """Of every ruling but `unhealthy`, which is not simulated."""
    shipped: Mapping[str, Rate]
    """By the arm that was shipped, every arm but control."""
    days: Mean
    """Until the verdict."""
    units: Mean
    """Of all arms, that the verdict stood on."""

    @classmethod
    def of(cls, scenario: Scenario, arms: Sequence[str], runs: Sequence[Ran]) -> "Tally":
        """Of one run or more.

        Args:
            scenario: What was true.
            arms: Ids of all arms but control.
            runs: How they ended.
        """
        decided = Counter(ran.decision for ran in runs)
        shipped = Counter(ran.arm for ran in runs if ran.decision is Ruling.SHIP)
        rulings = [ruling for ruling in Ruling if ruling is not Ruling.UNHEALTHY]
        return cls(
            scenario,
            {ruling: Rate(decided[ruling], len(runs)) for ruling in rulings},
            {arm: Rate(shipped[arm], len(runs)) for arm in arms},
            Mean.of([ran.days for ran in runs]),
            Mean.of([ran.units for ran in runs]),
        )


def scenarios_of(simulated: Simulated, given: Mapping[str, float]) -> tuple[Scenario, ...]:
    """No effect; the minimum effect of every primary in the first arm; and there the given effects, if any.

    Args:
        simulated: What every run has in common.
        given: By metric id, in the metric's unit.

    Raises:
        ValueError: A minimum effect is a share of a baseline of 0.
    """
    rule = simulated.experiment.decision
    arm = simulated.experiment.treatments()[0].id
    least = {e.metric.id: expected_effect(e, simulated.values[e.metric.id].supposed) for e in rule.primary}
    found = [Scenario(NO_EFFECT, arm, {}), Scenario(MINIMUM_EFFECT, arm, least)]
    return (*found, Scenario(GIVEN_EFFECT, arm, given)) if given else tuple(found)


def generator(seed: int, scenario: int, run: int) -> np.random.Generator:
    """Of one run: whichever process makes it, and in whatever order, it is the same."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(scenario, run)))
