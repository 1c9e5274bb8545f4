"""What a stream brings and takes besides a header's split: cookies, claims, baggage, signed and kept arms."""

import hashlib
import hmac
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ext_proc_door import NOW, SECRET, Door, headers_set, message, metadata, response
from meshtrial.assign.baggage import Carried, merged_baggage
from meshtrial.assign.force import sign_force
from meshtrial.doors.ext_proc_pb2 import ProcessingMode, ProcessingRequest, ProcessingResponse
from meshtrial.doors.in_force import InForce
from meshtrial.plan.load import load
from meshtrial.pseudonym import PseudonymKey
from meshtrial.state.sticky import StickyFile
from plan_values import on, plan_text

KEY = PseudonymKey.of(SECRET)
SECONDS = NOW // 10**9
HOUR = 3600 * 10**9
MINTED = hashlib.sha256(b"mt\0" + b"\x07" * 16).hexdigest()[:32]
"""The cookie that the door's chance gives."""
NAMESPACE = "envoy.filters.http.jwt_authn"


def plan(unit: str = "{header: x-user-id}", keys: str = "", v2: int = 50) -> str:
    """A plan of one experiment; `keys` are further lines of it, `v2` is the weight of its treatment."""
    return f"""
apiVersion: meshtrial/v1
metrics: {{conversion: {{kind: proportion, outcome: purchase, window: 7d}}}}
experiments:
  rank:
    unit: {unit}
    control: v1
    {keys}
    arms:
      v2: {{weight: {v2}, cluster: model-v2}}
      v1: {{weight: {100 - v2}, cluster: model-v1}}
    decision:
      {{method: fixed, alpha: 0.05, power: 0.8, planned_units: 100, minimum_duration: 1d,
       primary: [{{metric: conversion, direction: up, minimum_effect: 2pp}}]}}
"""


def arm(unit: str, salt: str = "rank") -> str:
    return "v2" if int(hashlib.md5(f"{salt}:{unit}".encode()).hexdigest(), 16) % 10_000 < 5_000 else "v1"


def other(arm_id: str) -> str:
    return {"v1": "v2", "v2": "v1"}[arm_id]


def pseudonym(kind: str, unit: str) -> str:
    return hmac.new(SECRET, kind.encode() + b"\0" + unit.encode(), "sha256").hexdigest()[:32]


def user(name: str = "u1") -> tuple[str, bytes]:
    return ("x-user-id", name.encode())


MINT = plan("{cookie: mt, mint: {max_age: 400d}}")


def test_a_request_without_the_cookie_is_assigned_by_the_one_that_it_gets() -> None:
    door = Door(MINT)
    session = door.session()
    answer = ProcessingResponse.FromString(session.receive(message("/")))
    assert headers_set(answer)["x-meshtrial-cluster"] == f"model-{arm(MINTED)}"
    assert answer.mode_override.response_header_mode == ProcessingMode.SEND
    assert metadata(answer)["unit"] == pseudonym("cookie:mt", MINTED)

    set_by = ProcessingResponse.FromString(session.receive(response()))
    [option] = set_by.response_headers.response.header_mutation.set_headers
    assert option.header.key == "set-cookie"
    assert option.append.value is True  # anything else would overwrite the model's own cookies
    attributes = "Max-Age=34560000; Path=/; Secure; HttpOnly; SameSite=Lax"
    assert option.header.raw_value.decode() == f"mt={MINTED}; {attributes}"
    assert door.messages("response") == 1


def test_a_request_with_the_cookie_gets_no_other_and_its_response_is_not_asked_for() -> None:
    door = Door(MINT)
    session = door.session()
    answer = ProcessingResponse.FromString(session.receive(message("/", ("cookie", b'a=b; mt="q"; c'))))
    assert metadata(answer)["unit"] == pseudonym("cookie:mt", '"q"')
    assert not answer.HasField("mode_override")
    unasked = ProcessingResponse.FromString(session.receive(response()))
    assert unasked == ProcessingResponse(response_headers={})
    assert door.messages("other_phase") == 1


def test_a_claim_that_the_proxy_verified_is_the_unit_and_other_namespaces_are_not_read() -> None:
    door = Door(plan(f"{{metadata: {{namespace: {NAMESPACE}, path: [payload, sub]}}}}"))

    def sent(claims: dict[str, Any]) -> bytes:
        request = ProcessingRequest.FromString(message("/"))
        request.metadata_context.filter_metadata[NAMESPACE].update({"payload": claims})
        request.metadata_context.filter_metadata["other"].update({"payload": {"sub": "forged"}})
        return request.SerializeToString()

    answer = door.receive(sent({"sub": "alice", "aud": ["x"]}))
    assert headers_set(answer)["x-meshtrial-cluster"] == f"model-{arm('alice')}"
    assert metadata(answer)["unit"] == pseudonym(f"metadata:{NAMESPACE}:payload.sub", "alice")
    number = door.receive(sent({"sub": 9007199254740993}))
    assert metadata(number)["experiments"]["rank"]["exposed"] is False
    no_unit = {"experiment": "rank", "why": "not_text"}
    assert door.registry.get_sample_value("meshtrial_no_unit_total", no_unit) == 1


