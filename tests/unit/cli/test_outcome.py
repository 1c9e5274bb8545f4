from pathlib import Path

import pytest
from typer.testing import CliRunner

from meshtrial.cli.main import app
from meshtrial.collect import importing
from meshtrial.errors import SettingError

NEEDED = ["--unit-column", "user", "--unit-kind", "request", "--name", "visit", "--time-column", "at"]


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for variable in ("MESHTRIAL_COLLECTOR", "MESHTRIAL_TOKEN_FILE", "MESHTRIAL_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("MESHTRIAL_TOKEN", "secret")
    monkeypatch.setattr(importing, "PAUSES", ())
    path = tmp_path / "visits.csv"
    path.write_text("user,at\nann,1772366400\n")
    return path


def refusal(*arguments: str) -> str:
    with pytest.raises(SettingError) as refused:
        CliRunner().invoke(app, ["outcome", "import", *arguments], catch_exceptions=False)
    return str(refused.value)


def test_the_collector_may_stand_in_the_settings_file(file: Path) -> None:
    Path("meshtrial.toml").write_text('collector = "http://127.0.0.1:1"\n')

    assert refusal(str(file), *NEEDED) == (
        "http://127.0.0.1:1 takes no outcomes: [Errno 111] Connection refused. "
        "Run the command again to go on from here"
    )


def test_without_a_token_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MESHTRIAL_TOKEN")

    assert refusal("nowhere.csv", *NEEDED) == (
        "no outcome token: set MESHTRIAL_TOKEN to that of `meshtrial collect`, or --token-file FILE"
    )


def test_a_file_that_is_not_there_or_of_no_known_format_is_one_error(file: Path) -> None:
    assert refusal("nowhere.csv", *NEEDED) == "nowhere.csv cannot be read: No such file or directory"
    assert (
        refusal(str(file.rename("visits")), *NEEDED)
        == "visits: is it csv, jsonl or parquet? Say so with --format"
    )
    assert "takes no outcomes" in refusal(
        "visits", "--format", "csv", *NEEDED, "--collector", "http://127.0.0.1:1"
    )


def test_the_name_is_given_once(file: Path) -> None:
    assert refusal(str(file), *NEEDED, "--name-column", "user") == (
        "give the outcomes' name by --name, or by --name-column the column that has it"
    )
