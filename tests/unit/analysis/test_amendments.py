"""What was changed of the rule once units were in is listed, with its date and plan."""

from dataclasses import replace

import pytest

from judged_rows import PLAN, check, hundred, judged, plan_of, rows_of
from meshtrial.analysis.amendments import Amendment, Form, amendments_of, changes
from meshtrial.plan.inference import (
    Cap,
    DecisionRule,
    Direction,
    Guardrail,
    Margin,
    Method,
    Scale,
    Secondary,
    Window,
)
from plan_texts import RANK

RULE = PLAN.experiments[0].decision
FIRST, SECOND = RULE.primary
STRICT = replace(RULE, alpha=0.01)
CAPPED = Secondary(replace(SECOND.metric, cap=Cap(9, is_share=False)), None)
LONGER = ("purchase, window: 10s", "purchase, window: 20s")


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (RULE, []),
        (STRICT, ["decision.alpha"]),
        (replace(RULE, method=Method.SEQUENTIAL, lateness=5), ["decision.method", "decision.lateness"]),
        (replace(RULE, primary=(FIRST,)), ["decision.primary"]),
        (replace(RULE, primary=(SECOND, FIRST)), ["decision.primary"]),
        (
            replace(RULE, primary=(FIRST, replace(SECOND, minimum_effect=Margin(1, Scale.ABSOLUTE)))),
            ["decision.primary.revenue.minimum_effect"],
        ),
        (
            replace(
                RULE, primary=(replace(FIRST, metric=replace(FIRST.metric, window=Window(0, 99))), SECOND)
            ),
            ["metrics.conversion.window"],
        ),
        (
            replace(
                RULE,
                primary=(FIRST,),
                guardrails=(Guardrail(SECOND.metric, Direction.UP, Margin(1, Scale.ABSOLUTE)),),
            ),
            ["decision.primary", "decision.guardrails"],
        ),
        (
            replace(RULE, primary=(FIRST,), secondary=(CAPPED,)),
            ["decision.primary", "decision.secondary", "metrics.revenue.cap"],
        ),
    ],
)
def test_changes_are_named_as_a_plan_nests_them(new: DecisionRule, expected: list[str]) -> None:
    assert list(changes(RULE, new)) == expected


def test_what_came_before_the_first_units_was_free_to_be_changed() -> None:
    forms = [Form(1, "a", RULE), Form(5, "b", STRICT), Form(12, "c", STRICT), Form(20, "d", RULE)]

    assert amendments_of(forms, begun=10) == (Amendment(20, "d", ("decision.alpha",)),)
    assert amendments_of(forms, begun=1) == (
        Amendment(5, "b", ("decision.alpha",)),
        Amendment(20, "d", ("decision.alpha",)),
    )
    assert amendments_of(forms[:1], begun=0) == ()


def test_a_report_lists_the_change_and_says_which_rule_it_follows() -> None:
    present = plan_of(("alpha: 0.05", "alpha: 0.2"))
    rows, _, _ = hundred(0.3, 0.45)
    rows.took(PLAN.digest, RANK, -1)
    rows.took(present.digest, RANK.replace("alpha: 0.05", "alpha: 0.2"), 5)

    report = judged(rows, present)

    [amended] = report.amendments
    assert (amended.at, amended.plan, amended.changed) == (
        "2026-09-21T14:13:25.000Z",
        present.digest,
        ("decision.alpha",),
    )
    assert report.verdict.reasons[-1] == (
        "amended after the first exposure, and judged by the present plan: decision.alpha"
    )
    assert report.metrics[0].comparisons[0].alpha == 0.1
    unchanged = judged(rows)
    assert [part.changed for part in unchanged.amendments] == [("decision.alpha",)] * 2


def test_a_rule_that_no_sidecar_has_recorded_is_an_amendment_of_now() -> None:
    rows, _, _ = hundred(0.3, 0.45)
    rows.took(PLAN.digest, RANK, -1)
    present = plan_of(LONGER)

    [amended] = judged(rows, present, second=60).amendments

    assert (amended.at, amended.plan) == ("2026-09-21T14:14:20.000Z", present.digest)
    assert amended.changed == ("metrics.conversion.window",)


def test_a_change_before_the_first_exposure_and_a_trial_without_history_have_none() -> None:
    present = plan_of(LONGER)
    rows, _, _ = hundred(0.3, 0.45)
    assert judged(rows, present).amendments == ()  # as after an import
    rows.took(PLAN.digest, RANK, -9)
    rows.took(present.digest, RANK.replace(*LONGER), -5)

    report = judged(rows, present)

    assert report.amendments == ()
    assert check(report, "one_allocation").passed
    assert judged(rows_of(), second=9).amendments == ()
