import hashlib
import hmac
import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from meshtrial.cli.force import force
from meshtrial.errors import SettingError

SECRET = "sixteen bytes ok"
PLAN = Path(__file__).parents[2] / "plans" / "good" / "minimal.yaml"

app = typer.Typer()
app.command()(force)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHTRIAL_KEY", SECRET)
    monkeypatch.delenv("MESHTRIAL_PLAN", raising=False)


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, [*arguments, "--plan", str(PLAN)], catch_exceptions=False)
    assert result.exit_code == 0
    return result


def refusal(*arguments: str) -> str:
    with pytest.raises(SettingError) as refused:
        run(*arguments)
    return str(refused.value)


def signature(text: str) -> str:
    message = b"\xffforce\0" + text.replace(" ", "\0").encode()
    return hmac.new(SECRET.encode(), message, hashlib.sha256).hexdigest()[:32]


@pytest.mark.parametrize(
    ("flags", "seconds"), [((), 3600), (("--for", "90s"), 90), (("--for", " 30d"), 30 * 86_400)]
)
def test_one_line_is_the_whole_header_and_stderr_says_until_when(
    flags: tuple[str, ...], seconds: int
) -> None:
    before = int(time.time())
    result = run("rank-v2", "v2", *flags)
    found = re.fullmatch(r"meshtrial-force: rank-v2=v2;e=(\d+);s=([0-9a-f]{32})\n", result.stdout)

    assert found is not None
    expiry = int(found[1])
    assert before + seconds <= expiry <= time.time() + seconds
    assert found[2] == signature(f"rank-v2 v2 {expiry}")
    assert result.stderr == f"valid until {datetime.fromtimestamp(expiry, UTC):%Y-%m-%d %H:%M:%S} UTC\n"


def test_json_gives_name_value_and_expiry() -> None:
    result = run("rank-v2", "v1", "--for", "12h", "--json")
    document = json.loads(result.stdout)
    expiry = int(datetime.strptime(document.pop("expires"), "%Y-%m-%dT%H:%M:%S%z").timestamp())

    assert document == {
        "header": "meshtrial-force",
        "value": f"rank-v2=v1;e={expiry};s={signature(f'rank-v2 v1 {expiry}')}",
        "experiment": "rank-v2",
        "arm": "v1",
    }
    assert result.stderr == ""


def test_the_key_may_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MESHTRIAL_KEY")
    file = tmp_path / "key"
    file.write_text(SECRET + "\n")
    value = json.loads(run("rank-v2", "v1", "--json", "--key-file", str(file)).stdout)["value"]

    assert value.endswith(signature(f"rank-v2 v1 {re.search('e=([0-9]+)', value)[1]}"))  # type: ignore[index]  # it has one


def test_an_unknown_experiment_or_arm_is_told_with_the_nearest_or_all_that_are_known() -> None:
    assert refusal("rank", "v2") == f"{PLAN} has no experiment `rank`; did you mean `rank-v2`?"
    assert refusal("other", "v2") == f"{PLAN} has no experiment `other`; it has rank-v2"
    assert refusal("rank-v2", "v22") == f"{PLAN}: `rank-v2` has no arm `v22`; did you mean `v2`?"
    assert refusal("rank-v2", "9\n") == f"{PLAN}: `rank-v2` has no arm `9\\n`; it has v2, v1"


@pytest.mark.parametrize("lasting", ["31d", "0s", "1 year", "3600", ""])
def test_a_duration_that_is_none_or_too_long_is_refused_with_the_rule(lasting: str) -> None:
    rule = "--for must be a duration such as 90s, 30m, 12h or 7d, at most 30d, not "

    assert refusal("rank-v2", "v2", "--for", lasting) == rule + lasting


def test_without_a_key_nothing_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MESHTRIAL_KEY")

    assert refusal("rank-v2", "v2") == (
        "no pseudonym key: set MESHTRIAL_KEY to that of `meshtrial serve`, or --key-file FILE"
    )
