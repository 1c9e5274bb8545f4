from pathlib import Path

import pytest
from typer.testing import CliRunner

from meshtrial.cli.main import app
from meshtrial.collect import importing
from meshtrial.errors import SettingError
from plan_values import experiment, plan_text

NEEDED = ["--unit-column", "user", "--arm-column", "arm", "--time-column", "at", "--experiment", "rank-v2"]


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for variable in ("MESHTRIAL_COLLECTOR", "MESHTRIAL_TOKEN_FILE", "MESHTRIAL_CONFIG", "MESHTRIAL_PLAN"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("MESHTRIAL_TOKEN", "secret")
    monkeypatch.setattr(importing, "PAUSES", ())
    (tmp_path / "plan.yaml").write_text(plan_text({"rank-v2": experiment(strata=["x-country"])}))
    path = tmp_path / "assigned.csv"
    path.write_text("user,arm,at\nann,v1,1790000000\n")
    return path


def refusal(*arguments: str) -> str:
    with pytest.raises(SettingError) as refused:
        CliRunner().invoke(app, ["exposure", "import", *arguments], catch_exceptions=False)
    return str(refused.value)


def test_collector_and_plan_may_stand_in_the_settings_file(file: Path) -> None:
    Path("plan.yaml").rename("trial.yaml")
    Path("meshtrial.toml").write_text('collector = "http://127.0.0.1:1"\nplan = "trial.yaml"\n')

    assert refusal(str(file), *NEEDED) == (
        "http://127.0.0.1:1 takes no exposures: [Errno 111] Connection refused. "
        "Run the command again to go on from here"
    )


def test_what_the_plan_does_not_have_is_one_error(file: Path) -> None:
    assert refusal(str(file), *NEEDED[:-1], "rank-v3") == (
        "plan.yaml has no experiment `rank-v3`; did you mean `rank-v2`?"
    )
    assert refusal(str(file), *NEEDED, "--plan", "none.yaml").startswith("the plan none.yaml cannot be read")
    assert refusal(str(file), *NEEDED, "--phase", "0" * 16).startswith(
        "--phase 0000000000000000: the plan has"
    )


def test_a_stratum_is_written_with_its_column(file: Path) -> None:
    assert refusal(str(file), *NEEDED, "--stratum", "x-country") == (
        "--stratum must be HEADER=COLUMN, such as x-country=country, not x-country"
    )
    assert "has no column `country`" in refusal(str(file), *NEEDED, "--stratum", "x-country=country")


def test_without_a_token_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MESHTRIAL_TOKEN")

    assert refusal("nowhere.csv", *NEEDED).startswith("no outcome token: set MESHTRIAL_TOKEN")