def test_a_groups_arm_is_recorded_with_both_ids() -> None:
    door = Door(plan("{group: {header: x-store}, members: {header: x-user-id}}"))
    door.receive(message("/", user(), ("x-store", b"s9")))
    [exposure] = door.recorded
    assert exposure["feature_flag.result.variant"] == arm("s9")
    assert exposure["feature_flag.context.id"] == pseudonym("header:x-user-id", "u1")
    assert exposure["meshtrial.group.id"] == pseudonym("header:x-store", "s9")
    assert exposure["meshtrial.group.kind"] == "header:x-store"


def test_a_forced_arm_is_served_not_exposed_and_its_header_does_not_reach_the_model() -> None:
    door = Door(plan())
    wanted = other(arm("u1"))
    signed = sign_force(KEY, "rank", wanted, SECONDS + 60).encode()
    answer = door.receive(message("/", user(), ("meshtrial-force", signed)))
    assert headers_set(answer)["x-meshtrial-cluster"] == f"model-{wanted}"
    assert "meshtrial-force" in answer.request_headers.response.header_mutation.remove_headers
    assert door.recorded[0]["feature_flag.result.reason"] == "targeting_match"
    assert door.recorded[0]["meshtrial.exposed"] is False


@pytest.mark.parametrize("why", ["expired", "another experiment", "another key", "no signature"])
def test_a_forced_arm_that_nobody_signed_for_now_changes_nothing(why: str) -> None:
    door = Door(plan())
    wanted = other(arm("u1"))
    key = PseudonymKey.of(b"another deployment's") if why == "another key" else KEY
    experiment = "rank-v3" if why == "another experiment" else "rank"
    signed = sign_force(key, experiment, wanted, SECONDS + (-1 if why == "expired" else 60))
    value = f"rank={wanted}" if why == "no signature" else signed
    answer = door.receive(message("/", user(), ("meshtrial-force", value.encode())))
    assert headers_set(answer)["x-meshtrial-cluster"] == f"model-{arm('u1')}"
    assert door.recorded[0]["feature_flag.result.reason"] == "split"


def test_a_kill_beats_a_forced_arm() -> None:
    door = Door(plan(keys="killed: true"))
    signed = sign_force(KEY, "rank", "v2", SECONDS + 60).encode()
    answer = door.receive(message("/", user(), ("meshtrial-force", signed)))
    assert headers_set(answer)["x-meshtrial-cluster"] == "model-v1"
    assert door.recorded[0]["feature_flag.result.reason"] == "disabled"


CARRY = plan(keys="carry: true")


def test_the_arm_goes_on_in_baggage_and_a_second_hop_honours_it_without_the_unit() -> None:
    first = Door(CARRY).receive(message("/", user(), ("baggage", b"tenant=a, meshtrial.rank=v9")))
    passed_on = headers_set(first)["baggage"]
    assert passed_on.startswith(f"tenant=a,meshtrial.rank={arm('u1')};")
    assert "v9" not in passed_on

    second = Door(CARRY)
    answer = second.receive(message("/", ("baggage", passed_on.encode())))
    assert headers_set(answer)["x-meshtrial-cluster"] == f"model-{arm('u1')}"
    assert headers_set(answer)["baggage"] == passed_on
    [exposure] = second.recorded
    assert exposure["feature_flag.result.reason"] == "carried"
    assert exposure["meshtrial.exposed"] is False
    assert exposure["feature_flag.context.id"] == pseudonym("header:x-user-id", "u1")


def carried(arm_id: str, unit: str, experiment: str = "rank") -> bytes:
    """Baggage that an earlier hop signed."""
    kind = "header:x-user-id"
    one = Carried(arm_id, pseudonym(kind, unit), kind, "0123456789abcdef", SECONDS + 60)
    return merged_baggage((), [(experiment, one)], KEY)


def test_another_users_signed_arm_is_of_no_use() -> None:
    mine, theirs = arm("u1"), other(arm("u1"))
    door = Door(CARRY)
    answer = door.receive(message("/", user(), ("baggage", carried(theirs, "u2"))))
    assert headers_set(answer)["x-meshtrial-cluster"] == f"model-{mine}"
    own = door.receive(message("/", user("u2"), ("baggage", carried(theirs, "u2"))))
    assert headers_set(own)["x-meshtrial-cluster"] == f"model-{theirs}"


