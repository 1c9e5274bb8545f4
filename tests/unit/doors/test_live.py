"""What a reading does to the process around it."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

from meshtrial.doors.live import Live, PlanSource, PlanState
from meshtrial.plan.load import load
from meshtrial.plan.model import Plan
from plan_texts import RANK

READING_SECONDS = 1.0


def test_a_long_reading_lets_the_other_threads_in_far_more_often_than_python_would(tmp_path: Path) -> None:
    plan = load(RANK, "plan.yaml")
    reading, done = threading.Event(), threading.Event()
    busy = False

    def read() -> Plan:
        if busy:
            reading.set()
            end = time.monotonic() + READING_SECONDS
            while time.monotonic() < end:
                pass
            done.set()
        return plan

    live = Live(PlanSource(tmp_path / "plan.yaml", read))
    busy = True
    turns = 0
    with live.following():
        live.reload()
        assert reading.wait(10)
        while not done.is_set():
            time.sleep(0)  # gives Python's lock away, as every system call of a request does
            turns += 1

    assert turns > 2 * READING_SECONDS / 0.005  # Python's own interval would allow half of it


def test_an_error_that_nobody_foresaw_is_a_refusal_that_shows_none_of_its_text(tmp_path: Path) -> None:
    plan = load(RANK, "plan.yaml")
    answers: Iterator[Plan | Exception] = iter([plan, RecursionError("holds a secret"), plan])

    def read() -> Plan:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    live = Live(PlanSource(tmp_path / "plan.yaml", read))
    with live.following():
        for status, error in (("refused", "RecursionError while the plan was read"), ("ok", None)):
            live.reload()
            deadline = time.monotonic() + 10
            while live.state().health()["status"] != status:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            assert live.state().health()["error"] == error

    assert live.in_force().plan is plan
    assert live.state().reloads() == {"taken": 0, "refused": 1, "unchanged": 1}


def test_each_plan_that_comes_into_force_is_told_of(tmp_path: Path) -> None:
    plans = [load(RANK, "plan.yaml"), load(RANK.replace("rank", "other"), "plan.yaml")]
    answers = iter([plans[0], plans[0], plans[1], plans[1]])
    told: list[Plan] = []
    live = Live(PlanSource(tmp_path / "plan.yaml", lambda: next(answers)), told.append)
    assert told == [plans[0]]
    with live.following():
        for reading in range(1, 4):
            live.reload()
            deadline = time.monotonic() + 10
            while sum(live.state().reloads().values()) < reading:
                assert time.monotonic() < deadline
                time.sleep(0.01)

    assert told == plans


def test_each_plan_in_force_is_recorded_once_in_order_while_its_file_is_followed(tmp_path: Path) -> None:
    plans = [load(RANK, "plan.yaml"), load(RANK.replace("rank", "other"), "plan.yaml")]
    answers = iter([plans[0], plans[0], plans[1], plans[1]])
    recorded: list[tuple[Plan, Plan, str]] = []
    live = Live(PlanSource(tmp_path / "plan.yaml", lambda: next(answers)))

    def record(state: PlanState) -> None:
        recorded.append((state.in_force.plan, live.in_force().plan, threading.current_thread().name))

    with live.following(record):
        for reading in range(1, 4):
            live.reload()
            deadline = time.monotonic() + 10
            while sum(live.state().reloads().values()) < reading:
                assert time.monotonic() < deadline
                time.sleep(0.01)

    assert recorded == [(plan, plan, "plan") for plan in plans]  # in force by then, off the requests' thread
