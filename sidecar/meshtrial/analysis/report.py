"""Analysis -> Report: what was found, in the words of the document (`analysis.report_parts`)."""

from collections.abc import Sequence
from importlib.metadata import version

import duckdb

from meshtrial.analysis.amendments import Form, amendments_of
from meshtrial.analysis.cells import Key
from meshtrial.analysis.compared import comparison_part, withheld_part
from meshtrial.analysis.findings import Entry, Finding, primary_alpha
from meshtrial.analysis.numbers import rfc3339
from meshtrial.analysis.report_beside import (
    carryover_part,
    cohorts_part,
    holdout_part,
    interference_part,
    over_time_part,
)
from meshtrial.analysis.report_parts import (
    SCHEMA_VERSION,
    AmendmentPart,
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
from meshtrial.plan.inference import Boundary, Metric, MetricKind, Primary
from meshtrial.plan.model import Arm, Experiment, Plan
from meshtrial.stats.contrast import Contrast
from meshtrial.store.engine import DuckDB
from meshtrial.store.read import Reading


def make_report(
    store: Reading | duckdb.DuckDBPyConnection,
    plan: Plan,
    experiment: Experiment,
    now: int,
    *,
    peek: bool = False,
) -> Report:
    """Judge one experiment from a store.

    Args:
        store: Its reading: what an earlier report remembered of it is not read again. Or a database that has
            the view `otel_traces`, of which all is read.
        plan: The plan in force.
        experiment: One of its experiments.
        now: Nanoseconds since 1970.
        peek: Show estimates that the method withholds; the verdict does not change.
    """
    source = store if isinstance(store, Reading) else DuckDB(store)
    return report_of(analyse(source, plan, experiment, now, peek=peek), now)


def report_of(analysis: Analysis, now: int) -> Report:
    """The document of an analysis made at `now`, nanoseconds since 1970."""
    verdict = analysis.judged.verdict
    amendments = _amendments(analysis, now)
    return Report(
        schema=SCHEMA_VERSION,
        experiment=analysis.experiment.id,
        plan=analysis.plan.digest,
        as_of=rfc3339(now),
        verdict=VerdictPart(
            decision=verdict.decision.value,
            arm=verdict.arm,
            reasons=(*verdict.reasons, *_amended(amendments)),
            rule=verdict.rule,
        ),
        progress=_progress(analysis),
        method=_method(analysis.experiment),
        health=tuple(
            HealthPart(check=c.check, passed=c.passed, p_value=c.p_value, detail=c.detail)
            for c in analysis.health
        ),
        amendments=amendments,
        arms=tuple(_arm(arm, analysis) for arm in analysis.experiment.arms),
        metrics=tuple(_metric(entry, analysis) for entry in _entries(analysis.experiment)),
        over_time=over_time_part(analysis.beside, analysis.experiment),
        cohorts=cohorts_part(analysis.beside, analysis.experiment),
        carryover=carryover_part(analysis.beside, analysis.experiment),
        holdout=holdout_part(analysis.beside, analysis.experiment),
        interference=interference_part(analysis.beside, analysis.experiment),
    )


def _amendments(analysis: Analysis, now: int) -> tuple[AmendmentPart, ...]:
    """Changes of the rule since the first exposure that is compared."""
    phases = analysis.phases
    begun = min((key.period for key in analysis.gathered.exposed if key.phase in phases), default=None)
    if begun is None:
        return ()
    forms = [
        Form(entry.since, entry.plan, entry.experiment.decision)
        for entry in analysis.history.entries
        if entry.phase in phases
    ]
    forms.append(Form(now, analysis.plan.digest, analysis.experiment.decision))
    return tuple(
        AmendmentPart(at=rfc3339(amendment.at), plan=amendment.plan, changed=amendment.changed)
        for amendment in amendments_of(forms, begun + analysis.clock.period)
    )


def _amended(amendments: Sequence[AmendmentPart]) -> tuple[str, ...]:
    if not amendments:
        return ()
    changed = sorted({name for amendment in amendments for name in amendment.changed})
    return (f"amended after the first exposure, and judged by the present plan: {', '.join(changed)}",)


def _progress(analysis: Analysis) -> ProgressPart:
    timeline, judged = analysis.timeline, analysis.judged
    closed = (n for key, n in analysis.counted.items() if key.period < timeline.closed)
    return ProgressPart(
        started=None if timeline.started is None else rfc3339(timeline.started),
        closed_units=sum(closed),
        planned_units=analysis.experiment.decision.planned_units,
        decided_at=None if judged.stopped is None else rfc3339(judged.stopped.taken),
        looks=tuple(
            LookPart(cut=rfc3339(looked.look.cut), taken=rfc3339(looked.look.taken), share=looked.look.share)
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
        gatekeeping=rule.gatekeeping,
        boundary=None if rule.boundary is None else _boundary(rule.boundary),
        version=version("meshtrial"),
    )


def _boundary(boundary: Boundary) -> str:
    words = [boundary.shape.value, *([] if boundary.parameter is None else [f"{boundary.parameter:g}"])]
    return f"{' '.join(words)}, {'spending' if boundary.spending else 'exact'}"


def _arm(arm: Arm, analysis: Analysis) -> ArmPart:
    experiment, cut = analysis.experiment, analysis.judged.cut

    def units(counts: dict[Key, int], cohort: str | None = None) -> dict[str, int]:
        found: dict[str, int] = {}
        for key, number in counts.items():
            if (cohort is None or key.cohort == cohort) and (cut is None or key.period < cut):
                found[key.arm] = found.get(key.arm, 0) + number
        return found

    phases = analysis.phases
    exposed = {key: n for key, n in analysis.gathered.exposed.items() if key.phase in phases}
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


def _entries(experiment: Experiment) -> tuple[Entry, ...]:
    rule = experiment.decision
    return (*rule.primary, *rule.guardrails, *rule.secondary)


def _metric(entry: Entry, analysis: Analysis) -> MetricPart:
    experiment, judged, peek = analysis.experiment, analysis.judged, analysis.peek
    found = [f for f in (peek.findings if peek else judged.case.findings) if f.entry is entry]
    if peek:
        withheld = judged.case.withheld or "the next look is not due yet"
        comparisons = tuple(comparison_part(finding, judged, withheld) for finding in found)
    elif judged.case.withheld is not None:
        alpha = primary_alpha(experiment) if isinstance(entry, Primary) else experiment.decision.alpha
        comparisons = tuple(
            withheld_part(entry, arm, alpha, judged.case.withheld) for arm in experiment.treatments()
        )
    else:
        comparisons = tuple(comparison_part(finding, judged) for finding in found)
    return MetricPart(
        metric=entry.metric.id,
        role=type(entry).__name__.lower(),
        kind=entry.metric.kind.value,
        in_percent=entry.metric.read_as is MetricKind.PROPORTION,
        direction=None if entry.direction is None else entry.direction.value,
        cap=_cap(entry.metric, analysis),
        arms=_values(experiment, found),
        comparisons=comparisons,
    )


def _cap(metric: Metric, analysis: Analysis) -> float | None:
    if metric.cap is None or not metric.cap.is_share:
        return metric.cap.value if metric.cap else None
    return analysis.gathered.caps.get(metric.id)


def _values(experiment: Experiment, findings: Sequence[Finding]) -> tuple[ArmValue, ...]:
    """Of control what stands beside the first of the other arms: of each its own days and cohorts count."""
    values = {arm.id: ArmValue(arm=arm.id, units=0, value=None) for arm in experiment.arms}
    for finding in reversed(findings):
        measured = finding.measured
        contrast = measured.contrast
        told = (contrast.control, contrast.treatment) if isinstance(contrast, Contrast) else measured.values
        control, treatment = told or (None, None)
        for arm, units, value in (
            (experiment.control.id, measured.control_units, control),
            (finding.arm.id, measured.treatment_units, treatment),
        ):
            values[arm] = ArmValue(arm=arm, units=units, value=value)
    return tuple(values.values())
