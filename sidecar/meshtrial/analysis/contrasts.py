"""Cells of a look -> one metric of one arm beside control, within strata; pure."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from typing import TypeAlias

from meshtrial.analysis.cells import Cells, Clock, summed
from meshtrial.analysis.early import early_p_value
from meshtrial.analysis.measured import Measured
from meshtrial.analysis.strata import Strata
from meshtrial.plan.inference import Metric, MetricKind
from meshtrial.stats.adjust import (
    Sloped,
    adjusted_contrast,
    cuped_slopes,
    lin_slopes,
    variance_removed,
)
from meshtrial.stats.burn_in import burn_in, burn_in_means, effective_units
from meshtrial.stats.contrast import Contrast, Contrasted, combine
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.joint import Joint
from meshtrial.stats.moments import mean_contrast
from meshtrial.stats.proportion import Proportion, proportion_contrast
from meshtrial.stats.ratio import METHOD as RATIO
from meshtrial.stats.ratio import linearised
from meshtrial.stats.stratified import Stratum, alike_of

Arms: TypeAlias = tuple[float, Joint, Joint]
"""A stratum's weight, and the sums of control and treatment."""
Flat: TypeAlias = tuple[int, float]
"""Units of an arm and its value."""


def measured_of(
    metric: Metric, cells: Cells, strata: Strata, arms: tuple[str, str], clock: Clock
) -> Measured:
    """One metric of one arm.

    Args:
        metric: Any but a quantile.
        cells: Those of the look.
        strata: Of the two arms, in the look.
        arms: Ids of control and treatment.
        clock: Tells days.
    """
    control, treatment = (
        summed(
            ((key, cell) for key, cell in cells.items() if key.arm == arm), lambda key: strata.of(key, clock)
        )
        for arm in arms
    )
    parts = [(weight, control[i], treatment[i]) for i, weight in enumerate(strata.weights)]
    if not parts:
        reason = NotEstimable("no day, phase or cohort has enough units in both arms")
        return Measured(reason, 0, 0, 0.0)
    wholes = (reduce(add, (c for _, c, _ in parts)), reduce(add, (t for _, _, t in parts)))
    empty = Measured(
        NotEstimable(""),
        wholes[0].units,
        wholes[1].units,
        sum(c.units * t.units / (c.units + t.units) for _, c, t in parts),
        values=None if metric.kind is MetricKind.RATIO else _values(parts),
        too_early=_too_early(metric, *wholes),
        rare=_rare(metric, parts),
        alike=_alike(metric, parts),
    )
    if metric.kind is MetricKind.PROPORTION and not metric.covariates:
        if empty.too_early is not None:
            empty = replace(empty, early_p=early_p_value(cells, strata.of_cohort(), arms))
        proportions = _proportions(parts)
        return replace(empty, contrast=_of_proportions(proportions), strata=proportions)
    return _of_means(metric, parts, empty)


def _values(parts: Sequence[Arms]) -> tuple[float, float]:
    """Of control and treatment: the means of their first variable, weighed."""
    whole = math.fsum(weight for weight, _, _ in parts)
    control = math.fsum(weight * _mean(c)[1] for weight, c, _ in parts)
    treatment = math.fsum(weight * _mean(t)[1] for weight, _, t in parts)
    return control / whole, treatment / whole


def _rare(metric: Metric, parts: Sequence[Arms]) -> tuple[Stratum, ...]:
    """What `Measured.rare` says."""
    nobody = not any(_mean(sample)[1] for _, *arms in parts for sample in arms)
    if nobody and metric.events.outcome is not None:
        return ()  # it may be that nobody reports it, or under another name
    if metric.kind is MetricKind.PROPORTION:
        return _proportions(parts)
    return _requesting(parts) if nobody and metric.is_failure_share else ()


def _alike(metric: Metric, parts: Sequence[Arms]) -> tuple[float, float] | None:
    """What `Measured.alike` says."""
    if metric.kind is MetricKind.PROPORTION:
        return alike_of(_proportions(parts))
    found = _requesting(parts) if metric.is_failure_share else ()
    return alike_of(found) if found else None


