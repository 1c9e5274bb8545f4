"""An engine that makes the tables of all units only when a query asks for one of them.

Most of a report is made of aggregates; what tells units by other things than these asks for the tables.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from meshtrial.store.engine import Engine

TABLES: Final = (
    *("places", "unit_met", "unit_resolved", "unit_firsts", "kept_units", "units", "analysed"),
    *("events", "unit_values"),
)
"""Of `aggregating.keep_units`, `keep_events` and `keep_values`."""
_NAMED: Final = re.compile(rf"\b({'|'.join(TABLES)})\b")


class Deferred:
    """The engine of a whole store."""

    def __init__(self, engine: Engine, make: Callable[[Engine], None]) -> None:
        """Take over.

        Args:
            engine: Has the view `spans`.
            make: Makes the tables in it.
        """
        self._engine = engine
        self._make: Callable[[Engine], None] | None = make

    def rows(self, query: str) -> Sequence[tuple[Any, ...]]:
        """All rows of a query."""
        return self._ready(query).rows(query)

    def keep(self, name: str, query: str) -> None:
        """Make a temporary table of a query's rows."""
        self._ready(query).keep(name, query)

    def name(self, name: str, query: str) -> None:
        """Give a query a name."""
        self._ready(query).name(name, query)

    def drop(self, name: str) -> None:
        """Forget a table."""
        self._engine.drop(name)

    def _ready(self, query: str) -> Engine:
        if self._make is not None and _NAMED.search(query):
            make, self._make = self._make, None
            make(self._engine)
        return self._engine
