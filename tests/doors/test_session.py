"""One ext_proc stream, message by message, with no transport under it."""

import hashlib
import hmac
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext_proc_door import NOW, SECRET, Door, headers_set, message, metadata
from meshtrial.doors.ext_proc_pb2 import (
    ProcessingRequest,
    ProcessingResponse,
)
from plan_values import experiment, plan_text


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.mark.parametrize("user", [f"user-{n}" for n in range(20)] + ["ünïcode", "a" * 1024])
def test_a_user_gets_the_arm_that_md5_says_with_its_headers_and_metadata(door: Door, user: str) -> None:
    bucket = int(hashlib.md5(f"rank-v2:{user}".encode()).hexdigest(), 16) % 100
    arm, header = ("v2", ("x-model-version", "2")) if bucket < 50 else ("v1", ("x-baseline", "yes"))
    other = "x-baseline" if arm == "v2" else "x-model-version"
    pseudonym = hmac.new(SECRET, b"header:x-user-id\0" + user.encode(), "sha256").hexdigest()[:32]

    answer = door.receive(message("/recommend?a=1", ("x-user-id", user.encode())))

    assert headers_set(answer) == {
        "x-meshtrial-cluster": f"model-{arm}",
        "x-meshtrial-arms": f"rank-v2={arm}",
        header[0]: header[1],
    }
    removed = list(answer.request_headers.response.header_mutation.remove_headers)
    assert removed == [other, "meshtrial-force"]
    assert answer.request_headers.response.clear_route_cache
    plan = door.desk.in_force().plan
    ours = metadata(answer)
    assert (ours["unit"], ours["arms"], ours["plan"]) == (pseudonym, f"rank-v2={arm}", plan.digest)
    told = ours["experiments"]["rank-v2"]
    assert (told["arm"], told["bucket"], told["exposed"]) == (arm, bucket, True)
    assert (told["unit"], told["unit_kind"], told["reason"]) == (pseudonym, "header:x-user-id", "split")
    assert ours["key"] == door.desk.key.id
    assert told["phase"] == plan.experiments[0].phase
    [exposure] = door.recorded
    assert exposure == {
        "feature_flag.key": "rank-v2",
        "feature_flag.result.variant": arm,
        "feature_flag.result.reason": "split",
        "feature_flag.context.id": pseudonym,
        "feature_flag.version": plan.digest,
        "feature_flag.provider.name": "meshtrial",
        "meshtrial.bucket": bucket,
        "meshtrial.phase": plan.experiments[0].phase,
        "meshtrial.unit.kind": "header:x-user-id",
        "meshtrial.key.id": door.desk.key.id,
        "meshtrial.exposed": True,
        "meshtrial.plane": "ext_proc",
        "traceparent": "00-tp",
        "start": NOW,
        "end": NOW,
    }


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ([], "missing"),
        ([("x-user-id", b"")], "empty"),
        ([("x-user-id", b"a"), ("x-user-id", b"b")], "ambiguous"),
        ([("x-user-id", b"a" * 1025)], "too_long"),
        ([("x-user-id", b"\xff\xfe")], "not_utf8"),
    ],
)
def test_without_a_usable_unit_control_is_served_and_nobody_is_exposed(
    door: Door, headers: list[tuple[str, bytes]], why: str
) -> None:
    answer = door.receive(message("/recommend", *headers))

    assert headers_set(answer)["x-meshtrial-cluster"] == "model-v1"
    assert not {"unit", "key"} & metadata(answer).keys()
    told = metadata(answer)["experiments"]["rank-v2"]
    assert (told["exposed"], told["reason"], told["unit_kind"]) == (False, "default", "header:x-user-id")
    assert not {"unit", "bucket"} & told.keys()
    [exposure] = door.recorded
    assert (exposure["meshtrial.exposed"], exposure["feature_flag.result.reason"]) == (False, "default")
    assert not {"feature_flag.context.id", "meshtrial.bucket"} & exposure.keys()
    counted = door.registry.get_sample_value("meshtrial_no_unit_total", {"experiment": "rank-v2", "why": why})
    assert counted == 1.0


def test_the_same_unit_sent_twice_alike_counts(door: Door) -> None:
    answer = door.receive(message("/recommend", ("x-user-id", b"a"), ("x-user-id", b"a")))

    assert metadata(answer)["experiments"]["rank-v2"]["exposed"] is True


@pytest.mark.parametrize("path", ["/", "/recommen", "/other/recommend", "?/recommend", ""])
def test_outside_every_experiment_nothing_is_changed_or_recorded(door: Door, path: str) -> None:
    answer = door.receive(message(path, ("x-user-id", b"u")))

    assert answer.WhichOneof("response") == "request_headers"
    assert answer == ProcessingResponse(request_headers={})
    assert (door.recorded, door.messages("unmatched")) == ([], 1.0)


