"""`meshtrial size --experiment`: the plan says the rule, the flags what is supposed."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from meshtrial.cli.size import size
from meshtrial.errors import SettingError
from meshtrial.stats.size_rates import Rates
from plan_values import on, plan_text

METRICS = {
    "conversion": {"kind": "proportion", "outcome": "purchase", "window": "7d"},
    "revenue": {"kind": "mean", "outcome": "purchase", "value": "amount", "window": "7d"},
    "latency": {"kind": "quantile", "q": 0.95, "request": "duration_ms", "window": "1d"},
}

A_SHARE = "must be a percentage such as 12%, or a share such as 0.12"
NO_METRIC = "the decision has no metric"
NOT_BEYOND = "an effect of -0.02 does not lie beyond what is required; expect a larger one"

app = typer.Typer(rich_markup_mode="markdown")
app.callback()(lambda: None)
app.command()(size)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return tmp_path / "plan.yaml"


def write(plan: Path, keys: Any = None, **decision: Any) -> None:
    made: dict[str, Any] = on("/r", **(keys or {}))
    made["decision"] |= decision
    plan.write_text(plan_text({"rank-v2": made}, metrics=METRICS))


def run(plan: Path, *flags: str) -> str:
    words = ["size", "--plan", str(plan), "--experiment", "rank-v2", *flags]
    result = CliRunner().invoke(app, words, catch_exceptions=False, env={"COLUMNS": "120"})
    assert result.exit_code == 0
    return result.output


def document(plan: Path, *flags: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(plan, *flags, "--json"))
    return found


def test_it_says_whether_the_planned_units_are_enough_and_how_long_they_take(plan: Path) -> None:
    write(plan)
    said = run(plan, "--baseline", "conversion=12%", "--units-per-day", "500")
    assert said.startswith(
        "planned_units 8,876 is enough: 8,875 are needed, most of all by conversion of v2\n"
        "25 days as planned, 25 days as needed, at 500 new units a day:"
        " windows, lateness and minimum duration included\n"
    )
    assert re.search(r"│ conversion │ v2 +│ +\+2pp │ +5% │ 8,875 │ +8,875 │ +80\.0% │", said)
    write(plan, planned_units=5000)
    said = run(plan, "--baseline", "conversion=12%")
    assert said.startswith("planned_units 5,000 is not enough: 8,875 are needed, by conversion of v2\n")


RULE: dict[str, Any] = {
    "method": "group_sequential",
    "looks": 5,
    "guardrails": [
        {"metric": "revenue", "direction": "up", "margin": "10% relative"},
        {"metric": "latency", "direction": "down", "margin": 50},
    ],
}
SUPPOSED = (
    "--baseline", "conversion=12%", "--baseline", "revenue=12", "--sd", "revenue=30",
    "--baseline", "latency=250", "--median", "latency=80", "--events", "latency=12",
)  # fmt: skip


def test_guardrails_looks_and_supposed_spreads_are_counted(plan: Path) -> None:
    write(plan, **RULE)
    found = document(plan, *SUPPOSED, "--removed", "revenue=30%", "--units-per-day", "1000")
    conversion, revenue, latency = found["metrics"]
    assert (found["method"], found["planned_units"], found["enough"]) == ("group_sequential", 8876, False)
    assert found["needed_units"] == pytest.approx(max(m["units"] for m in found["metrics"]), abs=1)
    assert [m["power"] for m in found["metrics"]] == pytest.approx([1 - 0.2 / 3] * 3)
    once = 2 * Rates(0.12, 0.02).size(0.05, 1 - 0.2 / 3)
    assert conversion["units_with_one_look"] == pytest.approx(once)
    assert conversion["units"] / once == pytest.approx(conversion["inflation"])
    assert 1.0 < conversion["inflation"] < 1.03
    assert (revenue["role"], revenue["tested_against"], revenue["relative"]) == ("guardrail", -0.1, True)
    variance = 900 * 0.7 * (1 + 0.9**2)
    assert revenue["units_with_one_look"] == pytest.approx(2 * 11.97 * variance / 1.2**2, rel=5e-3)
    assert (latency["tested_against"], latency["relative"]) == (50.0, False)
    assert found["days_planned"] == pytest.approx(14 + 7 + 1 / 24, abs=1e-3)
    planned = next(point for point in found["curve"] if point["units"] == 8876)
    assert planned["metrics"][0]["power"] == conversion["as_planned"]["power"]

    said = run(plan, *SUPPOSED)
    assert "For a power of 80% with 2 guardrails each metric has 93.3333%" in said
    assert "over -10% of control" in said
    assert "under +50" in said
    assert "2.5% of 1 side" in said


def test_the_curve_has_a_column_for_each_metric(plan: Path) -> None:
    write(plan)
    said = run(plan, "--baseline", "conversion=12%", "--units-per-day", "1000", "--curve")
    assert re.search(r"│ +4,438 │ +4\.4 │ +50\.\d% +\+2\.8\dpp │", said)
    assert re.search(r"│ +17,750 │ +17\.8 │ +97\.\d% +\+1\.4pp │", said)


def test_an_expected_effect_a_sequential_trial_and_cohorts_are_said(plan: Path) -> None:
    cohorts = {"near": [{"header": "x-country", "in": ["IN"]}]}
    made: dict[str, Any] = on("/r")
    made["arms"] = {
        "v1": {"weight": {"default": 50, "near": 90}, "cluster": "a"},
        "v2": {"weight": {"default": 50, "near": 10}, "cluster": "b"},
    }
    made["decision"] |= {"method": "sequential"}
    plan.write_text(plan_text({"rank-v2": made}, cohorts=cohorts))
    said = run(plan, "--baseline", "conversion=12%", "--effect", "conversion=3pp", "--units-per-day", "1000")
    assert "planned_units 8,876 is enough" in said
    assert "+3pp" in said
    assert "looked at 9 times, evenly spaced, and then given up" in said
    assert "Shares of the arms are those of the default cohort" in said


def test_groups_take_how_alike_their_members_are(plan: Path) -> None:
    write(plan, {"unit": {"group": {"header": "x-store"}, "members": {"header": "x-user-id"}}})
    flags = ("--baseline", "conversion=12%", "--icc", "conversion=2%", "--group-size", "50")
    assert document(plan, *flags)["needed_units"] == pytest.approx(17_658, abs=2)
    assert document(plan, *flags)["metrics"][0]["design_effect"] == pytest.approx(1.98)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            (),
            f"--baseline of conversion {A_SHARE}, not left out",
        ),
        (("--baseline", "12%"), "--baseline must be METRIC=VALUE, such as conversion=12%, not 12%"),
        (
            ("--baseline", "conversions=12%"),
            f"--baseline conversions=12%: {NO_METRIC} `conversions`; did you mean `conversion`?",
        ),
        (
            ("--baseline", "conversion=12%", "--baseline", "conversion=13%"),
            "--baseline is given twice for conversion",
        ),
        (
            ("--baseline", "conversion=120%"),
            "conversion: baseline must be above 0 and below 1, not 1.2",
        ),
        (
            ("--baseline", "conversion=12%", "--icc", "conversion=2%", "--group-size", "5"),
            "rank-v2 gives arms to units, not to groups: leave out --icc, --group-size",
        ),
        (
            ("--baseline", "conversion=12%", "--effect", "conversion=-2pp"),
            f"no size can be given: conversion: {NOT_BEYOND}",
        ),
    ],
)
def test_what_the_flags_lack_is_said_with_the_metric(
    plan: Path, flags: tuple[str, ...], message: str
) -> None:
    write(plan)
    with pytest.raises(SettingError) as refused:
        run(plan, *flags)
    assert str(refused.value) == message


def test_groups_of_which_nothing_is_said_are_refused(plan: Path) -> None:
    write(plan, {"unit": {"group": {"header": "x-store"}, "members": {"header": "x-user-id"}}})
    with pytest.raises(
        SettingError, match="gives arms to groups: say --group-size, and --icc of each metric"
    ):
        run(plan, "--baseline", "conversion=12%")


def test_the_page_shows_what_the_plan_of_the_readme_needs(plan: Path) -> None:
    root = Path(__file__).parents[3]
    [text] = re.findall(r"```yaml\n(.*?)```", (root / "README.md").read_text("utf-8"), re.DOTALL)
    plan.write_text(text)
    page = (root / "docs/sample-size.md").read_text("utf-8")
    [flags, shown] = re.findall(
        r"meshtrial size --plan plan.yaml --experiment rank-v2 (.*?)\n```\n\n```text\n(.*?)```",
        page,
        re.DOTALL,
    )[0]
    assert run(plan, *flags.split()) == shown
