"""A trial is judged look by look, by what was known then; the first look that decides is the last."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hand_made_looks import ANY_TIME, FIXED, SPENDING, experiment, guardrail, look, looks, measured
from meshtrial.analysis.decision import Ruling
from meshtrial.analysis.judged import Judged, judge, peek_at, peek_cut
from meshtrial.analysis.measured import LookedAt
from meshtrial.analysis.timeline import Timeline
from meshtrial.plan.inference import DecisionRule
from meshtrial.stats.estimate import Difference, NotEstimable

SECOND = 10**9
BETTER, OPEN, WORSE = (0.5, 0.1), (0.05, 0.1), (-0.5, 0.1)


def timeline(seen: list[LookedAt], closed: int = 10**12) -> Timeline:
    return Timeline(0, closed, tuple(looked.look for looked in seen))


def judged(rule: DecisionRule, seen: list[LookedAt]) -> Judged:
    return judge(experiment(rule), timeline(seen), seen, "nobody is final")


def test_the_first_look_that_decides_ends_the_trial() -> None:
    seen = looks("sales", [OPEN, BETTER, WORSE, WORSE])

    found = judged(SPENDING, seen)

    assert found.verdict.decision is Ruling.SHIP
    assert found.looks == tuple(seen[:2])
    assert (found.stopped, found.cut) == (seen[1].look, seen[1].look.cut)


def test_between_looks_the_trial_goes_on() -> None:
    found = judged(SPENDING, looks("sales", [OPEN, OPEN]))

    assert (found.verdict.rule, found.stopped, found.cut) == ("more_to_come", None, None)


def test_the_last_look_ends_the_trial_even_where_it_says_nothing() -> None:
    nobody = replace(measured(0, 1), contrast=NotEstimable("nothing varies"))
    seen = [look({"sales": nobody}, taken=20 * SECOND)]

    found = judged(FIXED, seen)

    assert (found.verdict.decision, found.stopped) == (Ruling.WAIT, seen[0].look)


def test_without_a_look_the_reason_is_told() -> None:
    found = judged(FIXED, [])

    assert (found.verdict.rule, found.verdict.reasons) == ("withheld", ("nobody is final",))
    assert (found.look, found.stopped) == (None, None)


def test_an_unhealthy_trial_has_no_verdict_and_stops_where_it_did() -> None:
    seen = looks("sales", [OPEN, BETTER, OPEN])

    found = judged(SPENDING, seen)
    ill = found.with_health(("sample_ratio: bad",))

    assert (ill.verdict.decision, ill.verdict.reasons) == (Ruling.UNHEALTHY, ("sample_ratio: bad",))
    assert (ill.looks, ill.stopped, ill.case.findings) == (found.looks, found.stopped, found.case.findings)
    assert found.with_health(()) == found


def test_a_sequential_trial_ships_once_it_is_old_enough_and_never_ends() -> None:
    rule = replace(ANY_TIME, minimum_duration=30)
    for taken, expected in ((29, "too_young"), (30, "winner")):
        found = judged(rule, [look({"sales": measured(*BETTER)}, 0.9, taken=taken * SECOND)])
        assert found.verdict.rule == expected
        assert found.cut is None
    early = judged(rule, [look({"sales": measured(*WORSE)}, 0.9, taken=SECOND)])
    assert early.verdict.rule == "worse"


def test_harm_is_acted_upon_at_the_look_that_shows_it() -> None:
    rule = replace(SPENDING, guardrails=(guardrail("errors", 0.1),))
    seen = [
        look({"sales": measured(*OPEN), "errors": measured(0.9, 0.1)}, k / 4, k - 1, k * 10**10)
        for k in (1, 2)
    ]

    found = judged(rule, seen)

    assert (found.verdict.decision, found.verdict.arm) == (Ruling.ROLL_BACK, "v2")
    assert found.looks == tuple(seen[:1])


effects = st.lists(st.tuples(st.floats(-1, 1), st.floats(0.05, 0.5)), min_size=1, max_size=4)


@given(effects, effects)
def test_later_looks_never_change_a_verdict(
    first: list[tuple[float, float]], later: list[tuple[float, float]]
) -> None:
    seen = looks("sales", (first + later)[:4])
    now, then = judged(SPENDING, seen[: len(first)]), judged(SPENDING, seen)

    if now.stopped is not None:
        assert (then.verdict, then.looks, then.stopped) == (now.verdict, now.looks, now.stopped)
    else:
        assert len(then.looks) >= len(now.looks)


@pytest.mark.parametrize(
    ("rule", "seen", "cut"),
    [
        (FIXED, [], 10**12),
        (SPENDING, looks("sales", [OPEN]), 10**12),
        (SPENDING, looks("sales", [BETTER]), None),
        (FIXED, looks("sales", [OPEN] * 4)[-1:], None),
        (ANY_TIME, [], None),
    ],
)
def test_a_peek_shows_what_no_look_has_shown_yet(
    rule: DecisionRule, seen: list[LookedAt], cut: int | None
) -> None:
    assert peek_cut(judged(rule, seen), timeline(seen)) == cut
    nothing_new = replace(timeline(seen), closed=seen[-1].look.cut if seen else 0)
    assert peek_cut(judged(rule, seen), nothing_new) is None


def test_a_peek_is_by_the_interval_of_one_look() -> None:
    [finding] = peek_at(experiment(SPENDING), look({"sales": measured(0.2, 0.1)}, 0.3)).findings

    assert isinstance(finding.comparison, Difference)
    assert finding.comparison.interval.low == pytest.approx(0.2 - 0.1 * 1.959964)