@pytest.mark.parametrize(
    ("received", "late"),
    [
        ("2026-09-21T14:13:19.976Z", False),  # NOW is 14:13:20 UTC
        ("2026-09-21T14:13:19.974999Z", True),
        ("2026-09-21T14:13:16Z", True),
        ("2026-09-21T14:13:21Z", False),
        ("2026-09-21T16:13:19.990000+02:00", False),
        ("not a time", False),
    ],
)
def test_a_request_that_waited_too_long_goes_to_control_and_is_not_recorded(
    door: Door, received: str, late: bool
) -> None:
    answer = door.receive(message("/recommend", ("x-user-id", b"u"), time=received))

    assert (answer == ProcessingResponse(request_headers={})) is late
    assert (len(door.recorded), door.messages("late")) == ((0, 1.0) if late else (1, 0.0))


def test_late_requests_are_decided_where_that_is_switched_off() -> None:
    door = Door(late_after_ms=0)

    door.receive(message("/recommend", ("x-user-id", b"u"), time="1999-01-01T00:00:00Z"))

    assert len(door.recorded) == 1


@pytest.mark.parametrize(
    ("received", "began"),
    [
        ("2026-09-21T14:13:19.980001Z", NOW - 19_999_000),  # NOW is 14:13:20 UTC
        ("2026-09-21T14:13:20.000001Z", NOW),
        ("", NOW),
    ],
)
def test_an_exposure_begins_with_its_request_and_not_after_the_decision(
    door: Door, received: str, began: int
) -> None:
    door.receive(message("/recommend", ("x-user-id", b"u"), time=received))

    [exposure] = door.recorded
    assert (exposure["start"], exposure["end"]) == (began, NOW)


def test_a_proxys_clock_that_is_far_off_dates_no_exposure() -> None:
    door = Door(late_after_ms=0)

    door.receive(message("/recommend", ("x-user-id", b"u"), time="2026-09-21T14:12:19Z"))

    assert door.recorded[0]["start"] == NOW


def test_each_experiments_metadata_name_its_own_unit() -> None:
    def arms(header: str) -> dict[str, dict[str, object]]:
        return {"a": {"weight": 50, "headers": {header: "a"}}, "b": {"weight": 50}}

    by_device = experiment(arms("x-colour"), unit={"header": "x-device"})
    by_request = experiment(arms("x-look"), unit={"request": True})
    door = Door(plan_text({"colour": by_device, "look": by_request, "rank": experiment()}))
    headers = [("x-user-id", b"ann"), ("x-request-id", b"r-1")]

    told = metadata(door.receive(message("/", *headers)))
    again = metadata(door.receive(message("/", *headers, ("x-device", b"laptop"))))

    def pseudonym(kind: str, unit: str) -> str:
        return hmac.new(SECRET, f"{kind}\0{unit}".encode(), "sha256").hexdigest()[:32]

    rank = {"unit_kind": "header:x-user-id", "unit": pseudonym("header:x-user-id", "ann")}
    look = {"unit_kind": "request", "unit": pseudonym("request", "r-1")}
    colour = {"unit_kind": "header:x-device", "unit": pseudonym("header:x-device", "laptop")}
    units = {name: {key: one.get(key) for key in rank} for name, one in told["experiments"].items()}
    assert units == {"rank": rank, "look": look, "colour": {**colour, "unit": None}}
    assert told["unit"] == look["unit"]
    units = {name: {key: one.get(key) for key in rank} for name, one in again["experiments"].items()}
    assert units == {"rank": rank, "look": look, "colour": colour}
    assert again["unit"] == colour["unit"]


@pytest.mark.parametrize("phase", ["response_headers", "request_body", "response_body", "response_trailers"])
def test_other_phases_are_answered_in_kind_and_unchanged(door: Door, phase: str) -> None:
    request = ProcessingRequest()
    getattr(request, phase).SetInParent()

    answer = door.receive(request.SerializeToString())

    assert answer.WhichOneof("response") == phase
    assert (door.recorded, door.messages("other_phase")) == ([], 1.0)


@pytest.mark.parametrize("bad", [b"\xff\xff\xff", b"", b"\x12\x7f\x00"])
def test_what_cannot_be_read_goes_to_control_and_is_counted(door: Door, bad: bytes) -> None:
    answer = door.receive(bad)

    assert answer == ProcessingResponse(request_headers={})
    assert (door.recorded, door.messages("malformed")) == ([], 1.0)


@given(st.binary(max_size=300))
def test_any_bytes_get_an_answer(message: bytes) -> None:
    assert Door().receive(message).WhichOneof("response") is not None


def test_any_mutilation_of_a_real_message_gets_an_answer(door: Door) -> None:
    chance = random.Random(1)
    whole = message("/recommend", ("x-user-id", b"u"), time="2026-09-21T14:13:20Z", route="r")
    for _ in range(3000):
        broken = bytearray(whole[: chance.randrange(1, len(whole) + 1)])
        broken[chance.randrange(len(broken))] = chance.randrange(256)
        assert door.receive(bytes(broken)).WhichOneof("response") is not None
