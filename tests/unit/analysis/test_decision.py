"""The table of rules, on findings made by hand: which arm ships, and when none does."""

from dataclasses import dataclass, field, replace

import pytest

from judged_rows import PLAN
from meshtrial.analysis.decision import RULES, Case, Ruling, Verdict, decide_trial
from meshtrial.analysis.findings import Finding, Role
from meshtrial.analysis.measured import Measured
from meshtrial.plan.inference import Direction, Guardrail, Margin, Method, Primary, Scale, Secondary
from meshtrial.plan.model import Arm
from meshtrial.stats.contrast import Contrast
from meshtrial.stats.estimate import Comparison, Difference, Interval, NotEstimable

RULE = PLAN.experiments[0].decision
ARMS = {name: Arm(name, name, ()) for name in ("v2", "v3", "v4")}
CONVERSION, REVENUE = RULE.primary[0].metric, RULE.primary[1].metric
ERRORS = replace(CONVERSION, id="errors")
UP = Primary(CONVERSION, Direction.UP, Margin(0.02, Scale.ABSOLUTE))
DOWN = replace(UP, direction=Direction.DOWN)
SECOND = replace(UP, metric=replace(CONVERSION, id="visits"))
GUARD = Guardrail(ERRORS, Direction.DOWN, Margin(0.01, Scale.ABSOLUTE))


def measured(control: float = 0.5) -> Measured:
    return Measured(Contrast("test", control, 0.1, 0.01, 0.01, 99, 50, 50), 50, 50, 25.0)


def between(low: float, high: float) -> Difference:
    return Difference("test", (low + high) / 2, 0.01, Interval(low, high), 0.5, 0.1, Interval(0.05, 0.15))


def primary(
    low: float, high: float, arm: str = "v2", entry: Primary = UP, beyond: Comparison | None = None
) -> Finding:
    return Finding(
        Role.PRIMARY, entry, ARMS[arm], 0.05, between(low, high), beyond, None, measured(), adjusted_p=0.5
    )


def unknown(arm: str = "v2", entry: Primary = UP) -> Finding:
    return replace(primary(0, 1, arm, entry), comparison=NotEstimable("nobody knows"))


def guardrail(low: float, high: float, arm: str = "v2", entry: Guardrail = GUARD) -> Finding:
    """The interval is of the effect; what it is beyond the margin is that far on."""
    shift = -entry.margin.value if entry.direction is Direction.DOWN else entry.margin.value
    moved = between(low + shift, high + shift)
    return Finding(Role.GUARDRAIL, entry, ARMS[arm], 0.05, between(low, high), moved, moved, measured())


@dataclass
class Trial:
    """What is judged; a last look of a healthy trial."""

    findings: list[Finding]
    method: Method = Method.FIXED
    old_enough: bool = True
    last: bool = True
    gatekeeping: bool = False
    unhealthy: tuple[str, ...] = ()
    withheld: str | None = None
    verdict: Verdict = field(init=False)

    def __post_init__(self) -> None:
        rule = replace(RULE, method=self.method, gatekeeping=self.gatekeeping)
        findings = tuple(self.findings)
        self.verdict = decide_trial(
            Case(rule, self.unhealthy, self.withheld, findings, self.old_enough, self.last)
        )

    def said(self) -> tuple[str, str, str | None]:
        return self.verdict.rule, self.verdict.decision.value, self.verdict.arm


GAIN, NOTHING, LOSS = (0.01, 0.05), (-0.02, 0.03), (-0.05, -0.01)
SMALL = (0.001, 0.019)
SAFE, OPEN, HARM = (-0.005, 0.005), (-0.005, 0.02), (0.015, 0.03)
EARLY = {"method": Method.GROUP_SEQUENTIAL, "last": False}

SPOKEN = {
    "unhealthy": Trial([primary(*GAIN)], unhealthy=("sample_ratio: bad",)),
    "withheld": Trial([], withheld="51 of 100"),
    "harm": Trial([primary(*GAIN), guardrail(*HARM)]),
    "worse": Trial([primary(*LOSS), guardrail(*SAFE)]),
    "too_young": Trial([primary(*GAIN)], method=Method.SEQUENTIAL, old_enough=False, last=False),
    "winner": Trial([primary(*GAIN), guardrail(*SAFE)]),
    "mixed": Trial([primary(*GAIN), guardrail(*OPEN)]),
    "not_estimable": Trial([unknown()]),
    "hopeless": Trial([primary(-0.01, 0.01)]),
    "more_to_come": Trial([primary(*NOTHING)], Method.GROUP_SEQUENTIAL, last=False),
    "no_winner": Trial([primary(*NOTHING)]),
}
DECISIONS = {
    "unhealthy": ("unhealthy", None),
    "withheld": ("wait", None),
    "harm": ("roll_back", "v2"),
    "worse": ("keep_control", None),
    "too_young": ("wait", None),
    "winner": ("ship", "v2"),
    "mixed": ("review", "v2"),
    "not_estimable": ("wait", None),
    "hopeless": ("keep_control", None),
    "more_to_come": ("wait", None),
    "no_winner": ("keep_control", None),
}


