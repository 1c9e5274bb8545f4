"""Numbers of a canonical document: exact, and never with an exponent, which YAML 1.1 would take for text."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

import msgspec

Json = dict[str, "Value"]
Value = str | int | bool | msgspec.Raw | Mapping[str, "Value"] | Sequence["Value"]


def exact(value: float) -> Decimal:
    """The shortest decimal that reads back as this float."""
    return Decimal(repr(value))


def raw_number(value: Decimal) -> msgspec.Raw:
    """A JSON number."""
    return msgspec.Raw(plain(value).encode())


def plain(value: Decimal) -> str:
    """Without an exponent and without closing zeros."""
    return f"{value.normalize() + 0:f}"  # plus 0: no negative zero


def percent(share: Fraction) -> str:
    """A share that a percentage of the document gave: it has a finite decimal form."""
    return f"{plain(Decimal(share.numerator) * 100 / Decimal(share.denominator))}%"
