"""The rule table, on evidence made by hand: which arm ships, and when none does."""

from dataclasses import replace

import pytest

from meshtrial.analysis.decision import Ruling, Verdict, decide_trial, minimum_effect
from meshtrial.analysis.evidence import Compared, Evidence, Progress
from meshtrial.plan.inference import Direction, Margin, Primary, Scale
from meshtrial.plan.load import load
from meshtrial.plan.model import Arm
from meshtrial.stats.estimate import Difference, Interval
from plan_texts import RANK

EXPERIMENT = load(RANK, "plan.yaml").experiments[0]
PROGRESS = Progress(
    started=0,
    exposed={},
    groups={},
    closed=100,
    other_phases=0,
    other_plans=0,
    moved=0,
    forced=0,
    keys=(),
    stored=("rank-v2",),
    decided_at=1,
)
ARMS = {name: Arm(name, name, ()) for name in ("v2", "v3", "v4")}


def primary(index: int = 0, direction: Direction = Direction.UP, least: float = 0.02) -> Primary:
    return Primary(EXPERIMENT.decision.primary[index].metric, direction, Margin(least, Scale.ABSOLUTE))


def difference(low: float, high: float) -> Difference:
    return Difference("test", (low + high) / 2, 0.01, Interval(low, high), 0.5, 0.1, Interval(0.05, 0.15))


def judged(*found: tuple[str, Primary, float, float]) -> Verdict:
    """The verdict on (arm, primary, low, high) of each interval."""
    compared = tuple(Compared(what, ARMS[arm], 0.5, difference(low, high)) for arm, what, low, high in found)
    rule = replace(EXPERIMENT.decision, primary=tuple(dict.fromkeys(what for _, what, _, _ in found)))
    experiment = replace(EXPERIMENT, decision=rule)
    return decide_trial(Evidence(experiment, PROGRESS, (), 0.05, compared), ())


@pytest.mark.parametrize(
    ("low", "high", "ruling"),
    [
        (0.001, 0.02, Ruling.SHIP),  # reaches the minimum effect
        (0.001, 0.019, Ruling.KEEP_CONTROL),  # better, but surely by less
        (-0.001, 0.05, Ruling.KEEP_CONTROL),  # may be nothing
        (-0.05, -0.001, Ruling.KEEP_CONTROL),
        (0.03, 0.05, Ruling.SHIP),
    ],
)
def test_an_interval_ships_where_it_is_above_0_and_reaches_the_minimum_effect(
    low: float, high: float, ruling: Ruling
) -> None:
    assert judged(("v2", primary(), low, high)).decision is ruling
    down = primary(direction=Direction.DOWN)
    assert judged(("v2", down, -high, -low)).decision is ruling


def test_of_several_arms_that_pass_the_best_on_the_first_primary_ships() -> None:
    first, second = primary(0), primary(1)
    on_first = [("v2", first, 0.01, 0.05), ("v3", first, 0.03, 0.07), ("v4", first, 0.02, 0.06)]
    verdict = judged(*on_first, ("v2", second, 0.5, 0.9))

    assert (verdict.decision, verdict.arm) == (Ruling.SHIP, "v3")


def test_where_down_is_better_the_best_arm_is_the_lowest() -> None:
    down = primary(direction=Direction.DOWN)

    assert judged(("v2", down, -0.05, -0.01), ("v3", down, -0.07, -0.03)).arm == "v3"


def test_an_arm_that_is_worse_anywhere_does_not_ship_and_another_may() -> None:
    first, second = primary(0), primary(1)
    on_first = [("v2", first, 0.05, 0.09), ("v3", first, 0.01, 0.05)]
    verdict = judged(*on_first, ("v2", second, -0.5, -0.1), ("v3", second, -0.1, 0.1))

    assert (verdict.decision, verdict.arm) == (Ruling.SHIP, "v3")


def test_a_relative_minimum_effect_is_a_share_of_the_size_of_controls_value() -> None:
    relative = replace(primary(), minimum_effect=Margin(0.1, Scale.RELATIVE))
    estimate = difference(0.5, 1.5)
    for control, expected in ((50.0, 5.0), (-50.0, 5.0), (0.0, 0.0)):
        found = minimum_effect(Compared(relative, ARMS["v2"], control, estimate))
        assert found == pytest.approx(expected)


def test_the_sentence_says_the_effect_that_was_wanted_with_its_sign() -> None:
    [reason] = judged(("v2", primary(direction=Direction.DOWN), -0.019, -0.001)).reasons

    expected = "conversion of v2: better, but by less than the minimum effect of -2.00pp"
    assert reason == f"{expected} (-1.00pp, -1.90pp to -0.10pp)"
