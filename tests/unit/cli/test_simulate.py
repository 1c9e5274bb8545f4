"""`meshtrial simulate`: what it prints, and that processes do not change it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from meshtrial.cli.simulate import simulate
from meshtrial.errors import SettingError
from plan_values import on, plan_text

METRICS = {
    "conversion": {"kind": "proportion", "outcome": "purchase", "window": "1d"},
    "revenue": {"kind": "mean", "outcome": "purchase", "value": "amount", "window": "1d", "cap": 900},
    "latency": {"kind": "quantile", "q": 0.95, "request": "duration_ms", "window": "1d"},
}
KNOWN = ("--baseline", "conversion=30%", "--units-per-day", "1000", "--runs", "60")

A_SHARE = "must be a percentage such as 12%, or a share such as 0.12"

app = typer.Typer()
app.callback()(lambda: None)
app.command()(simulate)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return tmp_path / "plan.yaml"


def write(plan: Path, keys: Any = None, **decision: Any) -> None:
    made: dict[str, Any] = on("/r", **(keys or {}))
    primary = {"metric": "conversion", "direction": "up", "minimum_effect": "10pp"}
    made["decision"] |= {"planned_units": 1500, "minimum_duration": "1d", "primary": [primary]} | decision
    plan.write_text(plan_text({"rank-v2": made}, metrics=METRICS))


def run(plan: Path, *flags: str) -> str:
    words = ["simulate", str(plan), "rank-v2", *flags]
    result = CliRunner().invoke(app, words, catch_exceptions=False, env={"COLUMNS": "80"})
    assert result.exit_code == 0
    return result.output


def document(plan: Path, *flags: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(plan, *flags, "--json"))
    return found


def test_it_says_how_often_the_rule_errs_and_finds_and_how_long_it_takes(plan: Path) -> None:
    write(plan)
    said = run(plan, *KNOWN, "--jobs", "1")
    assert re.match(r"Without an effect a trial ships in [0-9.]+% \(", said)
    assert re.search(r"With the minimum effect it ships v2 in (9[0-9.]+|100)% \(", said)
    for row in ("ship", "keep_control", "roll_back", "review", "wait", "days on average", "units on average"):
        assert f"│ {row}" in said
    assert "minimum effect: conversion +10.00pp in v2" in said
    assert "60 trials each" in said
    assert max(map(len, said.splitlines())) <= 80


def test_the_document_holds_counts_with_their_intervals(plan: Path) -> None:
    write(plan)
    found = document(plan, *KNOWN, "--jobs", "1", "--seed", "5")
    assert {name: found[name] for name in ("experiment", "method", "runs", "seed", "units_per_day")} == {
        "experiment": "rank-v2",
        "method": "fixed",
        "runs": 60,
        "seed": 5,
        "units_per_day": 1000.0,
    }
    none, least = found["scenarios"]
    assert [none["name"], least["name"]] == ["no effect", "minimum effect"]
    assert least["effects"] == {"conversion": 0.1}
    for scenario in found["scenarios"]:
        assert sum(one["count"] for one in scenario["decisions"].values()) == 60
        assert scenario["shipped"]["v2"] == scenario["decisions"]["ship"]
        for one in scenario["decisions"].values():
            assert one["low"] <= one["share"] == one["count"] / 60 <= one["high"]
        assert scenario["units"]["mean"] == pytest.approx(1520, abs=40)
        assert scenario["days"]["mean"] == pytest.approx(1.5 + 1 + 1 / 24, abs=0.1)


def test_more_processes_give_the_same_numbers(plan: Path) -> None:
    write(plan)
    flags = (*KNOWN[:-1], "120", "--effect", "conversion=5pp")
    assert document(plan, *flags, "--jobs", "2") == document(plan, *flags, "--jobs", "1")


def test_another_seed_gives_other_numbers(plan: Path) -> None:
    write(plan)
    one, other = (document(plan, *KNOWN, "--jobs", "1", "--seed", seed)["scenarios"] for seed in "12")
    assert one != other


def test_a_given_effect_is_a_scenario_of_its_own_and_models_are_named(plan: Path) -> None:
    write(
        plan,
        method="sequential",
        guardrails=[
            {"metric": "latency", "direction": "down", "margin": 20},
            {"metric": "revenue", "direction": "up", "margin": 3},
        ],
    )
    flags = (
        *KNOWN, "--baseline", "latency=250", "--median", "latency=80", "--baseline", "revenue=12",
        "--sd", "revenue=20", "--shape", "revenue=lognormal", "--effect", "latency=300", "--days", "6",
        "--jobs", "1",
    )  # fmt: skip
    found = document(plan, *flags)
    given = found["scenarios"][2]
    assert (given["name"], given["effects"]) == ("given effect", {"latency": 300.0})
    assert given["decisions"]["roll_back"]["share"] > 0.9
    assert (found["days_at_most"], found["days_between_looks"]) == (6.0, 1.0)
    said = run(plan, *flags)
    assert "Looked at each day, and given up as `wait` after 6.0 days." in said
    assert "Quantiles are drawn as normal" in said
    assert "Caps are not applied" in said


def test_several_arms_have_rows_of_their_own(plan: Path) -> None:
    arms = {arm: {"weight": weight, "cluster": arm} for arm, weight in (("v1", 34), ("v2", 33), ("v3", 33))}
    write(plan, {"arms": arms})
    said = run(plan, *KNOWN, "--jobs", "1")
    assert "│ ship v3" in said
    assert "The other arms are as control." in said


@pytest.mark.parametrize(
    ("keys", "flags", "message"),
    [
        (
            {"unit": {"group": {"header": "x-store"}, "members": {"header": "x-user-id"}}},
            KNOWN,
            "this cannot be simulated: groups are not simulated: only units independent of each other",
        ),
        (
            {},
            KNOWN[2:],
            f"--baseline of conversion {A_SHARE}, not left out",
        ),
        (
            {},
            (*KNOWN, "--effect", "conversion=80pp", "--jobs", "1"),
            "this cannot be simulated: baseline plus effect must be above 0 and below 1, not 1.1",
        ),
        (
            {},
            (*KNOWN, "--shape", "conversion=odd"),
            "--shape must be one of normal, lognormal, not odd",
        ),
        (
            {},
            (*KNOWN, "--shape", "conversion=lognormal"),
            "this cannot be simulated: conversion: only a mean above 0 has lognormal values",
        ),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_one_sentence(
    plan: Path, keys: Any, flags: tuple[str, ...], message: str
) -> None:
    write(plan, keys)
    with pytest.raises(SettingError) as refused:
        run(plan, *flags)
    assert str(refused.value) == message
