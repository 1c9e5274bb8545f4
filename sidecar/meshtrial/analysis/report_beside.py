"""Beside -> the parts of the document that show it."""

from typing import Final

from meshtrial.analysis.beside import Beside
from meshtrial.analysis.breakdown import Breakdown
from meshtrial.analysis.findings import primary_alpha
from meshtrial.analysis.neighbours import SpillOver
from meshtrial.analysis.numbers import rfc3339
from meshtrial.analysis.over_time import Course, Point
from meshtrial.analysis.report_beside_parts import (
    BreakdownPart,
    CarryoverPart,
    ChangePart,
    CohortsPart,
    CoursePart,
    EffectPart,
    FormerPart,
    HeldOutPart,
    HeterogeneityPart,
    HoldoutPart,
    InterferencePart,
    OverTimePart,
    PointPart,
    PostStratifiedPart,
    SpillOverPart,
    TrendPart,
    ValuePart,
)
from meshtrial.analysis.since import Since
from meshtrial.analysis.told import Telling, Told
from meshtrial.plan.model import Experiment
from meshtrial.stats.estimate import Comparison, Interval, NotEstimable
from meshtrial.stats.interaction import Compared
from meshtrial.stats.interference import Interference

EXPLORATORY: Final = "exploratory: with enough groups one differs by chance; a next trial confirms or refutes"
CAVEATS: Final = (
    "a unit is compared over its metrics' windows from its first sight on, not over what comes later",
    "who cleared cookies or changed devices is a new unit, maybe on the other side: effects are diluted",
    "arms that lose units show the outcomes of those that stayed",
    "everyone else has the experiments' arms as they are shared out, control among them, not winners alone",
)


def over_time_part(beside: Beside, experiment: Experiment) -> OverTimePart:
    """How effects came about."""
    courses = []
    for key, course in beside.courses.items():
        told = None if isinstance(course, NotEstimable) else course
        since = beside.since.get(key)
        courses.append(
            CoursePart(
                metric=key[0],
                arm=key[1],
                grown_alpha=primary_alpha(experiment),
                alpha=experiment.decision.alpha,
                grown=tuple(map(_point, told.grown)) if told else (),
                by_day=tuple(map(_point, told.by_day)) if told else (),
                by_first_exposure=_change(told) if told else None,
                since_exposure=_trend(since) if since else None,
                not_estimable=course.reason if isinstance(course, NotEstimable) else None,
            )
        )
    return OverTimePart(withheld=beside.withheld, courses=tuple(courses))


def cohorts_part(beside: Beside, experiment: Experiment) -> CohortsPart | None:
    """Effects by field; None where a plan has no field."""
    if not experiment.strata and len(experiment.splits) < 2:
        return None
    alpha = experiment.decision.alpha
    post_stratified = []
    for (metric, arm), found in beside.post_stratified.items():
        told = Told(0, 0, found) if isinstance(found, NotEstimable) else Telling(alpha).of(found.measured)
        post_stratified.append(
            PostStratifiedPart(
                metric=metric,
                arm=arm,
                alpha=alpha,
                strata=None if isinstance(found, NotEstimable) else found.strata,
                effect=_effect(told),
                variance_removed=None if isinstance(found, NotEstimable) else found.removed,
            )
        )
    return CohortsPart(
        withheld=beside.withheld,
        label=EXPLORATORY,
        breakdowns=tuple(_breakdown(one, alpha) for one in beside.breakdowns),
        post_stratified=tuple(post_stratified),
    )


def carryover_part(beside: Beside, experiment: Experiment) -> CarryoverPart | None:
    """Of a layer with other experiments; None elsewhere."""
    if experiment.layer is None or (beside.carryover is None and beside.withheld is None):
        return None
    found = beside.carryover
    if found is None:
        return CarryoverPart(
            withheld=beside.withheld, experiments=(), units=0, balance_p_value=None, primaries=()
        )
    return CarryoverPart(
        withheld=None,
        experiments=found.experiments,
        units=found.units,
        balance_p_value=None if isinstance(found.balance, NotEstimable) else found.balance,
        primaries=tuple(
            FormerPart(
                by_former_arm=_breakdown(one, experiment.decision.alpha),
                main_effect=_heterogeneity(one.main, None),
            )
            for one in found.breakdowns
        ),
    )


