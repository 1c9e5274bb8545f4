import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshtrial.record.outcome_header import read_outcomes


def taken(*lines: bytes) -> list[tuple[str, dict[str, float]]]:
    outcomes = read_outcomes(lines)
    assert not isinstance(outcomes, str), outcomes
    return [(outcome.name, dict(outcome.values)) for outcome in outcomes]


@pytest.mark.parametrize(
    ("line", "outcomes"),
    [
        (b"purchase;amount=12.5, view", [("purchase", {"amount": 12.5}), ("view", {})]),
        (b"purchase;amount=12.5;items=3", [("purchase", {"amount": 12.5, "items": 3.0})]),
        (b"view ,\tview", [("view", {}), ("view", {})]),
        (b"  view  ", [("view", {})]),
        (b"refund; amount=-4.25", [("refund", {"amount": -4.25})]),
        (b"a;x=1;y=2;x=3", [("a", {"x": 3.0, "y": 2.0})]),  # RFC 9651, 3.1.2: the last counts
        (b"a;x=999999999999999", [("a", {"x": 999999999999999.0})]),
        (b"a;x=0.123", [("a", {"x": 0.123})]),
        (b"a.b_c-d;x.y=1", [("a.b_c-d", {"x.y": 1.0})]),
        (b"", []),
    ],
)
def test_a_list_of_tokens_with_numbers_is_read(
    line: bytes, outcomes: list[tuple[str, dict[str, float]]]
) -> None:
    assert outcomes == taken(line)


def test_several_lines_are_one_list() -> None:
    assert taken(b"view", b"purchase;amount=1, click") == [
        ("view", {}),
        ("purchase", {"amount": 1.0}),
        ("click", {}),
    ]
    assert taken() == []


NAME = "a name begins with a lower-case letter; letters, digits, `_`, `.`, `-` follow, 64 in all"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"purchase;amount", "outcome 1: `amount` must be a number, such as amount=12.5"),
        (b"purchase;amount=?1", "outcome 1: `amount` must be a number, such as amount=12.5"),
        (b"view, purchase;amount=free", "outcome 2: `amount` must be a number, such as amount=12.5"),
        (b'purchase;amount="12"', "outcome 1: `amount` must be a number, such as amount=12.5"),
        (b"purchase;at=@1700000000", "outcome 1: `at` must be a number, such as at=12.5"),
        (b"purchase;amount=:YQ==:", "outcome 1: `amount` must be a number, such as amount=12.5"),
        (b"Purchase", f"outcome 1: `Purchase`: {NAME}"),
        (b"*a", f"outcome 1: `*a`: {NAME}"),
        (b"a:b", f"outcome 1: `a:b`: {NAME}"),
        (b"a/b", f"outcome 1: `a/b`: {NAME}"),
        (b"a;*x=1", f"outcome 1: `*x`: {NAME}"),
        (b"a" * 65, f"outcome 1: `{'a' * 59}…`: {NAME}"),
        (b'"purchase"', "outcome 1: it must be a token, such as purchase"),
        (b"12", "outcome 1: it must be a token, such as purchase"),
        (b"(view click)", "outcome 1: it must be a token, such as purchase"),
        (b"view," * 32 + b"view", "33 outcomes; at most 32 are taken"),
        (b"a" * 8193, "8193 bytes; at most 8192 are read"),
    ],
)
def test_what_is_no_outcome_is_refused_whole_with_the_reason(line: bytes, reason: str) -> None:
    assert reason == read_outcomes([line])


@pytest.mark.parametrize(
    "line",
    [
        b"view,",
        b",view",
        b"view view",
        b"a;X=1",
        b"a;x=1.2345",
        b"a;x=1e5",
        b"a;x=1_0",
        b"a;x=",
        b"\xff",
        b"a;x=1234567890123456",
    ],
)
def test_what_is_no_list_of_rfc_9651_is_refused_in_text_that_prints(line: bytes) -> None:
    reason = read_outcomes([line])

    assert isinstance(reason, str)
    assert reason.startswith("it is no list of RFC 9651: ")
    assert reason.isprintable()


names = st.from_regex(r"[a-z][a-z0-9_.-]{0,8}", fullmatch=True)
numbers = st.integers(-(10**15) + 1, 10**15 - 1) | st.decimals(
    -(10**12) + 1, 10**12 - 1, places=3, allow_nan=False
)


@given(st.lists(st.tuples(names, st.dictionaries(names, numbers, max_size=4)), min_size=1, max_size=8))
def test_every_list_of_tokens_with_numbers_is_read(outcomes: list[tuple[str, dict[str, Any]]]) -> None:
    written = ", ".join(
        name
        + "".join(
            f"; {field}={value:f}" if "." in f"{value}" else f";{field}={value}"
            for field, value in values.items()
        )
        for name, values in outcomes
    )

    expected = [(name, {field: float(value) for field, value in values.items()}) for name, values in outcomes]
    assert expected == taken(written.encode())


@given(st.lists(st.binary(max_size=40) | st.text(string.printable, max_size=40).map(str.encode), max_size=3))
def test_of_any_bytes_there_are_outcomes_or_a_reason_that_prints(lines: list[bytes]) -> None:
    found = read_outcomes(lines)

    if isinstance(found, str):
        assert found.isprintable()
        assert len(found) < 300
