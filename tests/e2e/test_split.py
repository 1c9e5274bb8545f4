"""A real Envoy, our sidecar and collector: who goes where, and what is written down of it."""

import hashlib
import hmac
import http.client
from collections import Counter
from collections.abc import Iterator

import pytest

from e2e.client import get
from e2e.trial import SECRETS, Trial, patient
from plan_texts import RANK

USERS = [f"user-{number}" for number in range(2000)]


def arm_of(user: str) -> str:
    """The textbook: md5 of `experiment:user`, modulo 100, half of it."""
    return "v2" if int(hashlib.md5(f"rank-v2:{user}".encode()).hexdigest(), 16) % 100 < 50 else "v1"


def pseudonym(user: str) -> str:
    key = SECRETS["MESHTRIAL_KEY"].encode()
    return hmac.new(key, b"header:x-user-id\0" + user.encode(), hashlib.sha256).hexdigest()[:32]


@pytest.fixture
def running() -> Iterator[Trial]:
    with patient(RANK) as started:
        yield started


def test_two_thousand_users_always_reach_the_arm_that_md5_says_and_are_recorded_so(running: Trial) -> None:
    connection = http.client.HTTPConnection(running.proxy, timeout=20)
    for user in USERS * 2:
        connection.request("GET", "/recommend?page=1", headers={"x-user-id": user})
        response = connection.getresponse()
        assert response.status == 200
        assert f'"model": "model-{arm_of(user)}"' in response.read().decode()
    connection.close()

    expected = Counter({(pseudonym(user), arm_of(user)): 2 for user in USERS})
    assert expected == Counter((e["unit"], e["arm"]) for e in running.exposures(2 * len(USERS)))
    log = running.access_log(2 * len(USERS))
    assert expected == Counter((line["unit"], line["arms"].removeprefix("rank-v2=")) for line in log)
    assert all(int(line["decision_us"]) > 0 for line in log)
    clear = b"".join(path.read_bytes() for path in (running.directory / "store").rglob("*") if path.is_file())
    assert b"user-1999" not in clear


@pytest.mark.parametrize("headers", [[], [("x-user-id", "")], [("x-user-id", "a"), ("x-user-id", "b")]])
def test_a_request_without_a_unit_goes_to_control_and_nobody_is_exposed(
    running: Trial, headers: list[tuple[str, str]]
) -> None:
    for _ in range(5):
        assert get(running.proxy, "/recommend", headers).model == "model-v1"

    exposures = running.exposures(5)
    assert [(e["exposed"], e["unit"], e["arm"]) for e in exposures] == [(False, None, "v1")] * 5
    assert [line["unit"] for line in running.access_log(5)] == [None] * 5


def test_the_arm_does_not_depend_on_anything_that_a_client_adds(running: Trial) -> None:
    forged = [
        ("X-Meshtrial-Cluster", "model-v2"),
        ("x-meshtrial-cluster", "model-v1"),
        ("X-MESHTRIAL-ARMS", "rank-v2=v2"),
        ("x-model-version", "2"),
        ("X-Baseline", "forged"),
        ("x-request-id", "chosen"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"),
    ]
    for user in USERS[:40]:
        for extra in (forged, forged * 2, forged[::-1]):
            answer = get(running.proxy, "/recommend", [("x-user-id", user), *extra])
            arm = arm_of(user)
            assert answer.model == f"model-{arm}"
            assert answer.reached_model("x-meshtrial-cluster") == [f"model-{arm}"]
            assert answer.reached_model("x-meshtrial-arms") == [f"rank-v2={arm}"]
            assert answer.reached_model("x-model-version") == (["2"] if arm == "v2" else [])
            assert answer.reached_model("x-baseline") == (["yes"] if arm == "v1" else [])

    # Recorded as if nothing had been forged, although the client's trace asks for no recording.
    expected = Counter({(pseudonym(user), arm_of(user)): 3 for user in USERS[:40]})
    assert expected == Counter((e["unit"], e["arm"]) for e in running.exposures(120))


def test_an_exposure_belongs_to_the_trace_of_its_request(running: Trial) -> None:
    for user in USERS[:5]:
        get(running.proxy, "/recommend", [("x-user-id", user)])

    assert {e["trace_id"] for e in running.exposures(5)} == {
        line["trace_id"] for line in running.access_log(5)
    }


def test_a_split_by_request_goes_by_the_id_that_envoy_made() -> None:
    plan = RANK.replace("unit: {header: x-user-id}", "unit: {request: true}")
    with patient(plan) as running:
        answers = [get(running.proxy, "/recommend", [("x-request-id", "chosen")]) for _ in range(60)]

        for answer in answers:
            assert answer.model == f"model-{arm_of(answer.header('x-request-id') or '')}"
        assert {answer.model for answer in answers} == {"model-v1", "model-v2"}


def test_a_match_on_the_name_of_envoys_route() -> None:
    """The emitter knows no routes but its own, so one of these is matched, and its name asked for."""
    by_route = RANK.replace("match: {path_prefix: /recommend}", "match: {route: rank-v2-control}")

    def adapted(configuration: str) -> str:
        assert configuration.count("- request.time\n") == 1
        return configuration.replace("- request.time\n", "- request.time\n              - xds.route_name\n")

    with patient(RANK, serve=by_route, adapt=adapted) as running:
        for user in USERS[:30]:
            assert get(running.proxy, "/recommend", [("x-user-id", user)]).model == f"model-{arm_of(user)}"

    elsewhere = by_route.replace("rank-v2-control", "another")
    with patient(RANK, serve=elsewhere, adapt=adapted) as running:
        for user in USERS[:30]:
            assert get(running.proxy, "/recommend", [("x-user-id", user)]).model == "model-v1"
        assert running.metric('meshtrial_messages_total{result="unmatched"}') == 30
