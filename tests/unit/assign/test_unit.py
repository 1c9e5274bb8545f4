import pytest

from meshtrial.assign.request import Request
from meshtrial.assign.unit import NoUnit, unit_of, unusable
from meshtrial.plan.model import Unit

USER = Unit("header:x-user-id", "x-user-id")


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
