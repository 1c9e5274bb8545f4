"""Outcomes that a model reports on its response, on a real Envoy: hidden from clients, stored, analysed."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.client import Answer, get
from e2e.trial import SECRETS, Trial, arm_of, patient, pseudonym, until
from plan_values import on, plan_text

USERS = [f"user-{number}" for number in range(60)]
HEADER = "x-meshtrial-outcome"
METRICS = {
    "conversion": {"kind": "proportion", "outcome": "purchase", "window": "1s"},
    "revenue": {"kind": "mean", "outcome": "purchase", "value": "amount", "window": "1s"},
}
DECISION = {
    "method": "fixed",
    "alpha": 0.05,
    "power": 0.8,
    "planned_units": 60,
    "minimum_duration": "1s",
    "lateness": "2s",
    "primary": [
        {"metric": "conversion", "direction": "up", "minimum_effect": "2pp"},
        {"metric": "revenue", "direction": "up", "minimum_effect": 1},
    ],
}
TOLD = {"outcomes": {"response_header": True}}
PLAN = plan_text(
    {
        "told": on("/told", **TOLD, decision=DECISION, exposures="all"),
        "untold": on("/untold", decision=DECISION, exposures="all"),
        "minted": on("/minted", **TOLD, decision=DECISION, unit={"cookie": "mt", "mint": {"max_age": "1d"}}),
    },
    metrics=METRICS,
)


@pytest.fixture(scope="module")
def running() -> Iterator[Trial]:
    with patient(PLAN, default_cluster="whole") as started:
        yield started


def reporting(running: Trial, path: str, user: str | None, *outcomes: str) -> Answer:
    """The answer to a request whose model reports outcomes."""
    told = [("answer-with", f"{HEADER}: {outcome}") for outcome in outcomes]
    return get(running.proxy, path, [*([("x-user-id", user)] if user else []), *told])


def amount_of(user: str) -> float:
    """What a user spends: another amount for each."""
    return int(user.removeprefix("user-")) + 0.5


def outcomes(running: Trial) -> list[dict[str, Any]]:
    return running.stored("SpanName = 'meshtrial.outcome'")


def responses(running: Trial) -> float:
    return running.metric('meshtrial_messages_total{result="response"}')


def report(running: Trial, experiment: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "meshtrial", "report", experiment, "--json"]
    command += ["--plan", str(running.directory / "plan.yaml"), "--store", str(running.directory / "store")]
    environment = {**os.environ, **SECRETS}
    said = subprocess.run(command, env=environment, capture_output=True, check=False, text=True, timeout=60)
    document: dict[str, Any] = json.loads(said.stdout)
    return document


def test_outcomes_are_stored_for_the_requests_unit_hidden_and_joined_in_the_report(running: Trial) -> None:
    buyers = [user for user in USERS if int(user.removeprefix("user-")) % 3]
    for user in USERS:
        said = (f"purchase;amount={amount_of(user)}", "view") if user in buyers else ("view",)
        answer = reporting(running, "/told", user, *said)
        assert answer.model == f"model-{arm_of(user, 'told')}"
        assert answer.header(HEADER) is None
    assert responses(running) == len(USERS)

    kind = "header:x-user-id"
    bought = [("purchase", pseudonym(kind, user), kind, (("amount", amount_of(user)),)) for user in buyers]
    seen = [("view", pseudonym(kind, user), kind, ()) for user in USERS]
    rows = outcomes(running)
    assert Counter(
        (row["outcome"], row["unit"], row["kind"], tuple(dict(row["outcome_values"] or {}).items()))
        for row in rows
    ) == Counter([*bought, *seen])

    until(lambda: report(running, "told")["progress"]["closed_units"] == len(USERS))
    judged = report(running, "told")
    assert {check["check"]: check["passed"] for check in judged["health"]}["outcomes_join"]
    values = {m["metric"]: {a["arm"]: a["value"] for a in m["arms"]} for m in judged["metrics"]}
    for arm in ("v1", "v2"):
        units = [user for user in USERS if arm_of(user, "told") == arm]
        amounts = [amount_of(user) for user in units if user in buyers]
        assert values["conversion"][arm] == pytest.approx(len(amounts) / len(units))
        assert values["revenue"][arm] == pytest.approx(sum(amounts) / len(units))


def test_only_requests_of_experiments_that_ask_have_a_response_phase(running: Trial) -> None:
    before, stored = responses(running), len(outcomes(running))
    for user in USERS[:20]:
        for path in ("/untold", "/elsewhere"):
            answer = reporting(running, path, user, "purchase;amount=1")
            assert answer.header(HEADER) is None
    assert responses(running) == before

    for user in USERS[:7]:
        reporting(running, "/told", user)
    assert responses(running) == before + 7
    assert len(outcomes(running)) == stored


def test_outcomes_of_whoever_is_nobody_are_hidden_and_not_recorded(running: Trial) -> None:
    stored = len(outcomes(running))
    assert reporting(running, "/told", None, "purchase").header(HEADER) is None
    for unreadable in ("Purchase", "purchase;amount=lots", "x" * 9000):
        assert reporting(running, "/told", "user-1", unreadable).header(HEADER) is None

    assert len(outcomes(running)) == stored


def test_a_first_response_sets_the_cookie_and_reports_in_one(running: Trial) -> None:
    answer = reporting(running, "/minted", None, "purchase;amount=2.25")
    minted = (answer.header("set-cookie") or "").partition(";")[0].removeprefix("mt=")

    assert answer.header(HEADER) is None
    (row,) = [row for row in outcomes(running) if row["kind"] == "cookie:mt"]
    assert (row["unit"], dict(row["outcome_values"])) == (pseudonym("cookie:mt", minted), {"amount": 2.25})


def test_without_the_sidecar_no_client_sees_an_outcome_either(running: Trial) -> None:
    running.stop_sidecar()
    for path in ("/told", "/untold", "/elsewhere"):
        answer = reporting(running, path, "user-1", "purchase;amount=1", "view")
        assert answer.status == 200
        assert answer.header(HEADER) is None
