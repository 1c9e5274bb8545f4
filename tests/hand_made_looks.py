"""Looks made by hand: contrasts of chosen effects and errors, for tests of what is said of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from judged_rows import PLAN
from meshtrial.analysis.measured import LookedAt, Measured
from meshtrial.analysis.timeline import Look
from meshtrial.plan.inference import (
    Boundary,
    DecisionRule,
    Direction,
    Guardrail,
    Looks,
    Margin,
    Method,
    Metric,
    Primary,
    Scale,
    Secondary,
    Shape,
)
from meshtrial.plan.model import Experiment
from meshtrial.stats.contrast import Contrast

CONVERSION, REVENUE = (entry.metric for entry in PLAN.experiments[0].decision.primary)


def metric(name: str) -> Metric:
    """A mean by this name."""
    return replace(REVENUE, id=name)


def primary(name: str, least: float = 0.1) -> Primary:
    """Up is better, by an absolute minimum effect."""
    return Primary(metric(name), Direction.UP, Margin(least, Scale.ABSOLUTE))


def guardrail(name: str, margin: float, scale: Scale = Scale.ABSOLUTE) -> Guardrail:
    """Down is better."""
    return Guardrail(metric(name), Direction.DOWN, Margin(margin, scale))


def secondary(name: str) -> Secondary:
    """Neither way is better."""
    return Secondary(metric(name), None)


FIXED = replace(
    PLAN.experiments[0].decision, primary=(primary("sales"),), planned_units=1000, minimum_duration=10
)
EXACT = replace(
    FIXED,
    method=Method.GROUP_SEQUENTIAL,
    looks=Looks((0.25, 0.5, 0.75, 1.0)),
    boundary=Boundary(Shape.OBRIEN_FLEMING, spending=False),
)
SPENDING = replace(EXACT, boundary=Boundary(Shape.OBRIEN_FLEMING))
ANY_TIME = replace(FIXED, method=Method.SEQUENTIAL)


def experiment(rule: DecisionRule) -> Experiment:
    """v2 against v1, half of the units each."""
    return replace(PLAN.experiments[0], decision=rule)


def measured(effect: float, error: float, units: int = 500, control: float = 10.0) -> Measured:
    """Both arms with equal errors and so many units each, their number known well enough for a normal z."""
    half = error / 2**0.5
    contrast = Contrast("test", control, effect, half, half, float("inf"), units, units)
    return Measured(contrast, units, units, units / 2)


def look(
    found: Mapping[str, Measured], share: float = 1.0, number: int = 0, taken: int = 0, arms: str = "v2"
) -> LookedAt:
    """One look by metric id, the same for each arm; the last one at share 1."""
    when = Look(taken, taken, share, last=share == 1, number=number)
    return LookedAt(when, {(name, arm): m for name, m in found.items() for arm in arms.split()})


def looks(name: str, effects: Sequence[tuple[float, float]], planned: int = 4) -> list[LookedAt]:
    """Looks at equal shares of 1,000 units, with these effects and errors."""
    return [
        look({name: measured(effect, error, 1000 * k // planned // 2)}, k / planned, k - 1, taken=k * 10**10)
        for k, (effect, error) in enumerate(effects, 1)
    ]