@pytest.mark.parametrize("name", [name for name, _ in RULES])
def test_every_rule_speaks(name: str) -> None:
    assert SPOKEN[name].said() == (name, *DECISIONS[name])
    assert SPOKEN[name].verdict.reasons


@pytest.mark.parametrize(
    ("first", "then"),
    [
        # Two rules could speak of these: the one further up does.
        (Trial([primary(*GAIN)], unhealthy=("bad",), withheld="51 of 100"), "unhealthy"),
        (Trial([primary(*LOSS), guardrail(*HARM)]), "harm"),
        (Trial([primary(*LOSS), guardrail(*HARM)], Method.SEQUENTIAL, old_enough=False, last=False), "harm"),
        (Trial([primary(*LOSS)], Method.SEQUENTIAL, old_enough=False, last=False), "worse"),
        (Trial([primary(-0.01, 0.01)], Method.SEQUENTIAL, old_enough=False, last=False), "too_young"),
        (Trial([primary(*GAIN), unknown(entry=SECOND)]), "winner"),
        (Trial([primary(-0.01, 0.01), unknown(entry=SECOND)]), "not_estimable"),
    ],
)
def test_the_first_rule_that_speaks_decides(first: Trial, then: str) -> None:
    assert first.verdict.rule == then


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
    assert Trial([primary(low, high)]).verdict.decision is ruling
    assert Trial([primary(-high, -low, entry=DOWN)]).verdict.decision is ruling


def test_of_several_arms_that_pass_the_best_on_the_first_primary_ships() -> None:
    found = [primary(0.01, 0.05, "v2"), primary(0.03, 0.07, "v3"), primary(0.02, 0.06, "v4")]
    seconds = [primary(0.5, 0.9, "v2", SECOND), primary(0, 1, "v3", SECOND), primary(0, 1, "v4", SECOND)]

    assert Trial([*found, *seconds]).said() == ("winner", "ship", "v3")
    lower = [primary(-0.05, -0.01, "v2", DOWN), primary(-0.07, -0.03, "v3", DOWN)]
    assert Trial(lower).said() == ("winner", "ship", "v3")


def test_an_arm_that_is_worse_anywhere_does_not_ship_and_another_may() -> None:
    firsts = [primary(0.05, 0.09, "v2"), primary(0.01, 0.05, "v3")]
    seconds = [primary(-0.5, -0.1, "v2", SECOND), primary(-0.1, 0.1, "v3", SECOND)]

    assert Trial([*firsts, *seconds]).said() == ("winner", "ship", "v3")
    assert Trial([firsts[0], seconds[0]]).said() == ("mixed", "review", "v2")


def test_an_arm_outside_a_margin_does_not_ship_and_another_may() -> None:
    firsts = [primary(0.05, 0.09, "v2"), primary(0.01, 0.05, "v3")]

    assert Trial([*firsts, guardrail(*OPEN, "v2"), guardrail(*SAFE, "v3")]).said()[1:] == ("ship", "v3")


def test_one_arm_that_does_harm_is_rolled_back_whatever_the_others_do() -> None:
    found = [primary(*GAIN, "v2"), primary(*GAIN, "v3"), guardrail(*SAFE, "v2"), guardrail(*HARM, "v3")]

    assert Trial(found).said() == ("harm", "roll_back", "v3")


@pytest.mark.parametrize(
    ("direction", "interval", "rule"),
    [
        (Direction.DOWN, SAFE, "winner"),
        (Direction.DOWN, OPEN, "mixed"),
        (Direction.DOWN, HARM, "harm"),
        (Direction.UP, (-0.005, 0.005), "winner"),
        (Direction.UP, (-0.02, 0.005), "mixed"),
        (Direction.UP, (-0.03, -0.015), "harm"),
    ],
)
def test_a_guardrail_asks_that_the_arm_is_worse_by_less_than_its_margin(
    direction: Direction, interval: tuple[float, float], rule: str
) -> None:
    guard = replace(GUARD, direction=direction)

    assert Trial([primary(*GAIN), guardrail(*interval, entry=guard)]).verdict.rule == rule


