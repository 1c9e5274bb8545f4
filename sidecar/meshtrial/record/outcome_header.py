"""The model's response header `x-meshtrial-outcome` -> the outcomes that it reports: pure.

A structured field (RFC 9651), a list of tokens with numbers as parameters::

    x-meshtrial-outcome: purchase;amount=12.5, view
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import http_sf

from meshtrial.plan.problems import printable
from meshtrial.record.outcome import NAME_RULE, is_name

LARGEST_HEADER: Final = 8192
"""Bytes of all its lines: what servers commonly allow one header line."""
LARGEST_COUNT: Final = 32
"""Outcomes of one response."""
_SHOWN: Final = 60
"""Characters of a name that a reason repeats."""


@dataclass(frozen=True, slots=True)
class ReportedOutcome:
    """One outcome of the unit that the response is for."""

    name: str
    values: Mapping[str, float]


def read_outcomes(lines: Sequence[bytes]) -> tuple[ReportedOutcome, ...] | str:
    """The outcomes of a header's values, or else why nothing of it is taken.

    Names of outcomes and fields are those that the collector's HTTP door takes. A value is an integer or a
    decimal (RFC 9651, sections 3.3.1 and 3.3.2); a field that comes twice has its last value (3.1.2).

    Args:
        lines: The values of all header lines of that name, in their order.
    """
    data = b", ".join(lines)
    if len(data) > LARGEST_HEADER:
        return f"{len(data)} bytes; at most {LARGEST_HEADER} are read"
    try:
        members: Any = http_sf.parse(data, tltype="list")
    except http_sf.StructuredFieldError as error:
        return f"it is no list of RFC 9651: {printable(str(error))}"
    if len(members) > LARGEST_COUNT:
        return f"{len(members)} outcomes; at most {LARGEST_COUNT} are taken"
    for number, (item, parameters) in enumerate(members, 1):
        flaw = _flaw(item, parameters)
        if flaw:
            return f"outcome {number}: {flaw}"
    return tuple(
        ReportedOutcome(str(item), {field: float(value) for field, value in parameters.items()})
        for item, parameters in members
    )


def _flaw(item: object, parameters: Mapping[str, object]) -> str:
    """The first rule that a member breaks, "" where it is an outcome."""
    if not isinstance(item, http_sf.Token):
        return "it must be a token, such as purchase"
    for name in (str(item), *parameters):
        if not is_name(name):
            return f"`{_shown(name)}`: {NAME_RULE}"
    for field, value in parameters.items():
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            return f"`{field}` must be a number, such as {field}=12.5"
    return ""


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
