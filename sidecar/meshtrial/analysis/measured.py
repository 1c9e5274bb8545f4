"""What was measured at each look: frozen values between the tables and the judgement; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from meshtrial.analysis.timeline import Look
from meshtrial.stats.contrast import Contrasted
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.stratified import Stratum


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric of one arm beside control, at one look."""

    contrast: Contrasted
    """With the plan's covariates, if it has any. Every value is weighed over strata as the effect is."""
    control_units: int
    treatment_units: int
    time: float
    """How far the trial is for a sequential method: the sum over strata of n1 n0 / (n1 + n0)."""
    unadjusted: Contrasted | None = None
    """Without covariates; None where the plan has none."""
    removed: float | NotEstimable | None = None
    """Share of the variance that the covariates removed, at most 1; None where the plan has none."""
    strata: tuple[Stratum, ...] = ()
    """Of a proportion without covariates: what a fixed look's interval is made of."""
    alike: tuple[float, float] | None = None
    """Of shares, which are proportions and ratios of failed requests: units of control and treatment, were
    every stratum and unit like the others. What `stats.proportion.share_interval` takes."""
    rare: tuple[Stratum, ...] = ()
    """What bounds a guardrail where the outcome is too rare for a contrast. Of a proportion units with the
    outcome, whatever the covariates, and none where nobody ever reported it; of a ratio of requests of which
    none failed, as many effective units."""
    too_early: NotEstimable | None = None
    """Why no sequential method may look yet."""
    early_p: float | None = None
    """Of a proportion that is too early for one: an always-valid p-value of no effect, by safe e-values."""
    values: tuple[float, float] | None = None
    """Of control and treatment, also where nothing varies, so that there is no contrast; None of a ratio, a
    quantile, groups and switchbacks."""
    p_value: float | None = None
    """Two-sided, where the design has a test of its own: a switchback's re-randomisation."""
    left_out: tuple[tuple[str, str], ...] = ()
    """Of a quantile: phases and cohorts with too few events in an arm."""


Key: TypeAlias = tuple[str, str]
"""Ids of metric and arm."""


@dataclass(frozen=True, slots=True)
class LookedAt:
    """One look with all that was measured."""

    look: Look
    measured: Mapping[Key, Measured]
    left_out: tuple[tuple[str, str], ...] = field(default=())
    """Phases and cohorts with too few units in some arm."""
