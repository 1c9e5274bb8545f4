"""What a person reads in a terminal."""

import random
from pathlib import Path

import msgspec
import pytest
from rich.console import Console, Group
from rich.panel import Panel

from judged_rows import hundred, judged, plan_of, rows_of
from meshtrial.analysis.numbers import shown, shown_chance, shown_duration, shown_effect, shown_share
from meshtrial.analysis.render import render
from meshtrial.analysis.report_beside_parts import TrendPart
from meshtrial.analysis.report_parts import AmendmentPart, HealthPart, Report
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
    assert "an arm may be worse by less than 5pp v2: within the margin (effect size" in text
    visits = stopped.metrics[1].comparisons[0]
    assert visits.variance_removed is not None
    assert f"which removed {visits.variance_removed:.1%} of the variance" in text
    assert "Secondary metrics" in text
    assert text.index("Secondary metrics") > text.index("errors (guardrail")


def test_how_it_was_judged_is_disclosed(stopped: Report) -> None:
    text = " ".join(drawn(stopped, 200).split())

    assert "group_sequential, obrien_fleming, spending" in text
    assert "alpha 0.05 two-sided over 2 comparisons of primaries; power 0.8" in text
    assert "0s after a unit's window" in text
    assert "header:x-user-id, randomised by unit" in text
    assert f"plan {PLAN.digest}" in text
    assert "corrected for when it stopped" in text


def changed(report: Report, metric: int, **said: object) -> Report:
    """With other words of the first arm of a metric."""
    part = report.metrics[metric]
    told = msgspec.structs.replace(part.comparisons[0], **said)
    metrics = list(report.metrics)
    metrics[metric] = msgspec.structs.replace(part, comparisons=(told,))
    return msgspec.structs.replace(report, metrics=tuple(metrics))


def test_units_are_those_that_decided_and_those_that_came_too_late(stopped: Report) -> None:
    looked = sum(arm.analysed for arm in stopped.arms)
    later = stopped.progress.closed_units - looked
    going_on = msgspec.structs.replace(stopped.progress, decided_at=None)
    running = msgspec.structs.replace(stopped, progress=going_on)
    in_time = msgspec.structs.replace(stopped.progress, closed_units=looked)

    assert later > 0
    decided = f"Units: decided 2026-09-21 at look {len(stopped.progress.looks)}, on {looked:,} of 800 planned"
    assert f"{decided}; {later:,} first exposed later do not count" in " ".join(drawn(stopped).split())
    assert decided + "\n" in drawn(msgspec.structs.replace(stopped, progress=in_time)).replace(" \n", "\n")
    assert f"Units: {stopped.progress.closed_units:,} of 800 planned units are final" in drawn(running)


def test_a_share_of_controls_value_as_margin_is_told_as_one_and_of_each_arm_where_they_differ(
    stopped: Report,
) -> None:
    text = " ".join(drawn(changed(stopped, 2, margin=0.0025, relative_margin=0.1)).split())
    assert "an arm may be worse by less than 0.25pp (10% relative)" in text

    errors = stopped.metrics[2]
    other = msgspec.structs.replace(errors.comparisons[0], arm="v3", margin=0.01)
    two = msgspec.structs.replace(errors, comparisons=(errors.comparisons[0], other))
    metrics = (*stopped.metrics[:2], two, *stopped.metrics[3:])
    text = " ".join(drawn(msgspec.structs.replace(stopped, metrics=metrics)).split())
    assert "v2 may be worse by less than 5pp v3 may be worse by less than 1pp" in text


def test_of_a_broken_trial_nothing_is_read_from_its_numbers(stopped: Report) -> None:
    verdict = msgspec.structs.replace(stopped.verdict, decision="unhealthy", reasons=())

    text = drawn(msgspec.structs.replace(stopped, verdict=verdict))

    assert text.index("the numbers below are of a broken trial") < text.index("conversion (primary")
    assert "chance to beat" in drawn(stopped)
    for word in ("chance", "inconclusive", "v2: within", "minimum effect", "corrected for"):
        assert word not in text


def test_why_an_arm_has_no_correction_for_when_the_trial_stopped(stopped: Report) -> None:
    why = "v2: crossed its bound at an earlier look, so there is no correction"

    assert why not in drawn(stopped)
    assert why in drawn(changed(stopped, 0, stopped=None))
    going_on = msgspec.structs.replace(stopped.progress, decided_at=None)
    assert why not in drawn(msgspec.structs.replace(changed(stopped, 0, stopped=None), progress=going_on))


