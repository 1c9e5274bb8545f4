"""What an assignment may look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, as far as a plan can ask about it."""

    path: str
    """`:path` as received: with its query, without any decoding."""
    route: str
    """The proxy's route name before the decision; "" where it is not known."""
    headers: Mapping[str, Sequence[bytes]]
    """All values of each header in order of arrival, by lower-case name."""
