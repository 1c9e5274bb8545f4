"""Finding -> the part of the report on one metric of one arm; pure."""

import msgspec

from meshtrial.analysis.decision import is_within
from meshtrial.analysis.findings import Entry, Finding
from meshtrial.analysis.group_looks import chance_to_find, stopped_at
from meshtrial.analysis.judged import Judged
from meshtrial.analysis.report_parts import AdjustedPart, BayesPart, ComparisonPart, EstimatePart
from meshtrial.plan.inference import Direction, Guardrail, Method, MetricKind, Primary, Scale
from meshtrial.plan.model import Arm
from meshtrial.stats.bayes import Prior, posterior
from meshtrial.stats.contrast import Contrast
from meshtrial.stats.effect_size import cohen_d, cohen_h
from meshtrial.stats.estimate import Difference, Interval, NotEstimable
from meshtrial.stats.practical import standing


def withheld_part(entry: Entry, arm: Arm, alpha: float, reason: str) -> ComparisonPart:
    """One metric of one arm that may not be looked at yet."""
    empty = _empty(arm.id, alpha)
    margin, relative = _absolute_margin(entry), _relative_margin(entry)
    return msgspec.structs.replace(empty, withheld=reason, margin=margin, relative_margin=relative)


def comparison_part(finding: Finding, judged: Judged, peek: str | None = None) -> ComparisonPart:
    """One metric of one arm against control.

    Args:
        finding: What was found.
        judged: The looks that it is by.
        peek: Why it decides nothing, if so.
    """
    said, measured, entry = finding.comparison, finding.measured, finding.entry
    part = msgspec.structs.replace(
        _empty(finding.arm.id, finding.alpha),
        margin=finding.in_units(entry.margin) if isinstance(entry, Guardrail) else None,
        relative_margin=_relative_margin(entry),
        unadjusted=_unadjusted(finding),
        variance_removed=measured.removed if isinstance(measured.removed, float) else None,
        not_adjusted=measured.removed.reason if isinstance(measured.removed, NotEstimable) else None,
        withheld=f"a peek, not valid for a decision: {peek}" if peek else None,
    )
    if isinstance(said, NotEstimable):
        too_early = said is measured.too_early
        return msgspec.structs.replace(
            part, not_estimable=said.reason, p_value=measured.early_p if too_early else None
        )
    stopped, chance = (None, None) if peek else _of_looks(finding, judged)
    return msgspec.structs.replace(
        part,
        method=said.method,
        effect=said.effect,
        standard_error=said.error,
        interval=_pair(said.interval),
        p_value=said.p_value,
        adjusted_p_value=finding.adjusted_p,
        relative=None if isinstance(said.relative, NotEstimable) else said.relative,
        relative_interval=_pair(said.relative_interval),
        effect_size=_effect_size(finding),
        standing=_standing(finding),
        within_margin=is_within(finding) if isinstance(entry, Guardrail) else None,
        stopped=stopped,
        conditional_power=chance,
        bayes=_bayes(finding, measured.contrast) if isinstance(measured.contrast, Contrast) else None,
    )


def _empty(arm: str, alpha: float) -> ComparisonPart:
    nothing = dict.fromkeys(ComparisonPart.__struct_fields__)
    return msgspec.convert({**nothing, "arm": arm, "alpha": alpha}, ComparisonPart)


def _absolute_margin(entry: Entry) -> float | None:
    """Of a guardrail, where it needs no value of control's to be told."""
    is_absolute = isinstance(entry, Guardrail) and entry.margin.scale is Scale.ABSOLUTE
    return entry.margin.value if isinstance(entry, Guardrail) and is_absolute else None


def _relative_margin(entry: Entry) -> float | None:
    is_relative = isinstance(entry, Guardrail) and entry.margin.scale is Scale.RELATIVE
    return entry.margin.value if isinstance(entry, Guardrail) and is_relative else None


def _of_looks(finding: Finding, judged: Judged) -> tuple[AdjustedPart | None, float | None]:
    """Of a primary of a group-sequential trial: corrected for when it stopped, or the chance to find more."""
    rule, entry = judged.case.rule, finding.entry
    if rule.method is not Method.GROUP_SEQUENTIAL or not isinstance(entry, Primary):
        return None, None
    contrasts = [look.measured[finding.metric.id, finding.arm.id].contrast for look in judged.looks]
    if judged.stopped is None:
        least = finding.sign * finding.in_units(entry.minimum_effect)
        return None, chance_to_find(rule, judged.looks, contrasts, finding.alpha, least)
    found = stopped_at(rule, judged.looks, contrasts, finding.alpha)
    if found is None:
        return None, None
    interval = (found.interval.low, found.interval.high)
    return AdjustedPart(estimate=found.estimate, interval=interval, p_value=found.p_value), None


def _pair(interval: Interval | NotEstimable) -> tuple[float, float] | None:
    return None if isinstance(interval, NotEstimable) else (interval.low, interval.high)


def _effect_size(finding: Finding) -> float | None:
    """Cohen's h of a proportion, else d."""
    contrast, plain = finding.measured.contrast, finding.measured.unadjusted
    if isinstance(contrast, NotEstimable):
        return None
    if finding.metric.kind is MetricKind.PROPORTION:
        return cohen_h(contrast.control, contrast.treatment)
    spread = plain if isinstance(plain, Contrast) else contrast
    return cohen_d(spread, contrast.effect) if spread.units > 2 else None


def _standing(finding: Finding) -> str | None:
    entry, said = finding.entry, finding.comparison
    if not isinstance(entry, Primary) or not isinstance(said, Difference):
        return None
    least = finding.in_units(entry.minimum_effect)
    if not least:
        return None
    return standing(said.interval, least, higher_is_better=finding.sign > 0).value


def _unadjusted(finding: Finding) -> EstimatePart | None:
    plain = finding.plain
    if not isinstance(plain, Difference):
        return None
    interval = (plain.interval.low, plain.interval.high)
    return EstimatePart(effect=plain.effect, standard_error=plain.error, interval=interval)


def _bayes(finding: Finding, contrast: Contrast) -> BayesPart:
    """With a prior as wide as the minimum effect or the margin; twice the control's error for the rest."""
    entry = finding.entry
    margin = entry.minimum_effect if isinstance(entry, Primary) else None
    margin = entry.margin if isinstance(entry, Guardrail) else margin
    sd = finding.in_units(margin) if margin else 0.0
    sd = sd or 2 * contrast.error
    found = posterior(contrast, Prior(sd), higher_is_better=entry.direction is not Direction.DOWN)
    return BayesPart(
        prior_sd=sd, chance_to_beat_control=found.chance_to_win, expected_loss=found.expected_loss
    )
