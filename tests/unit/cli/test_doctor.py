import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from doctored import FILES
from meshtrial.cli.doctor import doctor
from meshtrial.errors import PlanError, SettingError

PLAN = """\
apiVersion: meshtrial/v1
metrics: {conversion: {kind: proportion, outcome: purchase, window: 7d}}
experiments:
  rank:
    match: {path_prefix: /recommend}
    unit: {header: x-user-id}
    control: v1
    arms:
      v1: {weight: 50, cluster: model-v1}
      v2: {weight: 50, cluster: model-v2}
    decision:
      method: fixed
      alpha: 0.05
      power: 0.8
      planned_units: 8876
      minimum_duration: 14d
      primary: [{metric: conversion, direction: up, minimum_effect: 2pp}]
"""

app = typer.Typer()
app.command()(doctor)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN)
    return path


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False, terminal_width=120)
    return result.exit_code, result.stdout


def test_a_good_configuration_ends_with_status_0(plan: Path) -> None:
    assert run(FILES / "good" / "base.yaml", plan) == (0, "nothing found\n")


def test_an_error_ends_with_status_1_and_says_where_what_and_how(plan: Path) -> None:
    path = FILES / "bad" / "fail-closed.yaml"
    status, said = run(path, plan)
    [line] = [n for n, text in enumerate(path.read_text().splitlines(), 1) if text.endswith("# here")]

    assert status == 1
    assert said == (
        f"{path}:{line}: $.static_resources.listeners[0].filter_chains[0].filters[0].typed_config"
        ".http_filters[0].typed_config.failure_mode_allow\n"
        "  error: failure_mode_allow is false [fail-closed]\n"
        "  With the sidecar away clients get 500, and 504 where it hangs.\n"
        "  fix: failure_mode_allow: true\n"
        "\n"
        "1 error, 0 warnings\n"
    )


def test_a_warning_alone_leaves_the_status_at_0(plan: Path) -> None:
    status, said = run(FILES / "bad" / "timeout-long.yaml", plan)

    assert status == 0
    assert "  warning: message_timeout is 500 ms [timeout-long]\n" in said
    assert said.endswith("0 errors, 1 warning\n")


def test_json_says_the_same(plan: Path) -> None:
    path = FILES / "bad" / "panic.yaml"
    status, said = run(path, plan, "--json")

    assert status == 0
    assert json.loads(said) == {
        "errors": 0,
        "warnings": 1,
        "findings": [
            {
                "check": "panic",
                "severity": "warning",
                "file": str(path),
                "line": len(path.read_text().splitlines()),
                "path": "$.static_resources.clusters[2].common_lb_config.healthy_panic_threshold",
                "message": "healthy_panic_threshold is 50 %",
                "consequence": "The health check is in vain: "
                "below 50 % healthy hosts Envoy by default asks the unhealthy ones.",
                "fix": "common_lb_config: {healthy_panic_threshold: {value: 0}}",
            }
        ],
    }


def test_routes_may_stand_in_a_file_of_their_own(plan: Path, tmp_path: Path) -> None:
    table = {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": "models",
        "virtual_hosts": [{"routes": [{"match": {"prefix": "/"}, "route": {"cluster": "model-v1"}}]}],
    }
    (tmp_path / "rds.json").write_text(json.dumps({"resources": [table]}))

    status, said = run(FILES / "bad" / "routes-unread.yaml", plan, "--resources", tmp_path / "rds.json")

    assert status == 1
    assert "no route leads to the plan's cluster `model-v2` [cluster-unrouted]" in said
    assert said.endswith("1 error, 0 warnings\n")


def test_a_terminal_is_not_steered_by_what_a_file_says(plan: Path, tmp_path: Path) -> None:
    text = (FILES / "bad" / "guard-missing.yaml").read_text()
    evil = text.replace(
        "- match: {prefix: /recommend}", '- name: "\\e[2J"\n                match: {prefix: /re}'
    )
    (tmp_path / "envoy.yaml").write_text(evil)

    assert evil != text
    assert "\x1b" not in run(tmp_path / "envoy.yaml", plan)[1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"\xff", "cannot be read"),
        (b"", "the document is empty"),
        (b"plan: 1", "is no Envoy configuration"),
    ],
)
def test_what_cannot_be_read_is_one_error(
    plan: Path, tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "envoy.yaml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(SettingError, match=rf"(?s)^{path}.*{said}"):
        run(path, plan)


def test_a_bad_plan_is_told_first(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("{}")

    with pytest.raises(PlanError):
        run(tmp_path / "nowhere.yaml", tmp_path / "plan.yaml")
