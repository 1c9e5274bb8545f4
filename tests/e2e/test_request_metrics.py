"""Every request's arm, status and time reach the store by Envoy's own account, whatever a client asks for."""

import http.client
import time
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.client import get
from e2e.trial import Trial, arm_of, patient, pseudonym, until
from meshtrial.errors import NoData
from meshtrial.store.read import connect
from plan_values import experiment, on, plan_text

COLOURS = {
    "red": {"weight": 50, "headers": {"x-colour": "red"}},
    "blue": {"weight": 50, "headers": {"x-colour": "blue"}},
}
PLAN = plan_text(
    {
        "rank": on("/recommend"),
        "colour": experiment(
            COLOURS, control="blue", unit={"header": "x-device"}, match={"path_prefix": "/recommend"}
        ),
    }
)
USERS = [f"user-{number}@example.com" for number in range(20)]
UNSAMPLED = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")


@pytest.fixture
def running() -> Iterator[Trial]:
    with patient(PLAN, default_cluster="shop") as started:
        yield started


def rows(trial: Trial, at_least: int) -> list[dict[str, Any]]:
    """The stored requests, once there are so many: Envoy sends its events every second."""
    query = (
        "SELECT Experiment, Arm, Reason, Exposed, UnitKind, Status, GrpcStatus, Route, FailedOpen, Duration,"
        " TraceId, SpanAttributes['feature_flag.context.id'] AS unit,"
        " SpanAttributes['meshtrial.cluster'] AS cluster, epoch_ns(Timestamp) AS time"
        " FROM otel_traces WHERE SpanName = 'meshtrial.request' ORDER BY Timestamp, Experiment"
    )

    def found() -> list[dict[str, Any]]:
        try:
            with connect(trial.directory / "store") as connection:
                answer = connection.execute(query)
                names = [column[0] for column in answer.description or ()]
                return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
        except NoData:
            return []

    until(lambda: len(found()) >= at_least)
    time.sleep(1.5)
    return found()


def test_each_request_is_a_row_for_each_of_its_experiments(running: Trial) -> None:
    for user in USERS:
        answer = get(
            running.proxy, "/recommend?q=secret", [("x-user-id", user), ("x-device", f"d-{user}"), UNSAMPLED]
        )
        assert answer.model == f"model-{arm_of(user, 'rank')}"
    get(running.proxy, "/elsewhere", [("x-user-id", "nobody")])
    stored = rows(running, 2 * len(USERS))

    by_experiment = {
        name: [row for row in stored if row["Experiment"] == name] for name in ("rank", "colour")
    }
    assert len(stored) == 2 * len(USERS)
    assert [(row["unit"], row["Arm"]) for row in by_experiment["rank"]] == [
        (pseudonym("header:x-user-id", user), arm_of(user, "rank")) for user in USERS
    ]
    assert [row["unit"] for row in by_experiment["colour"]] == [
        pseudonym("header:x-device", f"d-{user}") for user in USERS
    ]
    assert {row["UnitKind"] for row in by_experiment["colour"]} == {"header:x-device"}
    assert {(row["Reason"], row["Exposed"], row["FailedOpen"], row["Status"]) for row in stored} == {
        ("split", True, False, 200)
    }
    assert {row["GrpcStatus"] for row in stored} == {None}
    assert all(0 < row["Duration"] < 60 * 10**9 for row in stored)
    assert all(row["cluster"] == f"model-{row['Arm']}" for row in by_experiment["rank"])
    assert {row["TraceId"] for row in stored} == {UNSAMPLED[1].split("-")[1]}

    kept = b"".join(path.read_bytes() for path in (running.directory / "store").rglob("*") if path.is_file())
    assert b"example.com" not in kept
    assert b"secret" not in kept


def test_a_units_first_request_is_not_before_its_first_exposure(running: Trial) -> None:
    for user in USERS:
        get(running.proxy, "/recommend", [("x-user-id", user), ("x-device", user)])
    requests = {(row["Experiment"], row["unit"]): row["time"] for row in rows(running, 2 * len(USERS))}
    running.stored("true")  # waits for the sidecar
    with connect(running.directory / "store") as connection:
        exposures = connection.execute(
            "SELECT Experiment, SpanAttributes['feature_flag.context.id'], epoch_ns(Timestamp)"
            " FROM otel_traces WHERE SpanName = 'meshtrial.exposure'"
        ).fetchall()

    assert len(exposures) == len(requests) == 2 * len(USERS)
    assert [name for name, unit, first in exposures if first > requests[name, unit]] == []


def test_errors_and_grpc_statuses_are_the_answers_own(running: Trial) -> None:
    headers = [("x-user-id", "u"), ("x-device", "d")]
    get(running.proxy, "/recommend", [*headers, ("answer-status", "503")])
    grpc = [("content-type", "application/grpc"), ("answer-with", "grpc-status: 14")]
    get(running.proxy, "/recommend", [*headers, *grpc], method="POST")
    failed, unavailable = (row for row in rows(running, 4) if row["Experiment"] == "rank")

    assert (failed["Status"], failed["GrpcStatus"]) == (503, None)
    assert (unavailable["Status"], unavailable["GrpcStatus"]) == (200, 14)


def test_a_client_that_goes_away_leaves_a_row_without_a_status(running: Trial) -> None:
    connection = http.client.HTTPConnection(running.proxy, timeout=10)
    wait = {"x-user-id": "u", "x-device": "d", "answer-after": "2"}
    connection.request("GET", "/recommend", headers=wait)
    time.sleep(0.5)
    connection.close()
    row, _ = rows(running, 2)

    assert row["Status"] == 0
    assert 0 < row["Duration"] < 2 * 10**9


def test_requests_that_failed_open_are_rows_without_experiment(running: Trial) -> None:
    get(running.proxy, "/recommend", [("x-user-id", "u"), ("x-device", "d")])
    running.stop_sidecar()
    for user in USERS:
        assert get(running.proxy, "/recommend", [("x-user-id", user), UNSAMPLED]).model == "model-v1"
    get(running.proxy, "/elsewhere")
    stored = rows(running, 2 + len(USERS))

    undecided = [row for row in stored if row["FailedOpen"]]
    assert len(stored) - len(undecided) == 2
    assert [(row["Experiment"], row["Arm"], row["unit"]) for row in undecided] == [(None, None, None)] * len(
        USERS
    )
    assert {(row["Route"], row["Status"]) for row in undecided} == {("rank-control", 200)}


def test_a_collector_that_restarts_misses_no_request(running: Trial) -> None:
    running.stop_collector()
    for user in USERS:
        get(running.proxy, "/recommend", [("x-user-id", user), ("x-device", user)])
    time.sleep(2)
    running.restart_collector()

    assert len(rows(running, 2 * len(USERS))) == 2 * len(USERS)