def holdout_part(beside: Beside, experiment: Experiment) -> HoldoutPart | None:
    """Of a layer with a holdout; None elsewhere."""
    layer, found = experiment.layer, beside.holdout
    if layer is None or not layer.holdout:
        return None
    return HoldoutPart(
        withheld=beside.withheld or (None if found else "no unit that is held out has been seen"),
        experiments=found.experiments if found else (),
        alpha=experiment.decision.alpha / len(experiment.decision.primary),
        moved=found.moved if found else 0,
        primaries=tuple(
            HeldOutPart(metric=metric, effect=_effect(told)) for metric, told in found.effects.items()
        )
        if found
        else (),
        caveats=CAVEATS,
    )


def interference_part(beside: Beside, experiment: Experiment) -> InterferencePart | None:
    """Of groups whose neighbours the plan names; None elsewhere."""
    if experiment.neighbours is None:
        return None
    alpha = primary_alpha(experiment)
    found = tuple(_spill_over(one, alpha) for one in beside.spill_overs)
    return InterferencePart(withheld=beside.withheld, primaries=found)


def _effect(told: Told) -> EffectPart:
    said = told.comparison
    if isinstance(said, NotEstimable):
        return EffectPart(
            control_units=told.control_units,
            arm_units=told.treatment_units,
            effect=None,
            standard_error=None,
            interval=None,
            p_value=None,
            not_estimable=said.reason,
        )
    return EffectPart(
        control_units=told.control_units,
        arm_units=told.treatment_units,
        effect=said.effect,
        standard_error=said.error,
        interval=_pair(said.interval),
        p_value=said.p_value,
        not_estimable=None,
    )


def _pair(interval: Interval) -> tuple[float, float]:
    return interval.low, interval.high


def _point(point: Point) -> PointPart:
    return PointPart(day=rfc3339(point.day), days=point.days, effect=_effect(point.told))


def _change(course: Course) -> ChangePart:
    change, interval, p_value, refused = _numbers(course.change)
    return ChangePart(
        early=_effect(course.early),
        late=_effect(course.late),
        change=change,
        interval=interval,
        p_value=p_value,
        not_estimable=refused,
    )


def _trend(since: Since) -> TrendPart:
    slope, interval, p_value, refused = _numbers(since.slope)
    relative_slope, relative_interval, _, _ = _numbers(since.relative_slope)
    return TrendPart(
        together=since.together,
        days=tuple(map(_effect, since.days)),
        slope=slope,
        interval=interval,
        p_value=p_value,
        relative_slope=relative_slope,
        relative_interval=relative_interval,
        drift=None if since.drift is None else since.drift.value,
        not_estimable=refused,
    )


def _numbers(
    said: Comparison,
) -> tuple[float | None, tuple[float, float] | None, float | None, str | None]:
    """Effect, interval, p-value; or why there are none."""
    if isinstance(said, NotEstimable):
        return None, None, None, said.reason
    return said.effect, _pair(said.interval), said.p_value, None


def _breakdown(found: Breakdown, alpha: float) -> BreakdownPart:
    return BreakdownPart(
        field=found.field,
        metric=found.metric,
        arm=found.arm,
        alpha=alpha,
        values=tuple(
            ValuePart(value=one.value, joined=one.joined, effect=_effect(one.told), tested=one.tested)
            for one in found.values
        ),
        interaction=_heterogeneity(found.interaction, found.adjusted_p),
    )


def _heterogeneity(found: Compared, adjusted_p: float | None) -> HeterogeneityPart:
    if isinstance(found, NotEstimable):
        return HeterogeneityPart(
            statistic=None, freedom=None, p_value=None, adjusted_p_value=None, not_estimable=found.reason
        )
    return HeterogeneityPart(
        statistic=found.statistic,
        freedom=found.freedom,
        p_value=found.p_value,
        adjusted_p_value=adjusted_p,
        not_estimable=None,
    )


def _spill_over(found: SpillOver, alpha: float) -> SpillOverPart:
    said = found.found
    own, neighbours, everywhere = (
        _effect(Told(found.controls, found.groups - found.controls, comparison))
        for comparison in (
            (said.own, said.neighbours, said.everywhere) if isinstance(said, Interference) else (said,) * 3
        )
    )
    return SpillOverPart(
        metric=found.metric,
        arm=found.arm,
        alpha=alpha,
        groups=found.groups,
        left_out=found.left_out,
        own=own,
        neighbours=neighbours,
        everywhere=everywhere,
        shares=_pair(said.shares) if isinstance(said, Interference) else None,
    )
