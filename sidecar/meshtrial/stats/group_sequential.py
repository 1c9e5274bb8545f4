"""A trial that is looked at a few times, with boundaries that share out its alpha over the looks.

`examine` reads the contrasts of the looks so far, and `adjust` gives the estimate of a trial that stopped. A
contrast moved by `Contrast.above` is tested in the same way: superiority above a margin, non-inferiority.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from meshtrial.plan.inference import Boundary
from meshtrial.stats.contrast import Contrasted
from meshtrial.stats.course import Course, course_of, t_deviate
from meshtrial.stats.estimate import Interval, NotEstimable, require_alpha
from meshtrial.stats.futility import Futility, futility_bounds
from meshtrial.stats.integration import LEAST_GROWTH, Stage, leave
from meshtrial.stats.repeated import exact_p_values, sequential_p_value, sequential_p_values
from meshtrial.stats.stagewise import stagewise

_NO_ESTIMATE = NotEstimable("no look has an estimate")


@dataclass(frozen=True, slots=True)
class GroupSequential:
    """A group-sequential rule.

    Raises:
        ValueError: A parameter is out of range, or exact bounds are asked for without the planned looks.
    """

    alpha: float
    """Two-sided, in (0, 0.5)."""
    boundary: Boundary
    planned: tuple[float, ...] = ()
    """Times of all looks as planned, ascending, the last one 1. Exact bounds need them: they are those of
    the looks by number, whatever the times of the looks made. Spending bounds do not look at them."""
    futility: Futility | None = None

    def __post_init__(self) -> None:
        require_alpha(self.alpha)
        if not (self.boundary.spending or self.planned):
            raise ValueError("exact bounds need the times of all planned looks")


@dataclass(frozen=True, slots=True)
class Look:
    """What was known at one look."""

    contrast: Contrasted
    """What is not estimable has no bound; where alpha is spent, it leaves its share to the next look."""
    time: float
    """What alpha is spent by: the share of the planned units, in (0, 1], 1 at the last look, not descending.
    No outcome may decide it."""


class Side(StrEnum):
    """Which way an effect lies."""

    ABOVE = "above"
    BELOW = "below"


@dataclass(frozen=True, slots=True)
class Examined:
    """One look by the rule."""

    z: float
    """The effect in standard errors; of a t statistic, the normal deviate with the same p-value."""
    information: float
    """As a share of what the latest look has, in (0, 1]; see `information.information_clock`."""
    spent: float
    """Of alpha, by this look."""
    bound: float
    """The critical value of |z|; infinite where nothing is spent yet."""
    critical: float
    """Half of the repeated confidence interval in standard errors of the contrast, for `contrast.difference`:
    over all looks together it misses the effect in no more than alpha of the trials. Infinite as `bound`."""
    crossed: Side | None
    """Where the effect lies by this look alone; None where |z| is below the bound."""
    futility_bound: float | None
    """Of z in the better direction; -inf where nothing is spent yet, None without a futility rule."""
    futile: bool
    """Whether the trial may be given up at this look: not binding."""
    p_value: float
    """Two-sided and sequential: the least alpha at which the trial would have been rejected by now."""


@dataclass(frozen=True, slots=True)
class Adjusted:
    """Of a trial that stopped, by the stage-wise order of results."""

    look: int
    """Index of the look where it stopped: the first one that crossed a bound, else the latest one."""
    p_value: float
    """Two-sided, of no effect; at most alpha where a bound was crossed, and at the last look only then."""
    estimate: float
    """Median-unbiased, in the contrast's unit."""
    interval: Interval
    """At confidence 1 - alpha."""


def examine(rule: GroupSequential, looks: Sequence[Look]) -> tuple[Examined | NotEstimable, ...]:
    """Every look so far by the rule.

    What is said of a look does not change with later ones, but for `Examined.information`, which is relative.

    Args:
        rule: The rule.
        looks: In order of time.

    Raises:
        ValueError: Times are out of range or descend, or there are more looks than exact bounds.
    """
    found = [look.contrast if isinstance(look.contrast, NotEstimable) else None for look in looks]
    course = _course(rule, looks)
    if course is None:
        return tuple(reason or _NO_ESTIMATE for reason in found)
    floors, p_values = _floors(rule, course), _p_values(rule, course)
    better = math.copysign(1, rule.futility.effect) if rule.futility else 1.0
    examined = {
        place: Examined(
            z=z,
            information=course.clock[k] / course.clock[-1],
            spent=course.spent[k],
            bound=course.bounds[k],
            critical=t_deviate(contrast, course.bounds[k]),
            crossed=None if abs(z) < course.bounds[k] else Side.ABOVE if z > 0 else Side.BELOW,
            futility_bound=floor,
            futile=floor is not None and better * z <= floor,
            p_value=p_values[k],
        )
        for k, (place, contrast, z, floor) in enumerate(
            zip(course.places, course.contrasts, course.z, floors, strict=True)
        )
    }
    return tuple(reason or examined[place] for place, reason in enumerate(found))


