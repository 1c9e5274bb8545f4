"""The document that programs read: what a report is made of.

`docs/report.schema.json` is its JSON schema, made from these classes. Later versions add names and decisions;
a reader must accept what it does not know.
"""

import msgspec

from meshtrial.analysis.report_beside_parts import (
    CarryoverPart,
    CohortsPart,
    HoldoutPart,
    InterferencePart,
    OverTimePart,
)

SCHEMA_VERSION = "meshtrial.report/v1"


class VerdictPart(msgspec.Struct, frozen=True, kw_only=True):
    """What to do, and why."""

    decision: str
    """unhealthy, wait, ship, keep_control, roll_back or review."""
    arm: str | None
    """The arm to ship, to roll back or to review; null otherwise."""
    reasons: tuple[str, ...]
    rule: str
    """Name of the rule that spoke (docs/report.md)."""


class HealthPart(msgspec.Struct, frozen=True, kw_only=True):
    """One health check."""

    check: str
    passed: bool | None
    """null where there is nothing to pass or fail: the detail is a note."""
    p_value: float | None
    detail: str


class CohortPart(msgspec.Struct, frozen=True, kw_only=True):
    """One arm in one cohort."""

    cohort: str
    """`default` for whoever is in no cohort that has weights of its own."""
    share: float
    """Share of the cohort's units that the plan gives to the arm at present, 0..1."""
    units: int
    """As the arm's, in this cohort."""


class ArmPart(msgspec.Struct, frozen=True, kw_only=True):
    """One arm of the split."""

    arm: str
    control: bool
    share: float
    """Share of units that the plan gives it at present, ramp included, 0..1; where cohorts have weights of
    their own, of as many units in each cohort as there are."""
    units: int
    """Units first exposed to it under an allocation that is compared, windows closed or not; of a
    switchback, keys counted once a window."""
    analysed: int
    """Of these, the units whose arm stayed theirs until their windows closed."""
    cohorts: tuple[CohortPart, ...]
    """Its part in each cohort, where cohorts have weights of their own; else empty."""


