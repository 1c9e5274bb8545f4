"""A store's spans -> tallies and aggregates, by reading all of them."""

from collections.abc import Sequence
from typing import Protocol

from meshtrial.analysis.aggregates import Aggregates, Scale
from meshtrial.analysis.aggregating import aggregate, keep_events, keep_units, keep_values, scale_of
from meshtrial.analysis.caps import Settles
from meshtrial.analysis.eligible import Eligible
from meshtrial.analysis.tallies import Tallies, read_tallies
from meshtrial.analysis.units import Trial
from meshtrial.store.engine import Engine


class Counting(Protocol):
    """How one experiment's spans are counted."""

    @property
    def engine(self) -> Engine:
        """Has the view `spans`, and once the aggregates are there the tables of units and events."""

    def tallies(self) -> Tallies:
        """The store's rows, counted: the first that is asked for."""

    def aggregates(
        self, tallies: Tallies, eligible: Sequence[Eligible], settles: Settles
    ) -> tuple[Aggregates, Scale]:
        """What the units add up to, and by what they are measured.

        Args:
            tallies: Of the store.
            eligible: Which units are analysed.
            settles: Tells which of them may set a cap that is a share.
        """


class Whole:
    """By reading everything."""

    def __init__(self, engine: Engine, trial: Trial, now: int) -> None:
        """Prepare.

        Args:
            engine: Has the view `spans`.
            trial: The experiment.
            now: Nanoseconds since 1970.
        """
        self.engine, self.trial, self.now = engine, trial, now

    def tallies(self) -> Tallies:
        """The store's rows, counted."""
        return read_tallies(self.engine, self.trial, self.now)

    def aggregates(
        self, tallies: Tallies, eligible: Sequence[Eligible], settles: Settles
    ) -> tuple[Aggregates, Scale]:
        """What the units add up to, and by what they are measured."""
        keep_tables(self.engine, self.trial, eligible)
        scale = scale_of(self.engine, self.trial, settles)
        return aggregate(self.engine, self.trial, tallies, scale), scale


def keep_tables(engine: Engine, trial: Trial, eligible: Sequence[Eligible]) -> None:
    """Make the tables of units and events."""
    keep_units(engine, trial, eligible)
    keep_events(engine, trial)
    keep_values(engine, trial)