def latest_critical(rule: GroupSequential, looks: Sequence[Look]) -> float | NotEstimable:
    """`Examined.critical` of the latest look, without all that takes longer.

    Args:
        rule: The rule.
        looks: As for `examine`.

    Raises:
        ValueError: As `examine`.
    """
    course, latest = _course(rule, looks), looks[-1].contrast
    if isinstance(latest, NotEstimable):
        return latest
    return _NO_ESTIMATE if course is None else t_deviate(latest, course.bounds[-1])


def latest_p_value(rule: GroupSequential, looks: Sequence[Look]) -> float | NotEstimable:
    """`Examined.p_value` of the latest look that has an estimate, without those before it.

    Args:
        rule: The rule.
        looks: As for `examine`.

    Raises:
        ValueError: As `examine`.
    """
    course = _course(rule, looks)
    if course is None:
        return _NO_ESTIMATE
    if rule.boundary.spending:
        return sequential_p_value(rule.boundary, course.times, course.clock, course.z)
    return _p_values(rule, course)[-1]


def latest_is_futile(rule: GroupSequential, looks: Sequence[Look]) -> bool:
    """`Examined.futile` of the latest look, without all that takes longer; False where it has no estimate.

    Args:
        rule: The rule.
        looks: As for `examine`.

    Raises:
        ValueError: As `examine`.
    """
    course = _course(rule, looks)
    if course is None or rule.futility is None or isinstance(looks[-1].contrast, NotEstimable):
        return False
    floor = _floors(rule, course)[-1]
    return floor is not None and math.copysign(1, rule.futility.effect) * course.z[-1] <= floor


def adjust(rule: GroupSequential, looks: Sequence[Look]) -> Adjusted | NotEstimable:
    """What a trial found that stopped at the first look that crossed a bound, or else at the latest one.

    Args:
        rule: The rule; its futility is not binding, and changes nothing here.
        looks: As for `examine`.

    Raises:
        ValueError: As `examine`.
    """
    course = _course(rule, looks)
    if course is None:
        return _NO_ESTIMATE
    crossed = [k for k, z in enumerate(course.z) if abs(z) >= course.bounds[k]]
    stop = crossed[0] if crossed else len(course.z) - 1
    # Looks with one information are one stage; its bound is that of the last of them, which is the least.
    stages = dict(zip(course.clock[:stop], course.bounds, strict=False))
    stages.pop(course.clock[stop], None)
    z, contrast = course.z[stop], course.contrasts[stop]
    found = stagewise([*stages, course.clock[stop]], [*stages.values()], z, rule.alpha)

    def effect(mean: float) -> float:
        return contrast.effect - t_deviate(contrast, z - mean) * contrast.error

    interval = Interval(effect(found.low), effect(found.high))
    return Adjusted(course.places[stop], found.p_value, effect(found.median), interval)


def conditional_power(rule: GroupSequential, looks: Sequence[Look], effect: float) -> float | NotEstimable:
    """The chance that a later look crosses a bound, on either side, given the latest one.

    To be shown, never to decide by. The looks to come are the planned ones after the latest, or else one at
    time 1; information is taken to go on growing as the time does.

    Args:
        rule: The rule.
        looks: As for `examine`.
        effect: The true effect, in the contrasts' unit: the one planned for, or the one seen so far.

    Raises:
        ValueError: As `examine`.

    Source: Lan, Simon & Halperin 1982, Communications in Statistics C 1:207; Jennison & Turnbull 2000,
    chapter 10.
    """
    course = _course(rule, looks)
    if course is None:
        return _NO_ESTIMATE
    if rule.boundary.spending:
        now = course.times[-1]
        ahead = [time for time in rule.planned or (1.0,) if time >= now * (1 + LEAST_GROWTH)]
    else:
        now = rule.planned[course.places[-1]]
        ahead = [*rule.planned[len(looks) :]]
    if not ahead:
        return NotEstimable("no look is to come")
    clock = course.clock[-1]
    later = [clock * time / now for time in ahead]
    bounds = course.ahead(ahead, later)
    unit = math.sqrt(course.contrasts[-1].information / clock)
    stage = Stage.given(course.z[-1], clock, later[0], effect * unit)
    below, above = leave(stage, later, [-bound for bound in bounds], bounds)
    return float(below.sum() + above.sum())


def _course(rule: GroupSequential, looks: Sequence[Look]) -> Course | None:
    return course_of(
        rule.alpha,
        rule.boundary,
        rule.planned,
        [(look.contrast, look.time) for look in looks],
    )


def _floors(rule: GroupSequential, course: Course) -> Sequence[float | None]:
    """Futility bounds of the looks that have an estimate."""
    if rule.futility is None:
        return [None] * len(course.z)
    return [
        float(floor) for floor in futility_bounds(rule.futility, course.times, course.clock, course.bounds)
    ]


def _p_values(rule: GroupSequential, course: Course) -> Sequence[float]:
    """Sequential p-values of the looks that have an estimate."""
    if rule.boundary.spending:
        return sequential_p_values(rule.boundary, course.times, course.clock, course.z)
    return exact_p_values(rule.boundary, rule.planned, course.places, course.z)
