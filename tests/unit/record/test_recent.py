from dataclasses import replace

from meshtrial.assign.decide import Assignment, decide
from meshtrial.assign.request import Request
from meshtrial.names import Reason
from meshtrial.record.recent import HOUR, Recent, meeting
from plan_values import experiment, plan_of

(FIRST,) = decide(Request("/", "", {"x-user-id": (b"u1",)}), plan_of({"rank": experiment()}))
TIME = 500_000 * HOUR + HOUR // 2


def other(**changes: object) -> Assignment:
    return replace(FIRST, **changes)  # type: ignore[arg-type]  # a test names the fields


def test_what_was_added_is_known() -> None:
    recent = Recent()
    met = meeting(FIRST, "p1", TIME)

    assert met not in recent
    recent.add(met)
    assert met in recent
    assert meeting(FIRST, "p1", TIME + HOUR // 2 - 1) in recent


def test_another_unit_arm_phase_reason_window_or_hour_is_another_meeting() -> None:
    recent = Recent()
    recent.add(meeting(FIRST, "p1", TIME))
    arms = FIRST.experiment.arms
    another_arm = next(arm for arm in arms if arm is not FIRST.arm)
    in_a_window = replace(FIRST.subject, window=7)
    for met in (
        meeting(FIRST, "p2", TIME),
        meeting(FIRST, None, TIME),
        meeting(other(arm=another_arm), "p1", TIME),
        meeting(other(phase="0" * 16), "p1", TIME),
        meeting(other(reason=Reason.CACHED), "p1", TIME),
        meeting(other(subject=in_a_window), "p1", TIME),
        meeting(FIRST, "p1", TIME + HOUR // 2),
        meeting(FIRST, "p1", TIME - HOUR),
    ):
        assert met not in recent


def test_the_memory_is_bounded_and_who_comes_all_the_time_stays_known() -> None:
    recent = Recent(largest=100)
    recent.add("regular")
    for number in range(1_000):
        recent.add(("meeting", number))
        assert "regular" in recent
    assert sum(("meeting", number) in recent for number in range(900)) == 0
    assert ("meeting", 999) in recent


def test_adding_again_makes_nothing_forgotten() -> None:
    recent = Recent(largest=4)
    recent.add("a")
    for _ in range(10):
        if "b" not in recent:
            recent.add("b")
    assert "a" in recent
