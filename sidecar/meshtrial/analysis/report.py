"""Evidence and Verdict -> Report: the document that programs read.

`docs/report.schema.json` is its JSON schema, made from these classes. Later versions add names and
decisions; a reader must accept what it does not know.
"""

from datetime import UTC, datetime

import duckdb
import msgspec

from meshtrial.analysis.aggregate import gather
from meshtrial.analysis.compare import units_of, value_of
from meshtrial.analysis.decision import decide_trial, withheld
from meshtrial.analysis.evidence import Compared, Evidence, Measured, unsupported
from meshtrial.analysis.health import check_health
from meshtrial.plan.model import Arm, Experiment, Plan
from meshtrial.stats.estimate import NotEstimable

SCHEMA_VERSION = "meshtrial.report/v1"


class VerdictPart(msgspec.Struct, frozen=True, kw_only=True):
    """What to do, and why."""

    decision: str
    """unhealthy, wait, ship or keep_control."""
    arm: str | None
    """The arm to ship, null otherwise."""
    reasons: tuple[str, ...]


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
    """Units first exposed to it under the present allocation and before the cut, windows closed or not; of a
    switchback, keys counted once a window."""
    cohorts: tuple[CohortPart, ...]
    """Its part in each cohort, where cohorts have weights of their own; else empty."""


class ArmValue(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one arm."""

    arm: str
    units: int
    """Units that the value is of: windows closed, before the cut, in a cohort that is compared."""
    value: float | None
    """null while withheld, or where there are no units; over cohorts, weighed as the effect is."""


class ComparisonPart(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one arm against control."""

    arm: str
    method: str | None
    alpha: float
    """Two-sided error rate of the interval: the plan's over arms times primaries."""
    effect: float | None
    """The arm's value minus control's."""
    interval: tuple[float, float] | None
    p_value: float | None
    relative: float | None
    """The effect as a share of control's value, with its sign: of a negative control, up is negative."""
    relative_interval: tuple[float, float] | None
    withheld: str | None
    """Why there is no look, or none yet; with numbers beside it, they are a peek and decide nothing."""
    not_estimable: str | None


class MetricPart(msgspec.Struct, frozen=True, kw_only=True):
    """One metric."""

    metric: str
    role: str
    kind: str
    arms: tuple[ArmValue, ...]
    comparisons: tuple[ComparisonPart, ...]


class ProgressPart(msgspec.Struct, frozen=True, kw_only=True):
    """How far the trial is."""

    started: str | None
    """First exposure, RFC 3339."""
    closed_units: int
    """Units whose windows have closed."""
    planned_units: int
    decided_at: str | None
    """Where the data are cut: planned size and minimum duration were first both met, RFC 3339."""


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
    health: tuple[HealthPart, ...]
    arms: tuple[ArmPart, ...]
    metrics: tuple[MetricPart, ...]


def make_report(
    connection: duckdb.DuckDBPyConnection, plan: Plan, experiment: Experiment, now: int, *, peek: bool = False
) -> Report:
    """Judge one experiment from a store.

    Args:
        connection: Has the view `otel_traces`.
        plan: The plan in force.
        experiment: One of its experiments.
        now: Nanoseconds since 1970.
        peek: Show estimates that the method withholds; the verdict does not change. What this version cannot
            estimate stays withheld.
    """
    evidence = gather(connection, plan, experiment, now)
    health = check_health(evidence)
    verdict = decide_trial(evidence, health)
    return Report(
        schema=SCHEMA_VERSION,
        experiment=experiment.id,
        plan=plan.digest,
        as_of=_rfc3339(now),
        verdict=VerdictPart(decision=verdict.decision.value, arm=verdict.arm, reasons=verdict.reasons),
        progress=_progress(evidence),
        health=tuple(
            HealthPart(check=c.check, passed=c.passed, p_value=c.p_value, detail=c.detail) for c in health
        ),
        arms=tuple(_arm(arm, evidence) for arm in experiment.arms),
        metrics=tuple(_metric(evidence, measured, peek=peek) for measured in evidence.measured),
    )


def _progress(evidence: Evidence) -> ProgressPart:
    progress = evidence.progress
    return ProgressPart(
        started=None if progress.started is None else _rfc3339(progress.started),
        closed_units=progress.closed,
        planned_units=evidence.experiment.decision.planned_units,
        decided_at=None if progress.decided_at is None else _rfc3339(progress.decided_at),
    )


def _arm(arm: Arm, evidence: Evidence) -> ArmPart:
    experiment, exposed = evidence.experiment, evidence.progress.exposed
    parts: list[CohortPart] = []
    expected, whole = 0.0, 0
    for split in experiment.splits:
        units = exposed.get(split.id, {})
        share, size = float(experiment.share(arm, split.id)), sum(units.values())
        parts.append(CohortPart(cohort=split.id, share=share, units=units.get(arm.id, 0)))
        expected, whole = expected + share * size, whole + size
    return ArmPart(
        arm=arm.id,
        control=arm is experiment.control,
        share=expected / whole if len(parts) > 1 and whole else parts[0].share,
        units=sum(arms.get(arm.id, 0) for arms in exposed.values()),
        cohorts=tuple(parts) if len(parts) > 1 else (),
    )


def _metric(evidence: Evidence, measured: Measured, *, peek: bool) -> MetricPart:
    why = withheld(evidence)
    shown = why is None or (peek and unsupported(evidence.experiment) is None)
    return MetricPart(
        metric=measured.metric.id,
        role="primary",
        kind=measured.metric.kind.value,
        arms=tuple(
            ArmValue(
                arm=arm.id,
                units=units_of(measured, arm.id),
                value=_value(measured, arm.id) if shown else None,
            )
            for arm in evidence.experiment.arms
        ),
        comparisons=tuple(
            _comparison(compared, evidence.alpha, why, shown=shown)
            for compared in evidence.compared
            if compared.primary.metric is measured.metric
        ),
    )


def _value(measured: Measured, arm_id: str) -> float | None:
    value = value_of(measured, arm_id)
    return None if isinstance(value, NotEstimable) else value


def _comparison(compared: Compared, alpha: float, why: str | None, *, shown: bool) -> ComparisonPart:
    said = compared.comparison
    estimate = None if isinstance(said, NotEstimable) or not shown else said
    relative = None if estimate is None or isinstance(estimate.relative, NotEstimable) else estimate.relative
    if why and shown:
        why = f"a peek, not valid for a decision: {why}"
    return ComparisonPart(
        arm=compared.arm.id,
        method=None if isinstance(said, NotEstimable) else said.method,
        alpha=alpha,
        effect=None if estimate is None else estimate.effect,
        interval=None if estimate is None else (estimate.interval.low, estimate.interval.high),
        p_value=None if estimate is None else estimate.p_value,
        relative=relative,
        relative_interval=None,
        withheld=why,
        not_estimable=said.reason if isinstance(said, NotEstimable) and shown else None,
    )


def _rfc3339(nanoseconds: int) -> str:
    return (
        datetime.fromtimestamp(nanoseconds / 1e9, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def report_schema() -> dict[str, object]:
    """The JSON schema (2020-12) of `Report`; names that a reader does not know are allowed."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(Report)}