def test_a_guardrail_that_cannot_be_estimated_does_not_let_an_arm_ship() -> None:
    nobody = NotEstimable("no event")
    blind = replace(guardrail(*SAFE), comparison=nobody, beyond=nobody, harm=nobody)

    assert Trial([primary(*GAIN), blind]).said() == ("mixed", "review", "v2")


def test_between_looks_a_gain_waits_for_the_guardrails() -> None:
    found = [primary(*GAIN), guardrail(*OPEN)]

    for method in (Method.GROUP_SEQUENTIAL, Method.SEQUENTIAL):
        assert Trial(found, method, last=False).said() == ("more_to_come", "wait", None)


def test_a_contradiction_of_primaries_is_for_people_at_once() -> None:
    found = [primary(*GAIN), primary(*LOSS, entry=SECOND)]

    for method in (Method.GROUP_SEQUENTIAL, Method.SEQUENTIAL):
        assert Trial(found, method, last=False).said() == ("mixed", "review", "v2")
        beside = [primary(*NOTHING, "v3"), primary(*NOTHING, "v3", SECOND)]
        assert Trial([*found, *beside], method, last=False).said() == ("more_to_come", "wait", None)


def test_of_two_arms_one_worse_and_one_open_the_trial_goes_on() -> None:
    found = [primary(*LOSS, "v2"), primary(*NOTHING, "v3")]

    assert Trial(found, Method.GROUP_SEQUENTIAL, last=False).said() == ("more_to_come", "wait", None)


def test_with_gatekeeping_a_later_primary_counts_only_after_the_ones_before_it() -> None:
    found = [primary(*NOTHING), primary(*GAIN, entry=SECOND)]

    assert Trial(found).said() == ("winner", "ship", "v2")
    assert Trial(found, gatekeeping=True).said() == ("no_winner", "keep_control", None)
    passed = [primary(*GAIN), primary(*GAIN, entry=SECOND)]
    assert Trial(passed, gatekeeping=True).said() == ("winner", "ship", "v2")


def test_what_is_required_is_asked_instead_of_0() -> None:
    wanting = replace(UP, require_above=Margin(0.01, Scale.ABSOLUTE))

    def ruled(low: float, high: float) -> str:
        beyond = between(low - 0.01, high - 0.01)
        return Trial([primary(low, high, entry=wanting, beyond=beyond)]).verdict.rule

    assert ruled(0.011, 0.05) == "winner"
    assert ruled(0.009, 0.05) == "no_winner"


def test_a_trial_is_given_up_where_no_primary_of_any_arm_can_be_worth_it() -> None:
    futile = replace(primary(-0.01, 0.05, "v2"), futile=True)
    small = primary(-0.01, 0.019, "v3")

    assert Trial([futile, small], Method.GROUP_SEQUENTIAL, last=False).verdict.rule == "hopeless"
    open_ = primary(-0.01, 0.05, "v3")
    assert Trial([futile, open_], Method.GROUP_SEQUENTIAL, last=False).verdict.rule == "more_to_come"


def test_a_secondary_decides_nothing() -> None:
    secondary = Secondary(REVENUE, Direction.UP)
    found = replace(primary(*LOSS), role=Role.SECONDARY, entry=secondary)

    assert Trial([primary(*GAIN), found]).verdict.rule == "winner"
    gained = replace(found, comparison=between(*GAIN))
    assert Trial([primary(*NOTHING), gained]).said() == ("no_winner", "keep_control", None)


@pytest.mark.parametrize(("control", "least"), [(50.0, 5.0), (-50.0, 5.0), (0.0, 0.0)])
def test_a_relative_margin_is_a_share_of_the_size_of_controls_value(control: float, least: float) -> None:
    finding = replace(primary(*GAIN), measured=measured(control))

    assert finding.in_units(Margin(0.1, Scale.RELATIVE)) == pytest.approx(least)


def test_the_sentence_says_the_effect_that_was_wanted_with_its_sign() -> None:
    [reason] = Trial([primary(-0.019, -0.001, entry=DOWN)]).verdict.reasons

    expected = "conversion of v2: better, but by less than the minimum effect of -2.00pp"
    assert reason == f"{expected} (-1.00pp, -1.90pp to -0.10pp)"


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (SAFE, "within the margin of 1pp"),
        (OPEN, "not shown to be within the margin of 1pp"),
        (HARM, "worse by more than the margin of 1pp"),
    ],
)
def test_the_sentence_of_a_guardrail_names_its_margin(interval: tuple[float, float], words: str) -> None:
    reasons = Trial([primary(*GAIN), guardrail(*interval)]).verdict.reasons

    assert f"errors of v2: {words} (" in reasons[-1]
