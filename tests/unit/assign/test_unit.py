from typing import Any

import pytest

from meshtrial.assign.request import Request
from meshtrial.assign.subject import in_washout, window_of
from meshtrial.assign.unit import NoUnit, put_claim, unit_of, unusable
from meshtrial.plan.traffic import Carrier, Source, Switchback

USER = Source(Carrier.HEADER, "x-user-id")
SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        ((b"u1",), b"u1"),
        ((b"u1", b"u1"), b"u1"),
        ((b" u1 ",), b" u1 "),
        ((b"x" * 1024,), b"x" * 1024),
        ((), NoUnit.MISSING),
        ((b"",), NoUnit.EMPTY),
        ((b"", b"u1"), NoUnit.AMBIGUOUS),
        ((b"x" * 2000, b"y" * 2000), NoUnit.AMBIGUOUS),
        ((b"x" * 1025,), NoUnit.TOO_LONG),
        ((b"\xff" * 1025,), NoUnit.TOO_LONG),
        ((b"\xff",), NoUnit.NOT_UTF8),
        ((b"\xed\xa0\x80",), NoUnit.NOT_UTF8),
    ],
)
def test_the_unit_is_the_one_value_of_its_header_or_there_is_none(
    values: tuple[bytes, ...], unit: bytes | NoUnit
) -> None:
    assert unit_of(Request("/", "", {"x-user-id": values}), USER) == unit


def test_other_headers_are_not_looked_at() -> None:
    assert unit_of(Request("/", "", {"x-user": (b"u1",)}), USER) is NoUnit.MISSING


def test_a_usable_value_has_no_reason_against_it() -> None:
    assert unusable(b"u1") is None


@pytest.mark.parametrize("before", [{}, {"jwt": {"sub": "u0"}}, {"jwt": {"sub": {"id": 7}}}])
def test_a_claim_that_is_put_is_the_unit_whatever_stood_there(before: dict[str, Any]) -> None:
    source = Source(Carrier.METADATA, "jwt", ("sub", "id"))
    for value in ("ü1".encode(), b"", b"\xff"):
        put_claim(before, source, value)
        assert unit_of(Request("/", "", {}, before), source) == (unusable(value) or value)


def test_claims_stand_beside_each_other() -> None:
    sources = [Source(Carrier.METADATA, name, ("sub", key)) for name in ("jwt", "own") for key in "ab"]
    metadata: dict[str, Any] = {}
    for number, source in enumerate(sources):
        put_claim(metadata, source, b"u%d" % number)

    request = Request("/", "", {}, metadata)
    assert [unit_of(request, source) for source in sources] == [b"u0", b"u1", b"u2", b"u3"]


@pytest.mark.parametrize(
    ("second", "window", "washed"),
    [
        (-1, -1, False),
        (9, -1, False),
        (10, 0, True),
        (14, 0, True),
        (15, 0, False),
        (69, 0, False),
        (70, 1, True),
    ],
)
def test_windows_begin_at_their_offset_with_the_washout_also_before_1970(
    second: int, window: int, washed: bool
) -> None:
    switchback = Switchback(window=60, offset=10, washout=5)

    for now in (second * SECOND, second * SECOND + SECOND - 1):
        assert (window_of(switchback, now), in_washout(switchback, now)) == (window, washed)


def test_a_clock_that_jumps_back_gives_the_arms_of_that_time_again() -> None:
    switchback = Switchback(window=60, offset=0, washout=0)

    assert [window_of(switchback, at * SECOND) for at in (59, 61, 59)] == [0, 1, 0]
