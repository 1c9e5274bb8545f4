"""A decision rule and what is supposed of its metrics -> how many units each of them needs; pure.

A trial ships if a primary is better and every guardrail is within its margin. For all of that to happen with
the plan's power, each metric has its own: with G guardrails each may miss by a share 1 / (G + 1) of beta.

Source: Schultzberg, Ankargren & Franberg 2024, arXiv 2402.11609 (beta over guardrails; alpha needs no such
correction, because all of them must pass).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from meshtrial.analysis.findings import Entry, Role, primary_alpha
from meshtrial.plan.inference import DecisionRule, Direction, Guardrail, Margin, Method, Primary, Scale
from meshtrial.plan.model import DEFAULT_COHORT, Arm, Experiment
from meshtrial.stats.clusters import Likeness
from meshtrial.stats.integration import LEAST_GROWTH
from meshtrial.stats.size_looks import Looks, boundary_looks, one_look, sequence_looks
from meshtrial.stats.size_sought import Sought
from meshtrial.stats.size_supposed import Supposed
from meshtrial.stats.size_trial import Sized

DAY = 86_400
"""In seconds."""
MOST_LOOKS = 100
"""Of a sequential trial that are computed: more change little."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person knows of a trial before it starts."""

    supposed: Mapping[str, Supposed]
    """By metric id: primaries and guardrails."""
    effects: Mapping[str, float]
    """By metric id, expected in the metric's unit; else a primary's minimum effect, and 0 of a guardrail."""
    clusters: Mapping[str, Likeness]
    """By metric id, where groups are randomised."""
    units_per_day: float | None
    """New units a day of all arms; None where nobody knows."""


@dataclass(frozen=True, slots=True)
class Needed:
    """What one metric of one arm needs."""

    role: Role
    entry: Entry
    arm: Arm
    sized: Sized
    """With error rates of its own."""


def needed_units(experiment: Experiment, wanted: Wanted) -> tuple[Needed, ...]:
    """Every primary and guardrail of every arm, in plan order.

    Raises:
        ValueError: Something is supposed that cannot be, or an arm gets no units.
    """
    rule = experiment.decision
    if experiment.unit.switchback is not None:
        raise ValueError("a switchback has no size here: it depends on how alike the windows of one key are")
    power = 1 - (1 - rule.power) / (len(rule.guardrails) + 1)
    found: list[Needed] = []
    asked: list[tuple[Role, Entry, float]] = [
        *((Role.PRIMARY, entry, primary_alpha(experiment)) for entry in rule.primary),
        *((Role.GUARDRAIL, entry, rule.alpha) for entry in rule.guardrails),
    ]
    control = float(experiment.share(experiment.control, DEFAULT_COHORT))
    for role, entry, alpha in asked:
        for arm in experiment.treatments():
            share = float(experiment.share(arm, DEFAULT_COHORT))
            if not (control and share):
                raise ValueError(f"control and arm {arm.id} must both get units; see `meshtrial check`")
            sought = sought_of(entry, wanted, share / control)
            looks = looks_of(rule, alpha, power, wanted.units_per_day)
            found.append(Needed(role, entry, arm, Sized(sought, alpha, power, looks, control)))
    return tuple(found)


def sought_of(entry: Entry, wanted: Wanted, ratio: float) -> Sought:
    """What an entry of the rule wants to find.

    Raises:
        ValueError: Nothing is supposed of the metric, or no effect is left beyond what is required.
    """
    metric = entry.metric.id
    supposed = wanted.supposed.get(metric)
    if supposed is None:
        raise ValueError(f"nothing is supposed of {metric}")
    sign = -1 if entry.direction is Direction.DOWN else 1
    effect = wanted.effects.get(metric, expected_effect(entry, supposed))
    beyond, relative = _tested(entry, supposed, sign)
    found = Sought(supposed, effect, beyond, relative, ratio, wanted.clusters.get(metric))
    if sign * found.gap <= 0:
        raise ValueError(
            f"{metric}: an effect of {effect:g} does not lie beyond what is required; expect a larger one"
        )
    return found


def expected_effect(entry: Entry, supposed: Supposed) -> float:
    """In the metric's unit: a primary's minimum effect towards its better side, 0 of all else."""
    if not isinstance(entry, Primary):
        return 0.0
    return (-1 if entry.direction is Direction.DOWN else 1) * _in_units(entry.minimum_effect, supposed)


def _tested(entry: Entry, supposed: Supposed, sign: int) -> tuple[float, bool]:
    """What the effect must lie beyond, and whether it is a share of control's value."""
    if isinstance(entry, Guardrail):
        signed, which = -sign, entry.margin
    elif isinstance(entry, Primary) and entry.require_above is not None:
        signed, which = sign, entry.require_above
    else:
        return 0.0, False
    if which.scale is Scale.ABSOLUTE:
        return signed * which.value, False
    _in_units(which, supposed)
    return math.copysign(which.value, signed * supposed.baseline), True


def _in_units(margin: Margin, supposed: Supposed) -> float:
    if margin.scale is Scale.ABSOLUTE:
        return margin.value
    if not supposed.baseline:
        raise ValueError("a share of the baseline needs a baseline that is not 0")
    return margin.value * abs(supposed.baseline)


def looks_of(rule: DecisionRule, alpha: float, power: float, units_per_day: float | None) -> Looks:
    """The plan's looks, at this alpha and power.

    A sequential trial is taken to be looked at each day until the planned units have come.

    Raises:
        ValueError: When the looks are depends on the traffic, which is not known.
    """
    if rule.method is Method.FIXED:
        return one_look(alpha, power)
    if rule.method is Method.SEQUENTIAL:
        return sequence_looks(alpha, power, daily(rule, units_per_day))
    if rule.looks is None or rule.boundary is None:
        raise TypeError("a group-sequential rule has looks and a boundary")
    times = rule.looks.shares or _every(rule, rule.looks.every or DAY, units_per_day)
    return boundary_looks(rule.boundary, alpha, power, times, rule.futility)


def daily(rule: DecisionRule, units_per_day: float | None) -> Sequence[float]:
    """Looks of a sequential trial, a day apart: as shares of the planned units."""
    if units_per_day is None:
        raise ValueError("a sequential trial's size depends on how often it is looked at: --units-per-day")
    days = max(1, math.ceil(rule.planned_units / units_per_day))
    count = min(days, MOST_LOOKS)
    return [(k + 1) / count for k in range(count)]


def _every(rule: DecisionRule, every: int, units_per_day: float | None) -> Sequence[float]:
    """Looks at so many seconds, as shares of the planned units; the last one when they are all there."""
    if units_per_day is None:
        raise ValueError("looks every so often are shares of the units only at a known --units-per-day")
    whole = rule.planned_units / units_per_day * DAY
    first = rule.minimum_duration + rule.closing()
    ages = range(every, math.ceil(whole + rule.closing()), every)
    shares = sorted({(max(age, first) - rule.closing()) / whole for age in ages})
    times = [share for share in shares if 0 < share < 1 - LEAST_GROWTH]
    kept = [late for early, late in pairwise([0.0, *times]) if late > early * (1 + LEAST_GROWTH)]
    return [*kept, 1.0]


def days_needed(rule: DecisionRule, units: float, units_per_day: float) -> float:
    """Days until so many units, and all who came within the minimum duration, are final."""
    return max(units / units_per_day, rule.minimum_duration / DAY) + rule.closing() / DAY
