"""The looks of a group-sequential trial: what the latest one says, and what once the trial stopped; pure."""

import math
from collections.abc import Sequence

from meshtrial.analysis.measured import LookedAt
from meshtrial.plan.inference import DecisionRule
from meshtrial.stats.contrast import Contrasted, difference
from meshtrial.stats.estimate import Comparison, NotEstimable
from meshtrial.stats.futility import Futility
from meshtrial.stats.group_sequential import (
    Adjusted,
    GroupSequential,
    Look,
    adjust,
    conditional_power,
    latest_critical,
    latest_is_futile,
    latest_p_value,
)

_TOGETHER = NotEstimable("this look fell together with a later one")


def latest_look(
    rule: DecisionRule,
    looks: Sequence[LookedAt],
    contrasts: Sequence[Contrasted],
    alpha: float,
    *,
    p_value: bool = True,
) -> Comparison:
    """What the latest look says of an effect, by the bounds of the plan.

    Args:
        rule: A group-sequential one.
        looks: At least one, in order.
        contrasts: Of each look, the effect, or what it is beyond a margin.
        alpha: Two-sided error rate of all looks together.
        p_value: Whether there is one, which takes most of the time; else it is NaN.
    """
    bounds, seen = _bounds(rule, alpha), _seen(rule, looks, contrasts)
    critical, contrast = latest_critical(bounds, seen), contrasts[-1]
    if isinstance(contrast, NotEstimable):
        return contrast
    if isinstance(critical, NotEstimable):
        return critical
    if math.isinf(critical):
        return NotEstimable("next to no alpha is spent at so early a look, so nothing could be told by it")
    p = latest_p_value(bounds, seen) if p_value else math.nan
    return p if isinstance(p, NotEstimable) else difference(contrast, critical, p)


def is_futile(
    rule: DecisionRule,
    looks: Sequence[LookedAt],
    contrasts: Sequence[Contrasted],
    alpha: float,
    effect: float,
) -> bool:
    """Whether an effect worth having has become so unlikely that the trial may be given up; not binding.

    Args:
        rule: A group-sequential one.
        looks: As for `latest_look`.
        contrasts: As for `latest_look`.
        alpha: As for `latest_look`.
        effect: The minimum effect, in the metric's unit and towards the better side.
    """
    if rule.futility is None or not effect or looks[-1].look.last:
        return False
    bounds = _bounds(rule, alpha, Futility(rule.futility, rule.power, effect))
    return latest_is_futile(bounds, _seen(rule, looks, contrasts))


def stopped_at(
    rule: DecisionRule, looks: Sequence[LookedAt], contrasts: Sequence[Contrasted], alpha: float
) -> Adjusted | None:
    """An effect in view of when the trial stopped: at the latest look.

    None where it has no estimate, or had crossed its bound earlier on and something else stopped the trial:
    then the order of results by stages says nothing of it.

    Args:
        rule: A group-sequential one.
        looks: As for `latest_look`.
        contrasts: As for `latest_look`.
        alpha: As for `latest_look`.
    """
    seen = _seen(rule, looks, contrasts)
    found = adjust(_bounds(rule, alpha), seen)
    return None if isinstance(found, NotEstimable) or found.look < len(seen) - 1 else found


def chance_to_find(
    rule: DecisionRule,
    looks: Sequence[LookedAt],
    contrasts: Sequence[Contrasted],
    alpha: float,
    effect: float,
) -> float | None:
    """Conditional power: the chance that a later look finds an effect, given the looks so far.

    None where no look is to come, or none has an estimate.

    Args:
        rule: A group-sequential one.
        looks: As for `latest_look`.
        contrasts: As for `latest_look`.
        alpha: As for `latest_look`.
        effect: Supposed to be true, in the metric's unit.
    """
    found = conditional_power(_bounds(rule, alpha), _seen(rule, looks, contrasts), effect)
    return None if isinstance(found, NotEstimable) else found


def _bounds(rule: DecisionRule, alpha: float, futility: Futility | None = None) -> GroupSequential:
    if rule.boundary is None or rule.looks is None:
        raise TypeError("a group-sequential rule has looks and a boundary")
    return GroupSequential(alpha, rule.boundary, rule.looks.shares, futility)


def _seen(rule: DecisionRule, looks: Sequence[LookedAt], contrasts: Sequence[Contrasted]) -> list[Look]:
    """The looks as `stats` takes them.

    Exact bounds are those of the planned looks by number. A look that fell together with a later one, as the
    trial grew fast or the minimum duration was long, was not taken: the later one's bound counts.
    """
    seen: list[Look] = []
    for looked, contrast in zip(looks, contrasts, strict=True):
        if rule.boundary is not None and not rule.boundary.spending:
            missed = looked.look.number - len(seen)
            seen += [Look(_TOGETHER, looked.look.share)] * missed
        seen.append(Look(contrast, looked.look.share))
    return seen
