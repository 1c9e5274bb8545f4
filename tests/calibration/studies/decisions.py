"""The whole decision: simulated trials through looks, strata, contrasts and rules to a verdict."""

from collections import Counter
from collections.abc import Mapping
from functools import cache, partial
from typing import Any, Final

import numpy as np

from calibration.study import Claim, Study, at_least, at_most, caught_above, chosen
from meshtrial.analysis.cells import Counts
from meshtrial.analysis.decision import Ruling
from meshtrial.analysis.drawn import Values
from meshtrial.analysis.simulated import Scenario, Simulated
from meshtrial.analysis.timeline import Look, Timeline
from meshtrial.stats.size_supposed import Supposed
from plan_values import experiment, plan_of

UNITS: Final = 4_000
"""Planned, of both arms: 400 a day."""
RATES: Final[Mapping[str, float]] = {"conversion": 0.1, "errors": 0.05}
"""In control."""
EFFECT: Final = 0.028
"""The minimum effect on conversion: a fixed trial finds it with a power of 0.8."""
MARGIN: Final = 0.02
"""Of the errors."""
METHODS: Final[Mapping[str, Mapping[str, Any]]] = {
    "fixed": {},
    "group_sequential": {"looks": 5, "boundary": "obrien_fleming"},
    "sequential": {},
}
RUNS: Final[Mapping[str, tuple[int, int]]] = {
    "fixed": (400, 10_000),
    "group_sequential": (60, 2_000),
    "sequential": (300, 5_000),
}
"""In the tests and on the page: looks at bounds take long."""
RARE: Final = 0.005
"""Where outcomes are rare, one unit in ten is treated: the rate of both metrics, and the margin."""
RARE_UNITS: Final = 10_000
SHIPPED: Final[Mapping[str, float]] = {"fixed": 0.55, "group_sequential": 0.55, "sequential": 0.1}
"""At least, with the minimum effect: the guardrail must be shown to hold as well, and a sequential trial that
ends where a fixed one does finds less."""


class Peeking(Simulated):
    """Wrong: a trial with one look is judged on each day, and stopped when that says so."""

    def _timeline(self, counts: Counts) -> Timeline:
        whole = super()._timeline(counts)
        if whole.started is None or not whole.looks:
            return whole
        end, day = whole.looks[-1], self.clock.day
        cuts = range(end.cut - day, whole.started + day, -day)
        early = [Look(cut, cut + self.closing, share=0.5, last=False) for cut in cuts]
        return Timeline(whole.started, whole.closed, (*reversed(early), end))


@cache
def trial(method: str, *, peeking: bool = False, rare: bool = False) -> Simulated:
    """One primary, one guardrail, ten days of traffic and a day's window."""
    rates = dict.fromkeys(RATES, RARE) if rare else RATES
    units, effect, margin = (RARE_UNITS, RARE, RARE) if rare else (UNITS, EFFECT, MARGIN)
    arms = {"v1": 90, "v2": 10} if rare else {"v1": 50, "v2": 50}
    decision = {
        "method": method,
        **METHODS[method],
        "alpha": 0.05,
        "power": 0.8,
        "planned_units": units,
        "minimum_duration": "2d",
        "primary": [{"metric": "conversion", "direction": "up", "minimum_effect": f"{100 * effect:g}pp"}],
        "guardrails": [{"metric": "errors", "direction": "down", "margin": f"{100 * margin:g}pp"}],
    }
    metrics = {name: {"kind": "proportion", "outcome": name, "window": "1d"} for name in RATES}
    shares = {arm: {"weight": weight, "cluster": f"model-{arm}"} for arm, weight in arms.items()}
    plan = plan_of({"rank-v2": experiment(arms=shares, decision=decision)}, metrics=metrics)
    rule = plan.experiments[0].decision
    values = {metric.id: Values(metric, Supposed(metric.kind, rates[metric.id])) for metric in rule.metrics()}
    return (Peeking if peeking else Simulated)(plan.experiments[0], values, units / 10)


def verdicts(
    rng: np.random.Generator,
    runs: int,
    *,
    method: str,
    effects: Mapping[str, float],
    peeking: bool = False,
    rare: bool = False,
) -> list[int]:
    """How many trials ship the arm, and how many roll it back."""
    simulated, scenario = trial(method, peeking=peeking, rare=rare), Scenario("given", "v2", effects)
    found = Counter(simulated.run(scenario, rng).decision for _ in range(runs))
    return [found[Ruling.SHIP], found[Ruling.ROLL_BACK]]


def _study(
    method: str, seed: int, title: str, effects: Mapping[str, float], *claims: Claim, rare: bool = False
) -> Study:
    count = partial(verdicts, method=method, effects=effects, rare=rare)
    return Study(f"{title}, `{method}`", seed, *RUNS[method], count, claims, at_once=50)


STUDIES = (
    Study(
        "A/A, `fixed`, but judged each day",
        50_030,
        *RUNS["fixed"],
        chosen(partial(verdicts, method="fixed", effects={}, peeking=True), 0),
        (caught_above("the arm is shipped", 0.04),),
        at_once=100,
    ),
    *(
        study
        for number, method in enumerate(METHODS)
        for study in (
            _study(
                method,
                50_000 + number,
                "A/A",
                {},
                at_most("the arm is shipped", 0.025),
                at_most("it is rolled back", 0.025),
            ),
            _study(
                method,
                50_010 + number,
                "The minimum effect, and no harm",
                {"conversion": EFFECT},
                at_least("the arm is shipped", SHIPPED[method]),
                at_most("it is rolled back", 0.025),
            ),
            _study(
                method,
                50_020 + number,
                "Twice the minimum effect, and harm as large as the margin",
                {"conversion": 2 * EFFECT, "errors": MARGIN},
                at_most("the arm is shipped", 0.025),
                at_most("it is rolled back", 0.025),
            ),
            _study(
                method,
                50_040 + number,
                "A/A, outcomes of one unit in 200, one in ten treated",
                {},
                at_most("the arm is shipped", 0.025),
                at_most("it is rolled back", 0.025),
                rare=True,
            ),
            _study(
                method,
                50_050 + number,
                "Of these five times as many, and harm as large as the margin",
                {"conversion": 4 * RARE, "errors": RARE},
                at_most("the arm is shipped", 0.025),
                at_most("it is rolled back", 0.04),
                rare=True,
            ),
        )
    ),
)
