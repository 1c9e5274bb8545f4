import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from meshtrial.cli.check import check
from meshtrial.errors import MeshtrialError, PlanError, SettingError
from meshtrial.plan.load import load
from plan_values import experiment, plan_text

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
    assert (
        "rank-v2: requests on route recommend, whose path begins with /v1/recommend, by header x-user-id"
        in said
    )
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
    first, second = (f"{name}: requests whose path begins with /" for name in ("rank.v2", "search"))
    assert said.index(first) < said.index(second)


def test_json_says_all_that_the_plan_means() -> None:
    (document,) = json.loads(run("--json", MINIMAL))["plans"]

    assert document == {
        "file": str(MINIMAL),
        "plan": load(MINIMAL.read_text("utf-8"), "minimal.yaml").digest,
        "error": None,
        "problems": [],
        "metrics": [
            {"metric": "conversion", "kind": "proportion", "outcome": "purchase", "window": "604800s"}
        ],
        "layers": [],
        "cohorts": [],
        "experiments": [
            {
                "experiment": "rank-v2",
                "match": {"route": None, "host": None, "path_prefix": None, "method": None, "headers": {}},
                "audience": [],
                "unit": "header:x-user-id",
                "unit_definition": {"header": "x-user-id"},
                "layer": None,
                "slice": None,
                "hash": "md5",
                "buckets": 10_000,
                "salt": "rank-v2",
                "phase": document["experiments"][0]["phase"],
                "mode": "running",
                "ramp": 1.0,
                "sticky": False,
                "carry": False,
                "exposures": "first",
                "response_outcomes": False,
                "strata": [],
                "neighbours": None,
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
                "splits": [
                    {
                        "cohort": "default",
                        "arms": [
                            {"arm": "v2", "control": False, "share": 0.5, "buckets": 5000},
                            {"arm": "v1", "control": True, "share": 0.5, "buckets": 5000},
                        ],
                    }
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
                            "require_above": None,
                        }
                    ],
                    "guardrails": [],
                    "secondary": [],
                    "lateness": 3600,
                    "gatekeeping": False,
                    "looks": None,
                    "boundary": None,
                    "futility": None,
                },
            }
        ],
    }


INFERENCE = PLANS / "good" / "inference.yaml"


def test_methods_looks_guardrails_and_secondaries_are_shown() -> None:
    lines = run(INFERENCE).splitlines()

    for line in (
        "judged at any time on conversion, planned for 40,000 units over at least 7 days",
        "judged once on orders, after 2,000 units over at least 14 days",
        (
            "judged at 5 looks (20%, 40%, 60%, 80%, 100% of the units) on conversion, orders, ctr, in this "
            "order, at the latest after 40,000 units over at least 14 days"
        ),
        "boundary of Wang-Tsiatis 0.25",
        "stops early for futility: beta spent as Hwang-Shih-DeCani -2",
        "must surpass control in conversion by 0.5% of control's value, ctr by 0.001",
        (
            "guardrails: error_rate (down is better) may be worse by less than 0.5pp, "
            "latency_p95 (down is better) may be worse by less than 10% of control's value, "
            "retention (up is better) may be worse by less than 1pp, "
            "latency (down is better) may be worse by less than 20"
        ),
        "looked at too: basket, revenue (up), profit",
        "outcomes count until 0 seconds after a window's end",
        "outcomes count until 2 hours after a window's end",
        "judged every 7 days on revenue, at the latest after 40,000 units over at least 14 days",
        "alpha spent as Hwang-Shih-DeCani -4",
        "neighbours of its group: header x-neighbours",
    ):
        assert line in lines
    assert any(line.endswith("windows of 30 minutes, carried over for 30 minutes") for line in lines)


def test_json_has_metrics_methods_looks_guardrails_and_secondaries() -> None:
    (document,) = json.loads(run("--json", INFERENCE))["plans"]
    metrics = {found["metric"]: found for found in document["metrics"]}
    decisions = {found["experiment"]: found["decision"] for found in document["experiments"]}
    planned, uneven, weekly = (decisions[f"{name}-looks"] for name in ("planned", "uneven", "weekly"))

    assert metrics["latency_p95"] == {
        "metric": "latency_p95", "kind": "quantile", "q": 0.95, "request": "duration_ms", "window": "86400s",
    }  # fmt: skip
    assert (planned["method"], planned["lateness"], planned["gatekeeping"]) == ("group_sequential", 0, True)
    assert planned["looks"] == {"shares": [0.2, 0.4, 0.6, 0.8, 1], "every": None}
    assert planned["boundary"] == {"shape": "wang_tsiatis", "parameter": 0.25, "spending": False}
    assert planned["futility"] == {"shape": "hwang_shih_decani", "parameter": -2, "spending": True}
    assert [found["require_above"] for found in planned["primary"]] == [
        {"value": 0.005, "scale": "relative"},
        None,
        {"value": 0.001, "scale": "absolute"},
    ]
    assert planned["guardrails"][:2] == [
        {"metric": "error_rate", "direction": "down", "margin": 0.005, "scale": "absolute"},
        {"metric": "latency_p95", "direction": "down", "margin": 0.1, "scale": "relative"},
    ]
    assert planned["secondary"] == [
        {"metric": "basket", "direction": None},
        {"metric": "revenue", "direction": "up"},
        {"metric": "profit", "direction": None},
    ]
    assert uneven["looks"] == {"shares": [0.25, 0.5, 1], "every": None}
    assert weekly["looks"] == {"shares": [], "every": 604_800}
    assert weekly["boundary"] == {"shape": "hwang_shih_decani", "parameter": -4, "spending": True}
    assert (decisions["any-time"]["method"], decisions["any-time"]["looks"]) == ("sequential", None)
    assert {found["experiment"]: found["neighbours"] for found in document["experiments"]}[
        "weekly-looks"
    ] == ("header:x-neighbours")