def test_what_passed_is_one_line_and_what_failed_comes_first(stopped: Report) -> None:
    checks = (
        HealthPart(check="sample_ratio", passed=True, p_value=0.25, detail="even"),
        HealthPart(check="clocks", passed=None, p_value=None, detail="some are late"),
        HealthPart(check="one_key", passed=False, p_value=None, detail="two keys"),
        HealthPart(check="one_arm", passed=True, p_value=None, detail="none met two"),
    )

    text = drawn(msgspec.structs.replace(stopped, health=checks))
    assert "passed: sample_ratio (p 0.2500), one_arm" in text
    assert text.index("one_key") < text.index("clocks") < text.index("passed:")
    assert "none met two" not in text

    sound = drawn(msgspec.structs.replace(stopped, health=(checks[0],)))
    assert "Health\npassed: sample_ratio (p 0.2500)" in sound.replace(" \n", "\n")


@pytest.mark.parametrize("width", [80, 120])
def test_a_blank_line_stands_before_every_section(stopped: Report, width: int) -> None:
    lines = [line.strip() for line in drawn(stopped, width).splitlines()]
    heads = [i for i, line in enumerate(lines) if line.startswith(("Units:", "Looks", "Health", "Method"))]
    heads += [i for i, line in enumerate(lines) if line.endswith(" over time") or "(primary" in line]

    assert len(heads) == 8
    assert all(not lines[i - 1] for i in heads)


def test_a_metric_in_percent_is_shown_so_whatever_its_kind(stopped: Report) -> None:
    """As the ratio of failed requests by all."""
    ctr = msgspec.structs.replace(stopped.metrics[3], in_percent=True)
    assert ctr.arms[0].value is not None

    text = drawn(msgspec.structs.replace(stopped, metrics=(*stopped.metrics[:3], ctr)))

    assert shown(ctr.arms[0].value, MetricKind.PROPORTION) in text
    assert shown(ctr.arms[0].value, MetricKind.RATIO) not in text


def test_a_curve_says_how_much_of_it_is_shown_and_what_a_slope_is_worth(stopped: Report) -> None:
    over_time = stopped.over_time
    assert over_time is not None
    course = over_time.courses[0]
    point = msgspec.structs.replace(course.by_day[0], days=1)
    trend = TrendPart(
        together=1,
        days=(point.effect,),
        slope=-0.01,
        interval=(-0.02, -0.005),
        p_value=0.001,
        relative_slope=-0.0004,
        relative_interval=(-0.02, 0.019),
        drift="none",
        not_estimable=None,
    )

    def told(number: int, since: TrendPart) -> str:
        one = msgspec.structs.replace(course, grown=(point,) * number, by_day=(point,), since_exposure=since)
        part = msgspec.structs.replace(over_time, courses=(one,))
        return " ".join(drawn(msgspec.structs.replace(stopped, over_time=part)).split())

    text = told(19, trend)
    assert "10 of 19 days; all are in --json" in text
    assert "-1.00pp a day (-2.00pp to -0.50pp), p 0.0010; as a share of the arms' values 0%" in text
    assert "(-2.0% to +1.9%): no trend of the effect can be told" in text
    text = told(10, msgspec.structs.replace(trend, drift="novelty"))
    assert "all are in --json" not in text
    assert "p 0.0010: it fades: novelty" in text


def test_shares_chances_and_durations_are_shown_as_people_write_them() -> None:
    assert list(map(shown_share, (-0.0001, 0.0, 0.0004, -0.025))) == ["0%", "0%", "0%", "-2.5%"]
    assert list(map(shown_chance, (1.0, 0.9993, 0.5, 0.0))) == ["> 99.9%", "> 99.9%", "50.0%", "< 0.1%"]
    told = [shown_duration(seconds) for seconds in (0, 90, 120, 3600, 1_209_600)]
    assert told == ["0s", "90s", "2m", "1h", "14d"]


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
        (MetricKind.RATIO, 0.00004854, "0.00004854", "+0.00004854"),
        (MetricKind.PROPORTION, -1e-9, "0.00%", "+0.00pp"),
        (MetricKind.QUANTILE, 1234.56, "1,235", "+1,235"),
        (MetricKind.MEAN, 12.3456, "12.35", "+12.35"),
        (MetricKind.MEAN, 1.5e12, "1.5e+12", "+1.5e+12"),
    ],
)
def test_numbers_are_shown_by_kind(kind: MetricKind, value: float, expected: str, effect: str) -> None:
    assert (shown(value, kind), shown_effect(value, kind)) == (expected, effect)