def test_arms_of_experiments_that_this_hop_does_not_know_go_on_as_they_came() -> None:
    member = carried("b", "u1", "search").decode()
    answer = Door(CARRY).receive(message("/", user(), ("baggage", member.encode())))
    assert member in headers_set(answer)["baggage"].split(",")


def test_without_carry_baggage_is_left_alone() -> None:
    answer = Door(plan()).receive(message("/", user(), ("baggage", b"meshtrial.rank=v9")))
    assert "baggage" not in headers_set(answer)


def test_a_sticky_unit_keeps_its_first_arm_when_the_weights_move() -> None:
    door = Door(plan(keys="sticky: true"))
    first = door.in_force.plan.experiments[0].phase
    assert headers_set(door.receive(message("/", user())))["x-meshtrial-cluster"] == f"model-{arm('u1')}"
    turned = plan(keys="sticky: true", v2=0 if arm("u1") == "v2" else 100)
    door.in_force = InForce.of(load(turned, "plan.yaml"))
    kept = door.receive(message("/", user()))
    assert headers_set(kept)["x-meshtrial-cluster"] == f"model-{arm('u1')}"
    assert door.recorded[-1]["feature_flag.result.reason"] == "cached"
    assert door.recorded[-1]["meshtrial.phase"] == first
    assert door.recorded[-1]["meshtrial.exposed"] is True
    newcomer = door.receive(message("/", user("u99")))
    assert headers_set(newcomer)["x-meshtrial-cluster"] == f"model-{other(arm('u1'))}"


def test_a_unit_is_recorded_once_an_hour_and_arm() -> None:
    door = Door(plan())
    for _ in range(5):
        door.receive(message("/", user()))
    door.receive(message("/", user("u2")))
    assert len(door.recorded) == 2
    door.now += HOUR
    door.receive(message("/", user()))
    assert len(door.recorded) == 3


def test_with_exposures_all_every_request_is_recorded() -> None:
    door = Door(plan(keys="exposures: all"))
    for _ in range(5):
        door.receive(message("/", user()))
    assert len(door.recorded) == 5


def test_an_exposure_that_the_spool_did_not_take_is_recorded_with_the_next_request() -> None:
    door = Door(plan())
    door.recorded.full = True
    door.receive(message("/", user()))
    door.recorded.full = False
    door.receive(message("/", user()))
    assert len(door.recorded) == 1


OUTCOMES = plan(keys="outcomes: {response_header: true}")


def test_outcomes_of_the_response_are_recorded_of_the_requests_unit_and_hidden_from_the_client() -> None:
    door = Door(OUTCOMES)
    session = door.session()
    asked = ProcessingResponse.FromString(session.receive(message("/", user())))
    assert asked.mode_override.response_header_mode == ProcessingMode.SEND
    reported = response(("x-meshtrial-outcome", b"purchase;amount=12.5, view"))
    answer = ProcessingResponse.FromString(session.receive(reported))
    assert answer.response_headers.response.header_mutation.remove_headers == ["x-meshtrial-outcome"]
    told = [(o.name, dict(o.values), o.unit, o.unit_kind, o.time_ns) for o in door.recorded.outcomes]
    unit = pseudonym("header:x-user-id", "u1")
    assert told == [
        ("purchase", {"amount": 12.5}, unit, "header:x-user-id", NOW),
        ("view", {}, unit, "header:x-user-id", NOW),
    ]


@pytest.mark.parametrize("value", [b"Purchase", b"purchase;amount=lots", b"\xff", b"a" * 9000, b'"x"'])
def test_an_outcome_header_that_cannot_be_read_is_counted_and_hidden(value: bytes) -> None:
    door = Door(OUTCOMES)
    session = door.session()
    session.receive(message("/", user()))
    answer = ProcessingResponse.FromString(session.receive(response(("x-meshtrial-outcome", value))))
    assert answer.response_headers.response.header_mutation.remove_headers == ["x-meshtrial-outcome"]
    assert door.recorded.outcomes == []
    refused = {"result": "refused"}
    assert door.registry.get_sample_value("meshtrial_response_outcomes_total", refused) == 1


def test_outcome_headers_that_cannot_be_read_are_logged_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    door = Door(OUTCOMES)
    for number in range(20):
        session = door.session()
        session.receive(message("/", user()))
        session.receive(response(("x-meshtrial-outcome", b"Purchase%d" % number)))

    [line] = [record for record in caplog.records if "outcomes" in record.getMessage()]
    assert "Purchase0" in vars(line)["fields"]["reason"]
    refused = {"result": "refused"}
    assert door.registry.get_sample_value("meshtrial_response_outcomes_total", refused) == 20


