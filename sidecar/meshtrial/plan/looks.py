"""When a group-sequential trial is looked at, and how its error rates are shared out over the looks."""

from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum

from meshtrial.plan.cursor import Cursor
from meshtrial.plan.inference import Boundary, Looks, Shape
from meshtrial.plan.problems import Rule
from meshtrial.plan.scalars import percentage, read_duration
from meshtrial.plan.tree import Mapping, Scalar, Sequence

EVERY = ("every",)
MAX_LOOKS = 50
_FORM = "a number of looks such as 5, shares such as [25%, 50%, 100%], or {every: 7d}"


class _Word(StrEnum):
    """Shapes without a parameter."""

    OBRIEN_FLEMING = Shape.OBRIEN_FLEMING.value
    POCOCK = Shape.POCOCK.value


def equal_shares(number: int) -> Looks:
    """Looks at equal shares of the planned size."""
    return Looks(tuple(look / number for look in range(1, number + 1)))


def read_looks(cursor: Cursor) -> Looks | None:
    """`5`, `[25%, 50%, 100%]` or `{every: 7d}`."""
    match cursor.node:
        case Mapping():
            every = cursor.fields(EVERY).read("every", read_duration)
            return Looks(every=every) if every is not None else None
        case Sequence():
            return _shares(cursor)
        case Scalar(kind="int" | "float"):
            number = cursor.integer(2, MAX_LOOKS)
            return equal_shares(number) if number is not None else None
    cursor.fail(Rule.LOOKS, f"expected {_FORM}")
    return None


def _shares(cursor: Cursor) -> Looks | None:
    items = list(cursor.items())
    shares = [
        item.parsed(percentage, Rule.LOOKS, "a share of the planned size such as 25%") for item in items
    ]
    read = [share for share in shares if share is not None]
    if len(read) < len(items):
        return None
    rises = all(one < other for one, other in zip([Decimal(0), *read], read, strict=False))
    if not rises or read[-1:] != [Decimal(1)] or not 2 <= len(read) <= MAX_LOOKS:
        message = f"looks are 2 to {MAX_LOOKS} shares above 0%, each above the one before, the last one 100%"
        cursor.fail(Rule.LOOKS, message)
        return None
    return Looks(tuple(float(share) for share in read))


def read_boundary(cursor: Cursor) -> Boundary | None:
    """An exact boundary: a word, or `{wang_tsiatis: 0.25}`."""
    return _shape(cursor, Shape.WANG_TSIATIS, lambda c: _parameter(c, "0", "0.5"), spending=False)


def read_spending(cursor: Cursor) -> Boundary | None:
    """A spending function: a word, or `{hwang_shih_decani: -4}`."""
    return _shape(cursor, Shape.HWANG_SHIH_DECANI, lambda c: _parameter(c, "-40", "40"), spending=True)


def _shape(
    cursor: Cursor, curved: Shape, parameter: Callable[[Cursor], float | None], *, spending: bool
) -> Boundary | None:
    if isinstance(cursor.node, Mapping):
        number = cursor.fields((curved.value,)).read(curved.value, parameter)
        return Boundary(curved, number, spending) if number is not None else None
    text = cursor.node.text if isinstance(cursor.node, Scalar) else ""
    if text == curved:
        example = "-4" if spending else "0.25"
        cursor.fail(Rule.BOUNDARY, f"`{text}` needs its parameter: {{{text}: {example}}}")
        return None
    if text in {Shape.WANG_TSIATIS, Shape.HWANG_SHIH_DECANI}:
        what, key = ("a boundary", "boundary") if spending else ("a spending function", "spending")
        cursor.fail(Rule.BOUNDARY, f"`{text}` is {what}: it stands under `{key}`")
        return None
    word = cursor.choice(_Word)
    return Boundary(Shape(word.value), None, spending) if word is not None else None


def _parameter(cursor: Cursor, low: str, high: str) -> float | None:
    number = cursor.number()
    if number is None:
        return None
    if not Decimal(low) <= number <= Decimal(high):
        cursor.fail(Rule.RANGE, f"must be from {low} to {high}, not {number}")
        return None
    return float(number)
