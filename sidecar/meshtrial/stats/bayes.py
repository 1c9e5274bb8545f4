"""How likely the treatment is better, given a stated prior: for information, never for a decision."""

import math
from dataclasses import dataclass

from scipy.special import ndtr

from meshtrial.stats.contrast import Contrast
from meshtrial.stats.estimate import require_between


@dataclass(frozen=True, slots=True)
class Prior:
    """What is thought of the effect before the trial: normal.

    Raises:
        ValueError: `sd` is not above 0, or `mean` not finite.
    """

    sd: float
    """In the metric's unit; infinite for the flat prior."""
    mean: float = 0.0
    """In the metric's unit, treatment minus control."""

    def __post_init__(self) -> None:
        require_between("mean", self.mean, -math.inf, math.inf)
        if not self.sd > 0:
            raise ValueError(f"sd must be above 0, not {self.sd:g}")


@dataclass(frozen=True, slots=True)
class Posterior:
    """What is thought of the effect after the trial: normal. Looking early and often biases all of it."""

    mean: float
    """In the metric's unit."""
    sd: float
    """In the metric's unit, above 0."""
    chance_to_win: float
    """That the treatment is better, 0..1."""
    expected_loss: float
    """What choosing the treatment costs on average, in the metric's unit: its shortfall where it is worse, 0
    where it is better."""


def posterior(contrast: Contrast, prior: Prior, *, higher_is_better: bool) -> Posterior:
    """The estimate and the prior, each weighed by its information.

    The estimate is taken for normal with a known error.

    Source: Gelman et al. 2013, Bayesian Data Analysis, 3rd edition, section 2.5.
    """
    information = contrast.information + prior.sd**-2
    # The estimate is moved towards the prior, so that neither is rounded where the other has no weight.
    mean = contrast.effect + (prior.mean - contrast.effect) * (prior.sd**-2 / information)
    sd = 1 / math.sqrt(information)
    gain = mean if higher_is_better else -mean
    density = math.exp(-((gain / sd) ** 2) / 2) / math.sqrt(2 * math.pi)
    loss = sd * density - gain * float(ndtr(-gain / sd))
    return Posterior(mean, sd, float(ndtr(gain / sd)), max(0.0, loss))
