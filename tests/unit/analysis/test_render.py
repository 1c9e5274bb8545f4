"""What a person reads in a terminal."""

import random
from pathlib import Path

import msgspec
import pytest
from rich.console import Console, Group
from rich.panel import Panel

from judged_rows import hundred, judged, plan_of, rows_of
from meshtrial.analysis.numbers import shown, shown_effect
from meshtrial.analysis.render import render
from meshtrial.analysis.report_parts import AmendmentPart, Report
from meshtrial.plan.inference import MetricKind
from trial_rows import Trial

MORE = """\
  revenue: {kind: mean, outcome: purchase, value: amount, window: 10s, cap: 30}
  errors: {kind: proportion, outcome: error, window: 10s}
  visits: {kind: count, outcome: visit, window: 10s, covariate: 60s}
  ctr: {kind: ratio, numerator: purchase, denominator: visit, window: 10s}
"""
RULES = """\
        - {metric: visits, direction: up, minimum_effect: 1}
      guardrails:
        - {metric: errors, direction: down, margin: 5pp}
      secondary: [ctr, {metric: revenue, direction: up}]
"""
PLAN = plan_of(
    ("  revenue: {kind: mean, outcome: purchase, value: amount, window: 10s}\n", MORE),
    ("        - {metric: revenue, direction: up, minimum_effect: 5% relative}\n", RULES),
    ("planned_units: 100", "planned_units: 800"),
    ("method: fixed", "method: group_sequential\n      looks: 4"),
    ("minimum_duration: 1s", "minimum_duration: 24s"),
)


def rows() -> Trial:
    """1,000 units in 100 seconds; v2 buys a little more, visits go on as they went before."""
    chance, made = random.Random(5), rows_of(PLAN)
    for unit in range(1000):
        arm, second = ("v2", unit / 10) if unit % 2 else ("v1", unit / 10)
        made.expose(unit, arm, second)
        if chance.random() < (0.35 if arm == "v2" else 0.25):
            made.outcome(unit, "purchase", second + 1, amount=chance.uniform(5, 50))
        if chance.random() < 0.03:
            made.outcome(unit, "error", second + 1)
        for visit in range(chance.randrange(5)):
            made.outcome(unit, "visit", second - 1 - visit)
            if chance.random() < 0.8:
                made.outcome(unit, "visit", second + 1 + visit)
    return made


ROWS = rows()


def drawn(report: Report, width: int = 80) -> str:
    with Path("/dev/null").open("w") as nowhere:
        console = Console(record=True, width=width, file=nowhere)
        console.print(render(report))
        return console.export_text()


@pytest.fixture(scope="module")
def stopped() -> Report:
    return judged(ROWS, PLAN, second=200)


def test_eighty_columns_hold_every_number_whole(stopped: Report) -> None:
    text = drawn(stopped)

    assert max(map(len, text.splitlines())) <= 80
    for metric in stopped.metrics:
        kind = MetricKind(metric.kind)
        [told] = metric.comparisons
        assert told.effect is not None
        assert told.interval is not None
        assert shown_effect(told.effect, kind) in text
        assert f"{shown_effect(told.interval[0], kind)} to {shown_effect(told.interval[1], kind)}" in text
        for arm in metric.arms:
            assert arm.value is not None
            assert shown(arm.value, kind) in text


def test_each_role_is_shown_by_what_is_asked_of_it(stopped: Report) -> None:
    text = " ".join(drawn(stopped).split())

    assert "conversion (primary, proportion, up is better)" in text
    assert "errors (guardrail, proportion, down is better)" in text
    assert "v2: within the margin of 5.00pp" in text
    visits = stopped.metrics[1].comparisons[0]
    assert visits.variance_removed is not None
    assert f"which removed {visits.variance_removed:.1%} of the variance" in text
    assert "Secondary metrics" in text
    assert text.index("Secondary metrics") > text.index("errors (guardrail")


def test_how_it_was_judged_is_disclosed(stopped: Report) -> None:
    text = " ".join(drawn(stopped, 200).split())

    assert "group_sequential, obrien_fleming, spending" in text
    assert "alpha 0.05 two-sided over 2 comparisons of primaries; power 0.8" in text
    assert "header:x-user-id, randomised by unit" in text
    assert f"plan {PLAN.digest}" in text
    assert "corrected for when it stopped" in text


def test_a_capped_metric_tells_its_cap() -> None:
    capped = plan_of(("value: amount, window: 10s}", "value: amount, window: 10s, cap: 12}"))
    made, _, _ = hundred(0.3, 0.7, plan=capped)

    assert "revenue (primary, mean, up is better, capped at 12)" in drawn(judged(made, capped))


def test_what_may_not_be_looked_at_yet_is_a_list_without_numbers() -> None:
    made, _, _ = hundred(0.3, 0.7)

    text = drawn(judged(made, second=15))

    assert "Metrics, not looked at yet" in text
    assert "effect" not in text


def test_amendments_are_listed_with_the_plan_that_brought_them(stopped: Report) -> None:
    amended = AmendmentPart(
        at="2026-09-21T14:00:00.000Z", plan="0123456789abcdef", changed=("decision.alpha",)
    )

    text = drawn(msgspec.structs.replace(stopped, amendments=(amended,)))

    assert "2026-09-21T14:00:00.000Z   0123456789ab   decision.alpha" in text


def test_what_must_not_be_overlooked_has_a_colour_of_its_own(stopped: Report) -> None:
    def colour(decision: str) -> str:
        verdict = msgspec.structs.replace(stopped.verdict, decision=decision)
        group = render(msgspec.structs.replace(stopped, verdict=verdict))
        assert isinstance(group, Group)
        panel = group.renderables[0]
        assert isinstance(panel, Panel)
        return str(panel.border_style)

    named = ("ship", "keep_control", "wait", "review", "roll_back", "unhealthy", "a later version's")
    colours = [colour(decision) for decision in named]
    assert colours == ["green", "yellow", "cyan", "magenta", "red", "red", "white"]


@pytest.mark.parametrize(
    ("kind", "value", "expected", "effect"),
    [
        (MetricKind.PROPORTION, 0.12345, "12.35%", "+12.35pp"),
        (MetricKind.PROPORTION, 0.000123, "0.0123%", "+0.0123pp"),
        (MetricKind.PROPORTION, 0.0, "0.00%", "+0.00pp"),
        (MetricKind.RATIO, 0.034567, "0.03457", "+0.03457"),
        (MetricKind.QUANTILE, 1234.56, "1,235", "+1,235"),
        (MetricKind.MEAN, 12.3456, "12.35", "+12.35"),
        (MetricKind.MEAN, 1.5e12, "1.5e+12", "+1.5e+12"),
    ],
)
def test_numbers_are_shown_by_kind(kind: MetricKind, value: float, expected: str, effect: str) -> None:
    assert (shown(value, kind), shown_effect(value, kind)) == (expected, effect)