def _requesting(parts: Sequence[Arms]) -> tuple[Stratum, ...]:
    """Units weighed by their requests (Kish 1965, Survey Sampling, section 8.2), rounded down."""

    def units(sample: Joint) -> int:
        return int(effective_units(sample.linear([0.0, 1.0] + [0.0] * (sample.variables - 2))))

    found = tuple(Stratum(w, Proportion(units(c)), Proportion(units(t))) for w, c, t in parts)
    return found if all(min(s.control.units, s.treatment.units) for s in found) else ()


def _proportions(parts: Sequence[Arms]) -> tuple[Stratum, ...]:
    return tuple(Stratum(w, _proportion(c), _proportion(t)) for w, c, t in parts)


def _too_early(metric: Metric, control: Joint, treatment: Joint) -> NotEstimable | None:
    if metric.kind is MetricKind.PROPORTION:
        return burn_in(_proportion(control), _proportion(treatment))
    return burn_in_means(control.linear(_only(control)), treatment.linear(_only(treatment)), 0, 0)


def _proportion(sample: Joint) -> Proportion:
    """Of a variable that is 0 or 1, summed about 0."""
    return Proportion(sample.units, round(sample.totals[0]))


def _of_proportions(strata: Sequence[Stratum]) -> Contrasted:
    """The sum of strata; one in which nothing varies counts as it is."""
    return _combined(
        [
            (s.weight, proportion_contrast(s.control, s.treatment), _rate(s.control), _rate(s.treatment))
            for s in strata
        ]
    )


def _rate(sample: Proportion) -> Flat:
    return sample.units, sample.successes / sample.units


def _mean(sample: Joint) -> Flat:
    return sample.units, sample.shifts[0] + sample.totals[0] / sample.units


def _of_means(metric: Metric, parts: Sequence[Arms], empty: Measured) -> Measured:
    if metric.kind is MetricKind.RATIO:
        linear = linearised(parts)
        if isinstance(linear, NotEstimable):
            return replace(empty, contrast=linear)
        parts = linear
    plain = _combined(
        [(w, mean_contrast(c.linear(_only(c)), t.linear(_only(t))), _mean(c), _mean(t)) for w, c, t in parts]
    )
    if metric.kind is MetricKind.RATIO and isinstance(plain, Contrast):
        plain = replace(plain, method=plain.method.replace("Welch t", RATIO))
    if not metric.covariates:
        return replace(empty, contrast=plain)
    slopes = _slopes(metric, parts)
    if isinstance(slopes, NotEstimable):
        return replace(empty, contrast=plain, unadjusted=plain, removed=slopes)
    adjusted = _combined([(w, adjusted_contrast(c, t, slopes), _mean(c), _mean(t)) for w, c, t in parts])
    if isinstance(plain, NotEstimable) or isinstance(adjusted, NotEstimable):
        return replace(empty, contrast=adjusted, unadjusted=plain)
    removed = variance_removed(plain, adjusted)
    return replace(empty, contrast=adjusted, unadjusted=plain, removed=removed)


def _only(sample: Joint) -> list[float]:
    """Coefficients that take the first variable alone."""
    return [1.0] + [0.0] * (sample.variables - 1)


def _slopes(metric: Metric, parts: Sequence[Arms]) -> Sloped:
    """CUPED with one covariate, regression adjustment with several."""
    if len(metric.covariates) == 1:
        return cuped_slopes([sample for _, c, t in parts for sample in (c, t)])
    return lin_slopes([c for _, c, _ in parts], [t for _, _, t in parts])


def _combined(strata: Sequence[tuple[float, Contrasted, Flat, Flat]]) -> Contrasted:
    """Strata together. One in which nothing varies is no reason to refuse: it counts without an error."""
    refused = [contrast for _, contrast, _, _ in strata if isinstance(contrast, NotEstimable)]
    if len(refused) == len(strata):
        return refused[0]
    return combine(
        [
            (weight, _flat(*arms) if isinstance(contrast, NotEstimable) else contrast)
            for weight, contrast, *arms in sorted(strata, key=lambda s: isinstance(s[1], NotEstimable))
        ]
    )


def _flat(control: Flat, treatment: Flat) -> Contrast:
    (n0, m0), (n1, m1) = control, treatment
    return Contrast("", m0, m1 - m0, 0.0, 0.0, math.inf, n0, n1)
