import shlex
from pathlib import Path

import pytest

from emitted import Emitted, target_for
from meshtrial.emit.envoy import envoy
from meshtrial.emit.target import Target
from meshtrial.errors import SettingError
from meshtrial.plan.load import load
from plan_values import experiment, on, plan_of

PLAN = plan_of({"rank-v2": on("/recommend")})
ENVOY = Path(__file__).parents[3] / "envoy"
QUICKSTART = Target(
    listen="0.0.0.0:10000",
    endpoints={"model-v1": ("127.0.0.1:8001",), "model-v2": ("127.0.0.1:8002",)},
    sidecar="127.0.0.1:9002",
    collector="127.0.0.1:4317",
    admin="127.0.0.1:9901",
)


def test_the_quickstart_configuration_is_what_its_plan_gives() -> None:
    plan = load((ENVOY / "quickstart-plan.yaml").read_text(), "quickstart-plan.yaml")

    assert (ENVOY / "quickstart.yaml").read_text() == envoy(plan, QUICKSTART)


def test_the_same_plan_and_target_give_the_same_text() -> None:
    assert envoy(PLAN, target_for(PLAN)) == envoy(PLAN, target_for(PLAN))


def test_the_head_names_the_plan_and_the_command() -> None:
    target = target_for(PLAN, admin="127.0.0.1:9901", access_log="/var/log/my envoy.json")
    head = [line for line in envoy(PLAN, target).splitlines() if line.startswith("#")]

    assert PLAN.digest in head[0]
    command = " ".join(line.lstrip("# ").removesuffix("\\") for line in head[head.index("#") + 1 :])
    assert shlex.split(command) == [
        *("meshtrial", "emit", "envoy", "PLAN"),
        *("--listen", "127.0.0.1:10000"),
        *("--endpoint", "model-v1=127.0.0.1:8000"),
        *("--endpoint", "model-v2=127.0.0.1:8000"),
        *("--sidecar", "127.0.0.1:9002"),
        *("--collector", "127.0.0.1:4317"),
        *("--message-timeout", "50ms"),
        *("--admin", "127.0.0.1:9901"),
        *("--access-log", "/var/log/my envoy.json"),
    ]


def test_the_admin_interface_is_there_only_when_asked_for() -> None:
    assert "admin" not in Emitted.of(PLAN).whole
    assert Emitted.of(PLAN, admin="[::1]:9901").whole["admin"] == {
        "address": {"socket_address": {"address": "::1", "port_value": 9901}}
    }


def test_a_clients_word_is_not_taken_for_who_or_what_it_is() -> None:
    manager = Emitted.of(plan_of({"rank-v2": experiment()})).manager

    assert manager["use_remote_address"] is True
    assert manager["internal_address_config"] == {
        "cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]
    }
    assert manager["always_set_request_id_in_response"] is True
    assert manager["normalize_path"] is True


@pytest.mark.parametrize("timeout", [0, -1])
def test_a_message_timeout_is_at_least_a_millisecond(timeout: int) -> None:
    with pytest.raises(SettingError) as error:
        Emitted.of(PLAN, message_timeout_ms=timeout)
    assert str(error.value) == f"message timeout {timeout} ms: it must be 1 ms or more"