class ArmValue(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one arm."""

    arm: str
    units: int
    """Units that the value is of: first exposed before the look's cut, and compared."""
    value: float | None
    """null while withheld, or where there is none; over days and cohorts, weighed as the effect is."""


class EstimatePart(msgspec.Struct, frozen=True, kw_only=True):
    """An effect with its interval."""

    effect: float
    standard_error: float
    interval: tuple[float, float]


class AdjustedPart(msgspec.Struct, frozen=True, kw_only=True):
    """Of a group-sequential trial that stopped: corrected for when it stopped, by the stage-wise order."""

    estimate: float
    """Median-unbiased."""
    interval: tuple[float, float]
    p_value: float


class BayesPart(msgspec.Struct, frozen=True, kw_only=True):
    """For information, never for the decision."""

    prior_sd: float
    """Standard deviation of the normal prior of the effect, whose mean is 0."""
    chance_to_beat_control: float
    expected_loss: float
    """In the metric's unit, of choosing the arm."""


class ComparisonPart(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one arm against control."""

    arm: str
    method: str | None
    alpha: float
    """Two-sided error rate of the interval."""
    effect: float | None
    """The arm's value minus control's."""
    standard_error: float | None
    interval: tuple[float, float] | None
    p_value: float | None
    """Of no effect, by the plan's method: always valid where that is sequential. A proportion that is too
    early for an interval of a sequential trial has one by itself, of safe e-values."""
    adjusted_p_value: float | None
    """Holm's over primaries and arms, with gatekeeping the largest of the primaries so far times the arms;
    Benjamini and Hochberg's over secondaries; null of guardrails."""
    relative: float | None
    """The effect as a share of control's value, with its sign: of a negative control, up is negative."""
    relative_interval: tuple[float, float] | None
    """Fieller's; null where it has no bounds."""
    effect_size: float | None
    """Cohen's h of a proportion, else d: the effect in standard deviations between units."""
    standing: str | None
    """Of a primary, the interval against the minimum effect and its mirror: practically_better,
    better_maybe_small, equivalent, inconclusive or worse."""
    margin: float | None
    """Of a guardrail: how much worse the arm may be, in the metric's unit, above 0."""
    relative_margin: float | None
    """Of a guardrail whose margin the plan gives as a share of control's value: that share."""
    within_margin: bool | None
    """Of a guardrail: whether the arm is shown to be worse by less than the margin."""
    unadjusted: EstimatePart | None
    """Without covariates, where the metric has some; by the same method."""
    variance_removed: float | None
    """By the covariates, as a share."""
    not_adjusted: str | None
    """Why covariates were not used, where the metric has some."""
    stopped: AdjustedPart | None
    """Of a primary of a group-sequential trial that stopped; null where it had crossed its bound before."""
    conditional_power: float | None
    """Of a primary of a group-sequential trial that goes on: the chance that a later look finds the minimum
    effect, were it true, in view of the looks so far."""
    bayes: BayesPart | None
    withheld: str | None
    """Why there is no look, or none yet; with numbers beside it, they are a peek and decide nothing."""
    not_estimable: str | None


class MetricPart(msgspec.Struct, frozen=True, kw_only=True):
    """One metric."""

    metric: str
    role: str
    """primary, guardrail or secondary."""
    kind: str
    in_percent: bool
    """Whether people read its values in percent and its effects in percentage points: those of a proportion,
    and of a ratio of requests that failed by all."""
    direction: str | None
    """up or down: which way is better; null of a secondary where neither is."""
    cap: float | None
    """What a unit's value counted as at most, in the metric's unit."""
    arms: tuple[ArmValue, ...]
    comparisons: tuple[ComparisonPart, ...]


class LookPart(msgspec.Struct, frozen=True, kw_only=True):
    """One look that was taken."""

    cut: str
    """Units first exposed before are in it, RFC 3339."""
    taken: str
    """When all of them were final, RFC 3339."""
    share: float
    """Of the planned units, 0..1."""


class ProgressPart(msgspec.Struct, frozen=True, kw_only=True):
    """How far the trial is."""

    started: str | None
    """First exposure, RFC 3339."""
    closed_units: int
    """Units whose windows have closed, in phases and cohorts that have arms to compare."""
    planned_units: int
    decided_at: str | None
    """When the look that ended the trial was taken, RFC 3339: it decided, or was the last one."""
    looks: tuple[LookPart, ...]


class AmendmentPart(msgspec.Struct, frozen=True, kw_only=True):
    """A change of what is measured or how it is judged, made after the first exposure."""

    at: str
    """RFC 3339."""
    plan: str
    """Digest of the plan that brought it."""
    changed: tuple[str, ...]
    """What: `decision.alpha`, `metrics.conversion.window`, ..."""


class MethodPart(msgspec.Struct, frozen=True, kw_only=True):
    """How everything was judged."""

    method: str
    """fixed, group_sequential or sequential."""
    alpha: float
    """Two-sided error rate over all primaries and arms."""
    power: float
    unit: str
    """Kind of the unit that is counted."""
    randomised: str
    """unit, group or switchback."""
    lateness_seconds: int
    gatekeeping: bool
    """Whether primaries are tested in order, each at the alpha of all."""
    boundary: str | None
    """How a group-sequential trial shares out alpha over its looks."""
    version: str
    """Of meshtrial."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one experiment at one moment."""

    schema: str
    experiment: str
    plan: str
    """Digest of the plan that it was judged by."""
    as_of: str
    """When it was made, RFC 3339."""
    verdict: VerdictPart
    progress: ProgressPart
    method: MethodPart
    health: tuple[HealthPart, ...]
    amendments: tuple[AmendmentPart, ...]
    arms: tuple[ArmPart, ...]
    metrics: tuple[MetricPart, ...]
    over_time: OverTimePart | None = None
    """Effects as they came about."""
    cohorts: CohortsPart | None = None
    """Effects by strata and cohorts; null where the plan has none."""
    carryover: CarryoverPart | None = None
    """Of an experiment in a layer with others."""
    holdout: HoldoutPart | None = None
    """Of an experiment in a layer with a holdout."""
    interference: InterferencePart | None = None
    """Of groups whose neighbours the plan names."""


def report_schema() -> dict[str, object]:
    """The JSON schema (2020-12) of `Report`; names that a reader does not know are allowed."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(Report)}
