import hashlib
import json
import os
import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from meshtrial.cli.explain import explain
from meshtrial.errors import PlanError, SettingError
from meshtrial.plan.load import load

GOOD = Path(__file__).parents[2] / "plans" / "good"
FULL = GOOD / "full.yaml"
MINIMAL = GOOD / "minimal.yaml"

app = typer.Typer()
app.command()(explain)


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False, terminal_width=160)
    assert result.exit_code == 0
    return result.stdout


def refusal(plan: Path, experiment: str, unit: str) -> str:
    with pytest.raises(SettingError) as refused:
        explain(plan, experiment, unit)
    return str(refused.value)


def test_each_step_from_the_unit_to_the_arm_is_shown() -> None:
    whole = hashlib.md5(b"rank-v2:u1").hexdigest()
    bucket = int(whole, 16) % 10_000
    said = " ".join(run(MINIMAL, "rank-v2", "u1").split())

    assert "takes part every request, by header x-user-id" in said
    assert "key rank-v2:u1" in said
    assert f"md5 {whole}" in said
    assert f"bucket {bucket:,} of 10,000" in said
    assert bucket < 5000
    assert "arm v2" in said
    assert "cluster model-v2" in said
    assert "sets x-meshtrial-cluster: model-v2" in said
    assert "sets x-meshtrial-arms: rank-v2=v2" in said
    assert f"leaves {bucket:,} when divided by 10,000; the buckets 0 to 4,999 belong to v2" in said
    assert "v2 │ 0 - 4,999 │ 50% │ <- here" in said
    assert "v1 (control) │ 5,000 - 9,999 │ 50% │ │" in said


def test_an_arm_without_a_share_owns_no_buckets() -> None:
    said = " ".join(run(FULL, "rank-v2", "u1").split())

    assert "v0 │ none │ 0%" in said
    assert "v3 │ 0 - 0 │ 0.1%" in said


def test_json_names_every_step() -> None:
    document = json.loads(run("--json", FULL, "rank-v2", "юзер"))
    plan = load(FULL.read_text("utf-8"), "full.yaml")
    key = "rank 2026 Δ:юзер"
    whole = hashlib.md5(key.encode()).hexdigest()
    bucket = int(whole, 16) % 1000
    lanes = [("v3", 0, 1), ("v2", 1, 501), ("v0", 501, 501), ("v1", 501, 1000)]
    arm = next(arm for arm, start, end in lanes if start <= bucket < end)
    headers = {"v2": {"x-model-version": "2"}, "v1": {}}[arm]

    assert document.pop("why").startswith(f"the MD5 of the key, as one integer, leaves {bucket}")
    assert document == {
        "plan": plan.digest,
        "experiment": "rank-v2",
        "phase": plan.experiments[0].phase,
        "match": {"route": "recommend", "path_prefix": "/v1/recommend"},
        "unit_kind": "header:x-user-id",
        "unit": "юзер",
        "key": key,
        "hash": "md5",
        "hashed": whole,
        "buckets": 1000,
        "bucket": bucket,
        "lanes": [
            {"arm": arm, "control": arm == "v1", "start": start, "end": end, "share": (end - start) / 1000}
            for arm, start, end in lanes
        ],
        "arm": arm,
        "cluster": f"model-{arm}",
        "headers": {
            "set": {"x-meshtrial-cluster": f"model-{arm}", "x-meshtrial-arms": f"rank-v2={arm}", **headers},
            "remove": sorted({"x-model-family", "x-model-version"} - headers.keys()),
        },
    }


def test_an_unknown_experiment_is_told_with_those_that_are_known() -> None:
    plan = GOOD / "two-experiments.yaml"

    assert refusal(plan, "rank", "u1") == f"{plan} has no experiment `rank`; it has rank.v2, search"


def test_a_unit_that_no_request_can_have_is_told_with_the_reason() -> None:
    end = ": a request with it goes to control and is not exposed"

    assert refusal(MINIMAL, "rank-v2", "") == f"the unit is empty{end}"
    assert refusal(MINIMAL, "rank-v2", "é" * 513) == f"the unit has 1,026 bytes, the limit is 1,024{end}"
    assert refusal(MINIMAL, "rank-v2", os.fsdecode(b"\xff")) == f"the unit is not UTF-8{end}"


def test_a_unit_of_the_longest_size_is_explained() -> None:
    assert json.loads(run("--json", MINIMAL, "rank-v2", "x" * 1024))["unit"] == "x" * 1024


def test_a_bad_plan_is_the_loaders_own_error() -> None:
    with pytest.raises(PlanError):
        explain(GOOD.parent / "bad" / "range.yaml", "rank-v2", "u1")


def test_a_unit_cannot_steer_the_terminal_and_is_not_taken_for_markup() -> None:
    said = run(MINIMAL, "rank-v2", "\x1b[31m[red]u1")

    assert "\x1b" not in said
    assert re.search(r"unit +\\x1b\[31m\[red\]u1", said)
