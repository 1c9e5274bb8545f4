from decimal import Decimal

import pytest

from meshtrial.plan.cursor import Cursor
from meshtrial.plan.inference import Margin, Scale
from meshtrial.plan.problems import Problems
from meshtrial.plan.scalars import duration, effect, percentage, read_duration_or_0
from meshtrial.plan.tree import Scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12%", "0.12"),
        ("12.5 %", "0.125"),
        ("0%", "0"),
        ("100%", "1"),
        ("0.000000000001%", "0.00000000000001"),
    ],
)
def test_a_percentage_is_exact(text: str, value: str) -> None:
    assert percentage(text) == Decimal(value)


@pytest.mark.parametrize(
    "text",
    [
        "12",
        "%",
        "-1%",
        "+1%",
        ".5%",
        "5.%",
        "1e1%",
        "012%",
        "\N{ARABIC-INDIC DIGIT THREE}%",
        "12%\n",
        "1_0%",
        "1" * 13 + "%",
    ],
)
def test_what_is_no_percentage_is_none(text: str) -> None:
    assert percentage(text) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("90s", 90),
        ("30m", 1800),
        ("12h", 43_200),
        ("7 d", 604_800),
        ("2w", 1_209_600),
        ("3650d", 315_360_000),
    ],
)
def test_a_duration_is_in_seconds(text: str, seconds: int) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "0d",
        "3651d",
        "-7d",
        "7",
        "d",
        "7D",
        "1.5d",
        "7d 1h",
        "P7D",
        "\N{ARABIC-INDIC DIGIT SEVEN}d",
        "7d\n",
        "999999999w",
    ],
)
def test_what_is_no_duration_is_none(text: str) -> None:
    assert duration(text) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("0s", 0), ("0 d", 0), ("7d", 604_800), ("-1s", None), ("0x", None), ("00s", None)],
)
def test_where_no_time_has_a_meaning_it_is_0_in_any_unit(text: str, seconds: int | None) -> None:
    problems = Problems()

    assert read_duration_or_0(Cursor(Scalar(1, text, "str"), "$", problems)) == seconds
    assert [problem.rule for problem in problems.found()] == ["duration"] * (seconds is None)


@pytest.mark.parametrize(
    ("text", "value", "scale", "points"),
    [
        ("2pp", 0.02, Scale.ABSOLUTE, True),
        ("0.5 pp", 0.005, Scale.ABSOLUTE, True),
        ("5% relative", 0.05, Scale.RELATIVE, False),
        ("12.5 %  relative", 0.125, Scale.RELATIVE, False),
        ("0.25", 0.25, Scale.ABSOLUTE, False),
        ("3", 3.0, Scale.ABSOLUTE, False),
    ],
)
def test_an_effect_has_a_size_and_a_scale(text: str, value: float, scale: Scale, points: bool) -> None:
    assert effect(text) == (Margin(value, scale), points)


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "0pp",
        "0.0% relative",
        "2%",
        "2% absolute",
        "2%relative",
        "-2pp",
        "pp",
        "nan",
        "inf",
        "1e3",
        "007",
        "\N{ARABIC-INDIC DIGIT TWO}pp",
    ],
)
def test_what_is_no_effect_is_none(text: str) -> None:
    assert effect(text) is None
