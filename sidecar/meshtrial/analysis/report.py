"""Analysis -> Report: what was found, in the words of the document (`analysis.report_parts`)."""

from datetime import UTC, datetime
from importlib.metadata import version

import duckdb

from meshtrial.analysis.cells import Key
from meshtrial.analysis.compared import comparison_part
from meshtrial.analysis.findings import Entry, Finding
from meshtrial.analysis.judged import Judged
from meshtrial.analysis.report_parts import (
    SCHEMA_VERSION,
    ArmPart,
    ArmValue,
    CohortPart,
    HealthPart,
    LookPart,
    MethodPart,
    MetricPart,
    ProgressPart,
    Report,
    VerdictPart,
)
from meshtrial.analysis.trial import Analysis, analyse
from meshtrial.plan.model import Arm, Experiment, Plan
from meshtrial.stats.contrast import Contrast
from meshtrial.store.engine import DuckDB


def make_report(
    connection: duckdb.DuckDBPyConnection, plan: Plan, experiment: Experiment, now: int, *, peek: bool = False
) -> Report:
    """Judge one experiment from a store.

    Args:
        connection: Has the view `otel_traces`.
        plan: The plan in force.
        experiment: One of its experiments.
        now: Nanoseconds since 1970.
        peek: Show estimates that the method withholds; the verdict does not change.
    """
    return report_of(analyse(DuckDB(connection), plan, experiment, now, peek=peek), now)


def report_of(analysis: Analysis, now: int) -> Report:
    """The document of an analysis made at `now`, nanoseconds since 1970."""
    verdict = analysis.judged.verdict
    return Report(
        schema=SCHEMA_VERSION,
        experiment=analysis.experiment.id,
        plan=analysis.plan.digest,
        as_of=_rfc3339(now),
        verdict=VerdictPart(
            decision=verdict.decision.value, arm=verdict.arm, reasons=verdict.reasons, rule=verdict.rule
        ),
        progress=_progress(analysis),
        method=_method(analysis.experiment),
        health=tuple(
            HealthPart(check=c.check, passed=c.passed, p_value=c.p_value, detail=c.detail)
            for c in analysis.health
        ),
        amendments=(),
        arms=tuple(_arm(arm, analysis) for arm in analysis.experiment.arms),
        metrics=_metrics(analysis),
    )


def _progress(analysis: Analysis) -> ProgressPart:
    timeline, judged = analysis.timeline, analysis.judged
    closed = (n for key, n in analysis.gathered.analysed.items() if key.period < timeline.closed)
    decided = judged.look if judged.look is not None and judged.verdict.decision != "wait" else None
    return ProgressPart(
        started=None if timeline.started is None else _rfc3339(timeline.started),
        closed_units=sum(closed),
        planned_units=analysis.experiment.decision.planned_units,
        decided_at=None if decided is None else _rfc3339(decided.look.taken),
        looks=tuple(
            LookPart(
                cut=_rfc3339(looked.look.cut), taken=_rfc3339(looked.look.taken), share=looked.look.share
            )
            for looked in judged.looks
        ),
    )


def _method(experiment: Experiment) -> MethodPart:
    rule, unit = experiment.decision, experiment.unit
    randomised = "switchback" if unit.switchback else "group" if unit.group_kind else "unit"
    return MethodPart(
        method=rule.method.value,
        alpha=rule.alpha,
        power=rule.power,
        unit=unit.kind,
        randomised=randomised,
        lateness_seconds=rule.lateness,
        version=version("meshtrial"),
    )


def _arm(arm: Arm, analysis: Analysis) -> ArmPart:
    experiment = analysis.experiment
    judged = analysis.judged
    cut = judged.look.look.cut if judged.look is not None and judged.look.look.last else None

    def units(counts: dict[Key, int], cohort: str | None = None) -> dict[str, int]:
        found: dict[str, int] = {}
        for key, number in counts.items():
            if (cohort is None or key.cohort == cohort) and (cut is None or key.period < cut):
                found[key.arm] = found.get(key.arm, 0) + number
        return found

    exposed = {key: n for key, n in analysis.gathered.exposed.items() if key.phase in analysis.phases}
    parts: list[CohortPart] = []
    expected, whole = 0.0, 0
    for split in experiment.splits:
        of_cohort = units(exposed, split.id)
        share, size = float(experiment.share(arm, split.id)), sum(of_cohort.values())
        parts.append(CohortPart(cohort=split.id, share=share, units=of_cohort.get(arm.id, 0)))
        expected, whole = expected + share * size, whole + size
    return ArmPart(
        arm=arm.id,
        control=arm is experiment.control,
        share=expected / whole if len(parts) > 1 and whole else parts[0].share,
        units=units(exposed).get(arm.id, 0),
        analysed=units(dict(analysis.gathered.analysed)).get(arm.id, 0),
        cohorts=tuple(parts) if len(parts) > 1 else (),
    )


def _metrics(analysis: Analysis) -> tuple[MetricPart, ...]:
    shown: Judged = analysis.peek or analysis.judged
    withheld = analysis.judged.withheld
    findings = shown.findings
    rule = analysis.experiment.decision
    parts = []
    entries: list[Entry] = [*rule.primary, *rule.guardrails, *rule.secondary]
    for entry in entries:
        own = [finding for finding in findings if finding.entry is entry]
        parts.append(
            MetricPart(
                metric=entry.metric.id,
                role=type(entry).__name__.lower(),
                kind=entry.metric.kind.value,
                direction=None if entry.direction is None else entry.direction.value,
                cap=_cap(analysis, entry.metric.id),
                arms=_values(analysis.experiment, own),
                comparisons=tuple(comparison_part(finding, withheld) for finding in own),
            )
        )
    return tuple(parts)


def _cap(analysis: Analysis, metric_id: str) -> float | None:
    cap = next(m.cap for m in analysis.experiment.decision.metrics() if m.id == metric_id)
    if cap is None or not cap.is_share:
        return cap.value if cap else None
    return analysis.gathered.caps.get(metric_id)


def _values(experiment: Experiment, findings: list[Finding]) -> tuple[ArmValue, ...]:
    values: dict[str, ArmValue] = {}
    for finding in findings:
        contrast, measured = finding.measured.contrast, finding.measured
        told = contrast if isinstance(contrast, Contrast) else None
        values.setdefault(
            experiment.control.id,
            ArmValue(
                arm=experiment.control.id,
                units=measured.control_units,
                value=told.control if told else None,
            ),
        )
        values[finding.arm.id] = ArmValue(
            arm=finding.arm.id,
            units=measured.treatment_units,
            value=told.treatment if told else None,
        )
    empty = (ArmValue(arm=arm.id, units=0, value=None) for arm in experiment.arms)
    return tuple(values.get(value.arm, value) for value in empty)


def _rfc3339(nanoseconds: int) -> str:
    return (
        datetime.fromtimestamp(nanoseconds / 1e9, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )
