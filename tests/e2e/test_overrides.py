"""Testers' forced arms and the kill switch, on a real Envoy."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator

import pytest

from e2e.client import get
from e2e.load import Load
from e2e.trial import SECRETS, Trial, arm_of, patient, pseudonym, until
from meshtrial.assign.force import sign_force
from meshtrial.pseudonym import PseudonymKey
from plan_values import on, plan_text

USERS = [f"user-{number}" for number in range(30)]
RUNNING = on("/recommend", exposures="all")
PLAN = plan_text({"rank": RUNNING})
KILLED = plan_text({"rank": {**RUNNING, "killed": True}})


@pytest.fixture(scope="module")
def running() -> Iterator[Trial]:
    with patient(PLAN) as started:
        yield started


def forced(running: Trial, arm: str, lasting: str = "1h") -> tuple[str, str]:
    """The header that the command prints."""
    command = [sys.executable, "-m", "meshtrial", "force", "rank", arm, "--for", lasting]
    command += ["--plan", str(running.directory / "plan.yaml"), "--json"]
    said = subprocess.run(
        command, env={**os.environ, **SECRETS}, check=True, capture_output=True, text=True, timeout=30
    )
    answer = json.loads(said.stdout)
    return answer["header"], answer["value"]


def test_a_forced_arm_is_served_to_its_tester_alone_and_never_exposed(running: Trial) -> None:
    for arm in ("v1", "v2"):
        header = forced(running, arm)
        for user in USERS:
            answer = get(running.proxy, "/recommend", [("x-user-id", user), header])
            assert answer.model == f"model-{arm}"
            assert answer.reached_model("x-meshtrial-arms") == [f"rank={arm}"]
            assert answer.reached_model("meshtrial-force") == []
        without_a_unit = get(running.proxy, "/recommend", [header])
        assert without_a_unit.model == f"model-{arm}"

    forced_rows = [row for row in running.recorded("rank") if row["reason"] == "targeting_match"]
    assert len(forced_rows) == 2 * (len(USERS) + 1)
    assert {row["exposed"] for row in forced_rows} == {False}


def test_a_header_that_is_not_valid_changes_nothing_and_reaches_no_model(running: Trial) -> None:
    key = PseudonymKey.of(SECRETS["MESHTRIAL_KEY"].encode())
    later = int(time.time()) + 60
    short_lived = forced(running, "v2", "1s")
    until(lambda: get(running.proxy, "/recommend", [short_lived]).model == "model-v1")
    for user in USERS:
        other = "v1" if arm_of(user, "rank") == "v2" else "v2"
        good = sign_force(key, "rank", other, later)
        for value in (
            sign_force(key, "rank", other, int(time.time()) - 1),
            sign_force(key, "search", other, later),
            sign_force(PseudonymKey.of(b"another deployment's"), "rank", other, later),
            good.replace(f"={other}", f"={other}x"),
            good.replace(f"e={later}", f"e={later + 1}"),
            f"rank={other}",
        ):
            answer = get(running.proxy, "/recommend", [("x-user-id", user), ("meshtrial-force", value)])
            assert answer.model == f"model-{arm_of(user, 'rank')}"
            assert answer.reached_model("meshtrial-force") == []
    exposed = [row for row in running.recorded("rank") if row["exposed"]]
    assert Counter((row["unit"], row["arm"]) for row in exposed) == Counter(
        {(pseudonym("header:x-user-id", user), arm_of(user, "rank")): 6 for user in USERS}
    )


def test_a_testers_header_reaches_no_model_without_the_sidecar_either(running: Trial) -> None:
    header = forced(running, "v2")
    running.stop_sidecar()
    try:
        answer = get(running.proxy, "/recommend", [("x-user-id", "user-1"), header])
        assert answer.model == "model-v1"
        assert answer.reached_model("meshtrial-force") == []
    finally:
        running.restart_sidecar()


def digest(running: Trial) -> str:
    with urllib.request.urlopen(f"{running.sidecar.where['admin']}/healthz", timeout=10) as answer:
        return str(json.loads(answer.read())["components"]["plan"]["digest"])


def test_a_kill_in_the_plan_ends_the_experiment_at_once_fails_nothing_and_beats_a_forced_arm(
    running: Trial,
) -> None:
    header = forced(running, "v2")
    before = digest(running)
    with Load(running.proxy) as load:
        load.wait_for(200)
        new = running.directory / "new.yaml"
        new.write_text(KILLED)
        new.rename(running.directory / "plan.yaml")
        until(lambda: digest(running) != before)
    with Load(running.proxy) as later:
        later.wait_for(200)
        for user in USERS:
            answer = get(running.proxy, "/recommend", [("x-user-id", user), header])
            assert answer.model == "model-v1"
            assert answer.reached_model("meshtrial-force") == []

    assert {each.status for each in load.asked + later.asked} == {200}
    assert {each.model for each in load.asked} == {"model-v1", "model-v2"}
    assert {each.model for each in later.asked} == {"model-v1"}
    killed = [row for row in running.recorded("rank") if row["reason"] == "disabled"]
    assert len(killed) >= 200
    assert {row["exposed"] for row in killed} == {False}