def test_a_mistake_of_ours_leaves_requests_unchanged_and_is_logged_once_a_minute_without_its_text(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def mistaken(*_: object) -> None:
        raise RuntimeError("a user in clear")

    monkeypatch.setattr("meshtrial.doors.session.decide", mistaken)
    door = Door(plan())
    unchanged = ProcessingResponse(request_headers={})
    assert [door.receive(message("/", user())) for _ in range(20)] == [unchanged] * 20
    assert door.messages("malformed") == 20
    assert [vars(record)["fields"] for record in caplog.records] == [{"reason": "RuntimeError"}]


def test_a_unit_outside_its_slice_goes_to_control_and_leaves_no_trace() -> None:
    layered = plan(keys="layer: all\n    slice: [0%, 50%]").replace("    unit: {header: x-user-id}\n", "")
    door = Door(layered.replace("metrics:", "layers: {all: {unit: {header: x-user-id}}}\nmetrics:"))
    units = [f"u{n}" for n in range(40)]
    outside = [u for u in units if int(hashlib.md5(f"all:{u}".encode()).hexdigest(), 16) % 10_000 >= 5_000]
    for unit in outside:
        answer = door.receive(message("/", user(unit)))
        assert headers_set(answer) == {"x-meshtrial-cluster": "model-v1"}
        assert "arms" not in metadata(answer)
    assert (len(outside) > 5, door.recorded) == (True, [])


def test_a_member_is_recorded_once_for_each_group_that_it_comes_with() -> None:
    door = Door(plan("{group: {header: x-store}, members: {header: x-user-id}}"))
    for store in (b"s1", b"s2", b"s1", b"s2"):
        door.receive(message("/", user(), ("x-store", store)))
    groups = [exposure["meshtrial.group.id"] for exposure in door.recorded]
    assert groups == [pseudonym("header:x-store", "s1"), pseudonym("header:x-store", "s2")]


def test_a_regular_expression_never_sees_a_long_value() -> None:
    door = Door(plan(keys='audience: [{header: x-agent, regex: "(.*a.{59})+b?"}]'))
    assert door.receive(message("/", user(), ("x-agent", b"a" * 1024))) != ProcessingResponse(
        request_headers={}
    )
    door.receive(message("/", user(), ("x-agent", b"ab" * 30_000)))
    assert door.messages("unmatched") == 1


def test_claims_nested_deeper_than_any_path_are_no_units_and_no_trouble() -> None:
    door = Door(plan(f"{{metadata: {{namespace: {NAMESPACE}, path: [payload, sub]}}}}"))
    deep: dict[str, Any] = {"sub": "alice"}
    for _ in range(25):
        deep = {"more": deep}
    request = ProcessingRequest.FromString(message("/"))
    request.metadata_context.filter_metadata[NAMESPACE].update({"payload": {"sub": "alice", **deep}})
    answer = door.receive(request.SerializeToString())
    assert headers_set(answer)["x-meshtrial-cluster"] == f"model-{arm('alice')}"


def test_a_minted_unit_is_kept_when_its_cookie_comes_back() -> None:
    door = Door(plan("{cookie: mt, mint: {max_age: 400d}}", keys="sticky: true"))
    unit = pseudonym("cookie:mt", MINTED)
    door.receive(message("/"))
    assert door.desk.sticky.kept("rank", unit) is None
    door.receive(message("/", ("cookie", f"mt={MINTED}".encode())))
    kept = door.desk.sticky.kept("rank", unit)
    assert kept is not None
    assert kept.arm == arm(MINTED)


def test_a_sticky_file_that_cannot_be_written_takes_no_experiment_of_the_request_down(tmp_path: Path) -> None:
    door, path = (
        Door(plan_text({"rank": on("/", sticky=True), "look": on("/", arms=LOOKS)})),
        tmp_path / "file",
    )
    sticky = StickyFile(path)
    object.__setattr__(door.desk, "sticky", sticky)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        answer = door.receive(message("/", user()))

    assert headers_set(answer)["x-meshtrial-cluster"] == f"model-{arm('u1')}"
    assert headers_set(answer)["x-look"] == arm("u1", "look")
    assert [exposure["feature_flag.result.reason"] for exposure in door.recorded] == ["split", "split"]
    assert (door.messages("assigned"), door.messages("malformed")) == (1, 0)
    assert sticky.failures == 1
    sticky.close()


LOOKS = {each: {"weight": 50, "headers": {"x-look": each}} for each in ("v1", "v2")}
