import pytest

from emitted import Emitted
from meshtrial.errors import SettingError
from plan_values import experiment, plan_of

PLAN = plan_of({"rank-v2": experiment()})


def test_the_access_log_is_json_on_standard_output() -> None:
    (log,) = Emitted.of(PLAN).manager["access_log"]

    assert log["typed_config"]["@type"].endswith("stream.v3.StdoutAccessLog")
    assert set(log["typed_config"]["log_format"]["json_format"]) == {
        "time", "request_id", "trace_id", "method", "path", "status", "flags", "route", "cluster",
        "arms", "unit", "plan", "duration_ms", "decision_us", "failed_open",
    }  # fmt: skip


def test_the_access_log_goes_to_the_file_that_is_named() -> None:
    (log,) = Emitted.of(PLAN, access_log="/var/log/envoy.json").manager["access_log"]

    assert log["typed_config"]["@type"].endswith("file.v3.FileAccessLog")
    assert log["typed_config"]["path"] == "/var/log/envoy.json"


@pytest.mark.parametrize("path", ["", "/a\nadmin: {}"])
def test_a_log_path_that_is_none_is_refused(path: str) -> None:
    with pytest.raises(SettingError) as error:
        Emitted.of(PLAN, access_log=path)
    assert str(error.value) == f"access log {path!r}: this is no path of a file"


def test_spans_carry_the_decision_and_name_the_unit_by_its_pseudonym() -> None:
    tracing = Emitted.of(PLAN).manager["tracing"]

    assert {tag["tag"]: tag["value"] for tag in tracing["custom_tags"]} == {
        "meshtrial.arms": "%DYNAMIC_METADATA(meshtrial:arms)%",
        "meshtrial.unit": "%DYNAMIC_METADATA(meshtrial:unit)%",
        "meshtrial.plan": "%DYNAMIC_METADATA(meshtrial:plan)%",
    }
    assert tracing["random_sampling"] == {"value": 100.0}
    assert tracing["spawn_upstream_span"] is True
    assert tracing["provider"]["typed_config"]["service_name"] == "envoy"
