import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from meshtrial.cli.diff import diff
from meshtrial.errors import PlanError
from meshtrial.plan.load import load
from plan_values import experiment, plan_text

app = typer.Typer()
app.command()(diff)


def arms(weight: int) -> dict[str, dict[str, object]]:
    return {"v1": {"weight": 100 - weight}, "v2": {"weight": weight}}


@pytest.fixture
def plans(tmp_path: Path) -> tuple[Path, Path]:
    """The share of v2 grows in `grown`, shrinks in `shrunk`, and nothing happens to `same`."""
    found = []
    for name, (grown, shrunk) in {"old": (10, 40), "new": (30, 10)}.items():
        path = tmp_path / f"{name}.yaml"
        weights = {"grown": grown, "same": 50, "shrunk": shrunk}
        entries = {i: experiment(arms(w), match={"path_prefix": f"/{i}"}) for i, w in weights.items()}
        path.write_text(plan_text(entries))
        found.append(path)
    return found[0], found[1]


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False, terminal_width=200)
    assert result.exit_code == 0
    return result.stdout


def test_moves_phases_and_warnings_are_shown(plans: tuple[Path, Path]) -> None:
    old, new = plans
    said = run(old, new)
    before, after = (load(path.read_text(), "plan").experiment("grown") for path in plans)
    assert before is not None
    assert after is not None

    assert f"{old} -> {new}" in said
    assert f"grown: changed, phase {before.phase} ends, {after.phase} starts" in said
    assert "│ v1   │ v2 │    20% │  22.22% │" in said
    assert "│ v2   │ v1 │    30% │     75% │" in said
    assert said.count("! ") == 1
    assert "! back-to-control: 75% of `v2`'s units go back to control, after they met the arm" in said
    assert "  Rather: let weights and ramp of arms only grow" in said
    assert "unchanged: same" in said


def test_plans_that_mean_the_same_are_said_to(plans: tuple[Path, Path]) -> None:
    old, _ = plans

    assert run(old, old).splitlines() == [f"{old} -> {old}", "the plans mean the same"]


def test_json_has_shares_as_numbers_and_as_fractions(plans: tuple[Path, Path]) -> None:
    document = json.loads(run(*plans, "--json"))
    digests = [load(path.read_text(), "plan").digest for path in plans]
    grown, same, shrunk = document["experiments"]

    assert [document["old"], document["new"]] == digests
    assert (grown["change"], grown["new_phase"], grown["reassigned"], grown["warnings"]) == (
        "changed", True, False, [],
    )  # fmt: skip
    assert grown["moves"] == [
        {
            "cohort": "default",
            "from": {"arm": "v1", "reason": "split"},
            "to": {"arm": "v2", "reason": "split"},
            "share": 0.2,
            "fraction": "1/5",
            "of_from": pytest.approx(2 / 9),
        }
    ]
    assert (same["change"], same["new_phase"], same["moves"]) == ("same", False, [])
    assert [w["bias"] for w in shrunk["warnings"]] == ["back-to-control"]
    assert set(shrunk["phase"]) == {"old", "new"}


def test_an_experiment_that_is_paused_added_or_reassigned_is_shown_as_such(tmp_path: Path) -> None:
    first, second = tmp_path / "1.yaml", tmp_path / "2.yaml"
    a, b = {"path_prefix": "/a"}, {"path_prefix": "/b"}
    first.write_text(plan_text({"a": experiment(match=a), "b": experiment(match=b)}))
    third = {"c": experiment(match={"path_prefix": "/c"})}
    second.write_text(
        plan_text({"a": experiment(match=a, paused=True), "b": experiment(match=b, salt="s"), **third})
    )
    said = run(first, second)

    assert "│ v2   │ (disabled) v1 │    50% │    100% │" in said
    assert "all units are assigned anew; these are the shares to expect" in said
    assert "│ (no experiment) │ v2 │    50% │     50% │" in said


def test_a_bad_plan_is_the_loaders_own_error(plans: tuple[Path, Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("experiments: {}")

    with pytest.raises(PlanError):
        diff(plans[0], bad)
