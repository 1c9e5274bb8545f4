import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from emitted import target_for
from meshtrial.cli.emit import emit
from meshtrial.emit.envoy import envoy
from meshtrial.errors import MeshtrialError, NotExpressible, PlanError, SettingError
from plan_values import on, plan_of

PLAN = plan_of({"rank-v2": on("/recommend")})
JWT = "envoy.filters.http.jwt_authn"
ADDRESSES = (
    *("--listen", "127.0.0.1:10000", "--sidecar", "127.0.0.1:9002", "--collector", "127.0.0.1:4317"),
    *("--endpoint", "model-v1=127.0.0.1:8000", "--endpoint", "model-v2=127.0.0.1:8000"),
)


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN.canonical)
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(emit, ["envoy", *map(str, arguments)])


def failure(*arguments: object) -> MeshtrialError:
    result = run(*arguments)
    assert isinstance(result.exception, MeshtrialError), result.output
    assert result.stdout == ""
    return result.exception


def test_the_configuration_is_printed_and_nothing_else(plan_file: Path) -> None:
    result = run(plan_file, *ADDRESSES)

    assert result.exit_code == 0, result.output
    assert result.stdout == envoy(PLAN, target_for(PLAN))


def test_all_options_that_lack_are_told_at_once(plan_file: Path) -> None:
    lacking = failure(plan_file, "--sidecar", "127.0.0.1:9002")

    assert isinstance(lacking, SettingError)
    assert str(lacking) == "emit envoy also needs --listen, --endpoint, --collector: --help has an example"


def test_who_writes_the_metadata_that_a_plan_reads_is_asked_on_stderr(tmp_path: Path) -> None:
    claim = {"metadata": {"namespace": JWT, "path": ["payload", "sub"]}}
    strict = on("/strict", audience=[{**claim, "exists": True}])
    plan = plan_of({"by-claim": on("/claim", unit=claim), "strict": strict, "rank-v2": on("/recommend")})
    (tmp_path / "plan.yaml").write_text(plan.canonical)
    result = run(tmp_path / "plan.yaml", *ADDRESSES)

    assert result.exit_code == 0
    assert result.stdout == envoy(plan, target_for(plan))
    assert result.stderr == (
        f"warning: by-claim, strict: nothing in this configuration writes the metadata `{JWT}`; "
        "insert the filter that does "
        "before envoy.filters.http.ext_proc (envoy/README.md, `Units from verified tokens`)\n"
    )


def test_a_plan_that_reads_no_metadata_is_warned_of_nothing(plan_file: Path) -> None:
    assert run(plan_file, *ADDRESSES).stderr == ""


def test_every_flag_arrives(plan_file: Path) -> None:
    flags = {
        "--admin": "127.0.0.1:9901",
        "--message-timeout": "2s",
        "--access-log": "/var/log/a.json",
        "--default-cluster": "a=b",
    }
    more = [word for flag in flags.items() for word in flag]
    result = run(plan_file, *ADDRESSES, *more, "--endpoint", "a=b=[::1]:1", "--endpoint", "a=b=shop:2")
    wanted = target_for(
        PLAN,
        admin="127.0.0.1:9901",
        message_timeout_ms=2000,
        access_log="/var/log/a.json",
        default_cluster="a=b",
        endpoints={
            "model-v1": ("127.0.0.1:8000",),
            "model-v2": ("127.0.0.1:8000",),
            "a=b": ("[::1]:1", "shop:2"),
        },
    )

    assert result.exit_code == 0, result.output
    assert result.stdout == envoy(PLAN, wanted)


@pytest.mark.parametrize("text", ["50", "fifty", "-5ms", "1.5s", "5m", ""])
def test_a_bad_timeout_is_refused(plan_file: Path, text: str) -> None:
    error = failure(plan_file, *ADDRESSES, f"--message-timeout={text}")

    assert isinstance(error, SettingError)
    assert str(error) == f"--message-timeout {text}: write a whole number and ms or s, as 50ms"


@pytest.mark.parametrize("text", ["127.0.0.1:8001", "=127.0.0.1:8001", ""])
def test_an_endpoint_names_its_cluster(plan_file: Path, text: str) -> None:
    error = failure(plan_file, *ADDRESSES, "--endpoint", text)

    assert isinstance(error, SettingError)
    assert str(error) == f"--endpoint {text}: write CLUSTER=HOST:PORT, as model-v1=127.0.0.1:8001"


def test_a_plan_that_is_not_there_is_named(tmp_path: Path) -> None:
    error = failure(tmp_path / "absent.yaml", *ADDRESSES)

    assert isinstance(error, SettingError)
    assert str(tmp_path / "absent.yaml") in str(error)


def test_a_bad_plan_is_told_by_its_own_errors(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("apiVersion: meshtrial/v9\n")
    assert isinstance(failure(tmp_path / "plan.yaml", *ADDRESSES), PlanError)


def test_a_plan_that_cannot_be_expressed_is_refused(tmp_path: Path) -> None:
    document = json.loads(PLAN.canonical)
    document["experiments"]["rank-v2"]["match"] = {"route": "recommend"}
    (tmp_path / "plan.yaml").write_text(json.dumps(document))
    assert isinstance(failure(tmp_path / "plan.yaml", *ADDRESSES), NotExpressible)
