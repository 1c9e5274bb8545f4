import re

import pytest

from emitted import Emitted
from meshtrial.errors import SettingError
from plan_values import experiment, on, plan_of

PLAN = plan_of({"rank-v2": experiment()})


def test_the_access_log_is_json_on_standard_output() -> None:
    log, _ = Emitted.of(PLAN).manager["access_log"]

    assert log["typed_config"]["@type"].endswith("stream.v3.StdoutAccessLog")
    assert set(log["typed_config"]["log_format"]["json_format"]) == {
        "time", "request_id", "trace_id", "method", "path", "status", "flags", "route", "cluster",
        "arms", "unit", "plan", "duration_ms", "decision_us", "failed_open",
    }  # fmt: skip


def test_the_access_log_goes_to_the_file_that_is_named() -> None:
    log, _ = Emitted.of(PLAN, access_log="/var/log/envoy.json").manager["access_log"]

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


def test_each_request_of_the_plan_is_an_event_for_the_collector_and_says_nothing_that_a_client_wrote() -> (
    None
):
    _, log = Emitted.of(PLAN).manager["access_log"]
    config = log["typed_config"]

    assert config["grpc_service"]["envoy_grpc"] == {"cluster_name": "meshtrial-collector"}
    said = {each["key"]: each["value"]["string_value"] for each in config["attributes"]["values"]}
    assert said["event.name"] == "meshtrial.request"
    assert said["meshtrial.metadata"] == "%DYNAMIC_METADATA(meshtrial)%"
    operators = {value.partition("(")[0].strip("%") for value in said.values()}
    assert not operators & {"REQ", "RESP", "TRAILER", "PATH", "QUERY_PARAM", "REQUEST_HEADER"}
    assert not {"body", "filter_state_objects_to_log", "custom_tags"} & config.keys()


def test_requests_in_no_experiment_are_no_events() -> None:
    emitted = Emitted.of(plan_of({"a": on("/a")}))
    _, log = emitted.manager["access_log"]

    expression = log["filter"]["extension_filter"]["typed_config"]["expression"]
    assert re.findall(r"'([^']*)'", expression) == ["_default", "_no-route"]
    assert emitted.routes[-1]["name"] == "_no-route"