def whole(tmp_path: Path) -> Path:
    """A plan with everything that `check` shows."""
    arms = {"v1": {"weight": {"default": 50, "firm": 90}}, "v2": {"weight": {"default": 50, "firm": 10}}}
    path = tmp_path / "plan.yaml"
    path.write_text(
        plan_text(
            {
                "one": {
                    **experiment(arms, layer="shared", slice=["0%", "50%"], ramp="10%", sticky=True),
                    "strata": ["x-country"],
                    "unit": {"header": "x-user-id"},
                },
                "two": experiment(
                    {"a": {"weight": 50}, "b": {"weight": 50}},
                    unit={"switchback": {"key": {"query": "city"}, "window": "30m", "washout": "5m"}},
                    audience=[{"any": [{"header": "x-country", "in": ["IN"]}, {"percentage": "5%"}]}],
                    paused=True,
                    exposures="all",
                ),
            },
            cohorts={"firm": [{"header": "x-plan", "in": ["firm"]}]},
            layers={"shared": {"unit": {"header": "x-user-id"}, "holdout": "2%"}},
        )
    )
    return path


def test_layers_cohorts_and_what_is_set_of_an_experiment_are_shown(tmp_path: Path) -> None:
    said = run(whole(tmp_path))

    assert "layer shared: by header x-user-id" in said
    assert "│ (holdout) │    2% │       0 - 199 │ █                                        │" in said
    assert "│ one       │   48% │   200 - 4,999 │ ████████████████████                     │" in said
    assert "│ (free)    │   50% │ 5,000 - 9,999 │                     ████████████████████ │" in said
    assert "cohort firm: header x-plan is one of firm" in said
    assert "│ v2           │    5% │            1% │" in said
    assert "layer shared, buckets 200 - 4,999 of 10,000" in said
    assert "ramp 10%: so much of each arm's buckets is live, the rest control's" in said
    assert "sticky: a unit keeps its first arm" in said
    assert "strata: x-country" in said
    assert (
        "two: every request, by query city in windows of 30 minutes, the first 5 minutes not analysed" in said
    )
    assert "paused: every request gets control" in said
    assert "audience: (header x-country is one of IN or 5% of units)" in said
    assert "every exposure is recorded" in said


def test_json_has_layers_cohorts_and_splits(tmp_path: Path) -> None:
    (document,) = json.loads(run("--json", whole(tmp_path)))["plans"]
    one, two = document["experiments"]

    assert document["layers"] == [
        {
            "layer": "shared",
            "unit": "header:x-user-id",
            "unit_definition": {"header": "x-user-id"},
            "hash": "md5",
            "buckets": 10_000,
            "salt": "shared",
            "buckets_owned": [
                {"experiments": [], "holdout": True, "start": 0, "end": 200, "share": 0.02},
                {"experiments": ["one"], "holdout": False, "start": 200, "end": 5000, "share": 0.48},
                {"experiments": [], "holdout": False, "start": 5000, "end": 10_000, "share": 0.5},
            ],
        }
    ]
    assert document["cohorts"] == [
        {"cohort": "firm", "audience": [{"header": "x-plan", "in": ["firm"]}]},
    ]
    assert (one["layer"], one["slice"], one["ramp"], one["sticky"]) == (
        "shared", {"start": 200, "end": 5000}, 0.1, True,
    )  # fmt: skip
    shares = {s["cohort"]: [(a["arm"], a["share"], a["buckets"]) for a in s["arms"]] for s in one["splits"]}
    assert shares == {
        "default": [("v1", 0.95, 5000), ("v2", 0.05, 5000)],
        "firm": [("v1", 0.99, 9000), ("v2", 0.01, 1000)],
    }
    assert (two["mode"], two["exposures"]) == ("paused", "all")
    assert two["unit_definition"]["switchback"]["key"] == {"query": "city"}
    assert two["audience"] == [{"any": [{"header": "x-country", "in": ["IN"]}, {"percentage": "5%"}]}]


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
    assert [absent[key] for key in ("problems", "metrics", "layers", "cohorts", "experiments")] == [[]] * 5
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
