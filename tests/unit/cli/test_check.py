import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from meshtrial.cli.check import check
from meshtrial.errors import MeshtrialError, PlanError, SettingError
from meshtrial.plan.load import load

PLANS = Path(__file__).parents[2] / "plans"
MINIMAL = PLANS / "good" / "minimal.yaml"
FULL = PLANS / "good" / "full.yaml"
BAD = PLANS / "bad" / "range-all.yaml"

app = typer.Typer()
app.command()(check)


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False, terminal_width=120)
    assert result.exit_code == 0
    return result.stdout


def test_a_good_plan_is_summed_up() -> None:
    said = run(FULL)
    digest = load(FULL.read_text("utf-8"), "full.yaml").digest

    assert f"{FULL}: valid, 1 experiment" in said
    assert f"digest {digest}" in said
    assert "rank-v2: path /v1/recommend on route recommend, by header x-user-id" in said
    assert "v1 (control) │ 49.9% │ model-v1" in said
    assert "v3           │  0.1% │ model-v3 │ x-model-family: trees, x-model-version: 3" in said
    assert "v0           │    0% │ model-v0" in said
    assert (
        "judged once on conversion, returns, revenue, refunds, after 120,000 units over at least 14 days"
        in said
    )


def test_every_plan_and_every_experiment_is_summed_up() -> None:
    said = run(MINIMAL, PLANS / "good" / "two-experiments.yaml")

    assert "minimal.yaml: valid, 1 experiment" in said
    assert "two-experiments.yaml: valid, 2 experiments" in said
    assert said.index("rank.v2: path /recommend") < said.index("search: path /search")


def test_json_says_all_that_the_plan_means() -> None:
    (document,) = json.loads(run("--json", MINIMAL))["plans"]

    assert document == {
        "file": str(MINIMAL),
        "plan": load(MINIMAL.read_text("utf-8"), "minimal.yaml").digest,
        "error": None,
        "problems": [],
        "experiments": [
            {
                "experiment": "rank-v2",
                "match": {"route": None, "path_prefix": None},
                "unit": "header:x-user-id",
                "hash": "md5",
                "buckets": 10_000,
                "salt": "rank-v2",
                "phase": document["experiments"][0]["phase"],
                "arms": [
                    {
                        "arm": "v2",
                        "control": False,
                        "share": 0.5,
                        "buckets": 5000,
                        "cluster": "model-v2",
                        "headers": {},
                    },
                    {
                        "arm": "v1",
                        "control": True,
                        "share": 0.5,
                        "buckets": 5000,
                        "cluster": "model-v1",
                        "headers": {},
                    },
                ],
                "decision": {
                    "method": "fixed",
                    "alpha": 0.05,
                    "power": 0.8,
                    "planned_units": 8876,
                    "minimum_duration": 1_209_600,
                    "primary": [
                        {
                            "metric": "conversion",
                            "direction": "up",
                            "minimum_effect": 0.02,
                            "scale": "absolute",
                            "window": 604_800,
                        }
                    ],
                },
            }
        ],
    }


def test_a_bad_plan_is_the_loaders_own_error() -> None:
    with pytest.raises(PlanError) as refused:
        check([BAD])

    assert [problem.rule for problem in refused.value.problems] == ["range"] * 4


def test_all_problems_of_all_files_are_reported_and_the_good_ones_summed_up(
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = PLANS / "bad" / "weights-sum.yaml"
    with pytest.raises(MeshtrialError) as refused:
        check([BAD, MINIMAL, other, Path("absent.yaml")])

    lines = str(refused.value).splitlines()
    assert [line.partition(": $")[0] for line in lines[:5]] == [
        *(f"{BAD}:{line}" for line in (8, 14, 15, 16)),
        f"{other}:8",
    ]
    assert lines[5] == "the plan absent.yaml cannot be read: No such file or directory"
    assert "minimal.yaml: valid" in capsys.readouterr().out


def test_json_holds_the_problems_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(MeshtrialError):
        check([BAD, Path("absent.yaml"), MINIMAL], as_json=True)
    bad, absent, good = json.loads(capsys.readouterr().out)["plans"]

    assert bad["plan"] is None
    assert bad["problems"][0] == {
        "line": 8,
        "path": "$.experiments.rank-v2.buckets",
        "rule": "range",
        "message": "must be a whole number from 2 to 2,147,483,648, not 4,294,967,296",
    }
    assert absent["error"] == "the plan absent.yaml cannot be read: No such file or directory"
    assert (absent["problems"], absent["experiments"]) == ([], [])
    assert good["error"] is None


def test_one_file_that_cannot_be_read_is_that_error() -> None:
    with pytest.raises(SettingError):
        check([Path("absent.yaml")])


def test_text_of_a_plan_is_not_taken_for_markup(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(MINIMAL.read_text("utf-8").replace("cluster: model-v2", "cluster: 'x[red]y[/]'"), "utf-8")

    assert "x[red]y[/]" in run(path)


def test_a_file_whose_name_is_no_text_is_reported_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SettingError) as refused:
        check([Path("\udcff.yaml")], as_json=True)

    assert str(refused.value) == r"the plan \udcff.yaml cannot be read: No such file or directory"
    assert json.loads(capsys.readouterr().out)["plans"][0]["file"] == r"\udcff.yaml"
