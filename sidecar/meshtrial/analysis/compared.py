"""Finding -> the part of the report on one metric of one arm; pure."""

import math

from meshtrial.analysis.decision import is_within
from meshtrial.analysis.findings import Finding
from meshtrial.analysis.report_parts import BayesPart, ComparisonPart, EstimatePart
from meshtrial.plan.inference import Direction, Guardrail, MetricKind, Primary
from meshtrial.stats.bayes import Prior, posterior
from meshtrial.stats.contrast import Contrast
from meshtrial.stats.estimate import Difference, Interval, NotEstimable
from meshtrial.stats.fixed import fixed
from meshtrial.stats.practical import standing


def comparison_part(finding: Finding, withheld: str | None) -> ComparisonPart:
    """One metric of one arm against control.

    Args:
        finding: What was found.
        withheld: Why it decides nothing, if so: it is a peek.
    """
    said = finding.comparison
    told = said if isinstance(said, Difference) else None
    contrast = finding.measured.contrast
    entry = finding.entry
    return ComparisonPart(
        arm=finding.arm.id,
        method=told.method if told else None,
        alpha=finding.alpha,
        effect=told.effect if told else None,
        standard_error=told.error if told else None,
        interval=_pair(told.interval) if told else None,
        p_value=told.p_value if told else None,
        adjusted_p_value=finding.adjusted_p,
        relative=told.relative if told and not isinstance(told.relative, NotEstimable) else None,
        relative_interval=_pair(told.relative_interval) if told else None,
        effect_size=_effect_size(finding) if told else None,
        standing=_standing(finding),
        margin=finding.in_units(entry.margin) if isinstance(entry, Guardrail) else None,
        within_margin=is_within(finding) if isinstance(entry, Guardrail) and told else None,
        unadjusted=_unadjusted(finding),
        variance_removed=finding.measured.removed if isinstance(finding.measured.removed, float) else None,
        stopped=None,
        conditional_power=None,
        bayes=_bayes(finding, contrast) if told and isinstance(contrast, Contrast) else None,
        withheld=f"a peek, not valid for a decision: {withheld}" if withheld else None,
        not_estimable=said.reason if isinstance(said, NotEstimable) else None,
    )


def _pair(interval: Interval | NotEstimable) -> tuple[float, float] | None:
    return None if isinstance(interval, NotEstimable) else (interval.low, interval.high)


def _effect_size(finding: Finding) -> float | None:
    """Cohen's h of a proportion; else d, from the effect's standard error: z sqrt(1/n0 + 1/n1)."""
    contrast = finding.measured.contrast
    if isinstance(contrast, NotEstimable):
        return None
    if finding.metric.kind is MetricKind.PROPORTION:
        p0, p1 = (min(1.0, max(0.0, p)) for p in (contrast.control, contrast.treatment))
        return 2 * (math.asin(math.sqrt(p1)) - math.asin(math.sqrt(p0)))
    return (
        contrast.effect
        / contrast.error
        * math.sqrt(1 / contrast.control_units + 1 / contrast.treatment_units)
    )


def _standing(finding: Finding) -> str | None:
    entry, said = finding.entry, finding.comparison
    if not isinstance(entry, Primary) or not isinstance(said, Difference):
        return None
    least = finding.in_units(entry.minimum_effect)
    if not least:
        return None
    return standing(said.interval, least, higher_is_better=finding.sign > 0).value


def _unadjusted(finding: Finding) -> EstimatePart | None:
    plain = finding.measured.unadjusted
    if plain is None or isinstance(plain, NotEstimable):
        return None
    found = fixed(plain, finding.alpha)
    if isinstance(found, NotEstimable):
        return None
    interval = (found.interval.low, found.interval.high)
    return EstimatePart(effect=found.effect, standard_error=found.error, interval=interval)


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
