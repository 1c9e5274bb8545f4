"""Evidence -> Verdict: an ordered table of rules, the first that speaks decides; pure.

| rule | decision |
|---|---|
| a health check failed | unhealthy |
| this version cannot judge what was randomised | wait |
| no unit was exposed yet | wait |
| planned size or minimum duration not reached | wait |
| a primary cannot be estimated | wait |
| an arm is better in a primary, perhaps by the minimum effect, and worse in none | ship |
| otherwise | keep_control |

Better and worse are read from the interval at the adjusted level: it lies above or below 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from meshtrial.analysis.evidence import Compared, Evidence, unsupported
from meshtrial.analysis.health import Check
from meshtrial.analysis.numbers import shown_effect, shown_interval
from meshtrial.plan.inference import Direction, Scale
from meshtrial.stats.estimate import Difference, Interval, NotEstimable


class Ruling(StrEnum):
    """What is to be done; later versions add more."""

    UNHEALTHY = "unhealthy"
    WAIT = "wait"
    SHIP = "ship"
    KEEP_CONTROL = "keep_control"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision, and the sentences that it stands on."""

    decision: Ruling
    reasons: tuple[str, ...]
    arm: str | None = None
    """The arm to ship."""


def decide_trial(evidence: Evidence, health: tuple[Check, ...]) -> Verdict:
    """Apply the rules in order."""
    verdicts = (rule(evidence, health) for rule in _RULES)
    return next(verdict for verdict in verdicts if verdict is not None)


def withheld(evidence: Evidence) -> str | None:
    """Why a trial may not be looked at; None where it may.

    A design that this version cannot judge may never, a fixed-sample trial once: looking earlier and
    stopping on a good day is what makes false discoveries (Armitage, McPherson & Rowe 1969: five looks at
    5% give 14%).
    """
    progress, rule = evidence.progress, evidence.experiment.decision
    if (refusal := unsupported(evidence.experiment)) is not None:
        return refusal
    if progress.decided_at is not None:
        return None
    if progress.started is None:
        return _nobody(evidence)
    if progress.closed < rule.planned_units:
        return f"{progress.closed:,} of {rule.planned_units:,} planned units have closed windows"
    ends = datetime.fromtimestamp(progress.started / 1e9 + rule.minimum_duration, UTC)
    return f"the minimum duration ends at {ends:%Y-%m-%d %H:%M:%S} UTC"


def _nobody(evidence: Evidence) -> str:
    """Why there is no unit, as far as the store tells."""
    progress, experiment = evidence.progress, evidence.experiment.id
    if progress.other_phases:
        left_out = f"{progress.other_phases:,} were under another"
        return f"no unit was exposed under the present allocation, {left_out}"
    if progress.stored and experiment not in progress.stored:
        return f"the store has no exposure of {experiment}, but of {', '.join(progress.stored)}"
    return "no unit was exposed yet"


def _unhealthy(_: Evidence, health: tuple[Check, ...]) -> Verdict | None:
    failed = tuple(f"{c.check}: {c.detail}" for c in health if c.passed is False)
    return Verdict(Ruling.UNHEALTHY, failed) if failed else None


def _too_early(evidence: Evidence, _: tuple[Check, ...]) -> Verdict | None:
    why = withheld(evidence)
    return Verdict(Ruling.WAIT, (why,)) if why else None


def _not_estimable(evidence: Evidence, _: tuple[Check, ...]) -> Verdict | None:
    reasons = tuple(
        f"{c.primary.metric.id} of {c.arm.id} cannot be estimated: {c.comparison.reason}"
        for c in evidence.compared
        if isinstance(c.comparison, NotEstimable)
    )
    return Verdict(Ruling.WAIT, reasons) if reasons else None


def _winner(evidence: Evidence, _: tuple[Check, ...]) -> Verdict | None:
    """The interval must reach the minimum effect, not lie above it.

    The latter has 2.5% power at that effect instead of the 80% that the size was planned for. Of several
    arms that pass, the one with the largest effect on the first primary is shipped.
    """
    estimates = [(c, c.comparison) for c in evidence.compared if isinstance(c.comparison, Difference)]
    worse = {c.arm.id for c, estimate in estimates if _gain(c, estimate).high < 0}
    passing = {c.arm.id for c, estimate in estimates if _is_better(c, estimate)} - worse
    if not passing:
        return None
    first = evidence.experiment.decision.primary[0]
    gains = {c.arm.id: _sign(c) * estimate.effect for c, estimate in estimates if c.primary is first}
    best = max(sorted(passing), key=lambda arm: gains[arm])
    return Verdict(Ruling.SHIP, tuple(_told(c, e) for c, e in estimates if c.arm.id == best), best)


def _no_winner(evidence: Evidence, _: tuple[Check, ...]) -> Verdict:
    reasons = (_told(c, c.comparison) for c in evidence.compared if isinstance(c.comparison, Difference))
    return Verdict(Ruling.KEEP_CONTROL, tuple(reasons))


def _sign(compared: Compared) -> int:
    return 1 if compared.primary.direction is Direction.UP else -1


def _gain(compared: Compared, estimate: Difference) -> Interval:
    """The interval with better as up."""
    interval = estimate.interval
    return interval if _sign(compared) > 0 else Interval(-interval.high, -interval.low)


def _is_better(compared: Compared, estimate: Difference) -> bool:
    gain = _gain(compared, estimate)
    return gain.low > 0 and gain.high >= minimum_effect(compared)


def minimum_effect(compared: Compared) -> float:
    """The plan's minimum effect in the metric's unit; a relative one is a share of control's value."""
    least = compared.primary.minimum_effect
    return least.value * abs(compared.control_value or 0.0) if least.scale is Scale.RELATIVE else least.value


def _told(compared: Compared, estimate: Difference) -> str:
    gain, least, kind = _gain(compared, estimate), minimum_effect(compared), compared.primary.metric.kind
    if gain.low > 0:
        wanted = shown_effect(_sign(compared) * least, kind)
        short = f"better, but by less than the minimum effect of {wanted}"
        finding = "better" if gain.high >= least else short
    else:
        finding = "worse" if gain.high < 0 else "no difference shown"
    effect, span = shown_effect(estimate.effect, kind), shown_interval(estimate.interval, kind)
    return f"{compared.primary.metric.id} of {compared.arm.id}: {finding} ({effect}, {span})"


_RULES: tuple[Callable[[Evidence, tuple[Check, ...]], Verdict | None], ...] = (
    _unhealthy,
    _too_early,
    _not_estimable,
    _winner,
    _no_winner,
)
