"""When a trial may be looked at, and which units are in each look; windows are 10 s, periods too."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judged_rows import PLAN
from meshtrial.analysis.cells import Clock, Key, clock_of
from meshtrial.analysis.timeline import Look, timeline_of
from meshtrial.plan.inference import Boundary, DecisionRule, Looks, Method, Shape

SECOND = 10**9
CLOCK = Clock(10 * SECOND)
FIXED = replace(PLAN.experiments[0].decision, planned_units=100, minimum_duration=1)
EQUAL = replace(
    FIXED,
    method=Method.GROUP_SEQUENTIAL,
    looks=Looks((0.25, 0.5, 0.75, 1.0)),
    boundary=Boundary(Shape.OBRIEN_FLEMING),
)
ANY_TIME = replace(FIXED, method=Method.SEQUENTIAL)


def counts(*periods: tuple[int, int]) -> dict[Key, int]:
    """Units by the second that their period starts, half of them in each arm."""
    found = {}
    for start, units in periods:
        for arm, share in (("v1", units // 2), ("v2", units - units // 2)):
            found[Key(start * SECOND, "phase", "default", arm)] = share
    return found


def looks(units: dict[Key, int], rule: DecisionRule, now: float) -> list[tuple[float, float, float, bool]]:
    """Cut, taken (in seconds), share, last."""
    found = timeline_of(units, rule, CLOCK, round(now * SECOND)).looks
    return [(look.cut / SECOND, look.taken / SECOND, look.share, look.last) for look in found]


STEADY = counts(*((start, 10) for start in range(1000, 1200, 10)))


def test_a_fixed_trial_has_one_look_when_size_and_duration_are_both_reached() -> None:
    # 100 units are exposed before second 1100; their windows close 10 s later.
    assert looks(STEADY, FIXED, 1109.9) == []
    assert looks(STEADY, FIXED, 1110) == [(1100, 1110, 1.0, True)]
    long = replace(FIXED, minimum_duration=145)  # units count that come up to 1145: with whole periods, 1150
    assert looks(STEADY, long, 1159.9) == []
    assert looks(STEADY, long, 1160) == [(1150, 1160, 1.0, True)]


def test_a_cut_has_as_many_units_as_are_wanted_or_more() -> None:
    lumpy = counts((1000, 60), (1010, 60))

    assert looks(lumpy, FIXED, 2000) == [(1020, 1030, 1.0, True)]


def test_lateness_is_waited_for() -> None:
    late = replace(FIXED, lateness=30)

    assert looks(STEADY, late, 1139.9) == []
    assert looks(STEADY, late, 1140) == [(1100, 1140, 1.0, True)]


def test_looks_at_shares_come_where_so_many_units_have_closed() -> None:
    early = looks(STEADY, EQUAL, 1065)
    assert early == [(1030, 1040, 0.3, False), (1050, 1060, 0.5, False)]
    whole = looks(STEADY, EQUAL, 5000)
    assert whole == [*early, (1080, 1090, 0.8, False), (1100, 1110, 1.0, True)]


def test_no_look_is_before_the_minimum_duration() -> None:
    long = replace(EQUAL, minimum_duration=85)

    assert looks(STEADY, long, 5000) == [(1090, 1100, 0.9, False), (1100, 1110, 1.0, True)]


def test_of_looks_that_fall_together_the_last_one_is_taken() -> None:
    """Exact boundaries are by number: the one look must have the bound of the last that fell into it."""
    fast = counts((1000, 60), (1010, 30), (1020, 30))
    found = timeline_of(fast, EQUAL, CLOCK, 5000 * SECOND).looks

    assert [(look.cut // SECOND, look.number) for look in found] == [(1010, 1), (1020, 2), (1030, 3)]
    at_once = timeline_of(counts((1000, 500)), EQUAL, CLOCK, 5000 * SECOND).looks
    assert at_once == (Look(1010 * SECOND, 1020 * SECOND, 1.0, last=True, number=3),)


def test_looks_every_so_often_count_from_the_first_exposure() -> None:
    weekly = replace(EQUAL, looks=Looks(every=40))

    # Each takes the units that are final by then: those of a window before.
    assert looks(STEADY, weekly, 5000) == [
        (1030, 1040, 0.3, False),
        (1070, 1080, 0.7, False),
        (1100, 1110, 1.0, True),
    ]


def test_a_sequential_trial_is_looked_at_now_and_never_for_the_last_time() -> None:
    assert looks(STEADY, ANY_TIME, 1055) == [(1040, 1050, 0.4, False)]
    assert looks(STEADY, ANY_TIME, 1110) == [(1100, 1110, 1.0, False)]
    assert looks(STEADY, ANY_TIME, 9000) == [(8990, 9000, 1.0, False)]


def test_before_anyone_is_final_there_is_no_look() -> None:
    for rule in (FIXED, EQUAL, ANY_TIME):
        assert looks(STEADY, rule, 1009) == []
        assert looks({}, rule, 5000) == []
    assert timeline_of({}, FIXED, CLOCK, 5000 * SECOND).started is None


@pytest.mark.parametrize(("duration", "period"), [(14 * 86_400, 3600), (86_400, 3600), (240, 10), (24, 1)])
def test_periods_are_hours_or_a_24th_of_a_short_trial(duration: int, period: int) -> None:
    assert clock_of(duration).period == period * SECOND
    assert clock_of(duration).day == 24 * period * SECOND


sizes = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 60)), min_size=1, max_size=12)
rules = st.builds(
    lambda rule, planned, duration, lateness: replace(
        rule, planned_units=planned, minimum_duration=duration, lateness=lateness
    ),
    st.sampled_from([FIXED, EQUAL, replace(EQUAL, looks=Looks(every=35))]),
    st.integers(2, 400),
    st.integers(1, 300),
    st.integers(0, 50),
)


@given(sizes, rules, st.integers(0, 1000), st.integers(0, 1000))
def test_looks_never_change_by_what_comes_later(
    periods: list[tuple[int, int]], rule: DecisionRule, now: int, later: int
) -> None:
    """Units that come after what is closed, and time that goes by, only add looks."""
    known: dict[int, int] = {}
    for number, units in periods:
        known[10 * number] = known.get(10 * number, 0) + units
    before = timeline_of(counts(*sorted(known.items())), rule, CLOCK, now * SECOND)
    for start in list(known):
        if start * SECOND >= before.closed:
            known[start] += 17
    known[before.closed // SECOND + 10] = 5
    after = timeline_of(counts(*sorted(known.items())), rule, CLOCK, (now + later) * SECOND)

    assert after.looks[: len(before.looks)] == before.looks
    assert all(look.taken <= (now + later) * SECOND for look in after.looks)
    assert [look.last for look in after.looks[:-1]] == [False] * (len(after.looks) - 1)
    shares = [look.share for look in after.looks]
    assert shares == sorted(shares)
