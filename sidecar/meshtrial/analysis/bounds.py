"""Which units health is judged by: those that the verdict stands on, never what came after."""

from dataclasses import dataclass

from meshtrial.analysis.units import Trial


@dataclass(frozen=True, slots=True)
class Bounds:
    """Times, in nanoseconds since 1970."""

    cut: int | None
    """Where the trial's last look was cut: later units are not judged. None while it goes on."""
    closed: int
    """Units first exposed before are final now."""
    now: int

    @property
    def final(self) -> int:
        """Units first exposed before are final, and judged."""
        return self.closed if self.cut is None else min(self.closed, self.cut)

    def until(self, closing: int) -> int:
        """Nothing that was received later concerns the units judged."""
        return self.now if self.cut is None else min(self.now, self.cut + closing)

    def first_exposed(self, trial: Trial, column: str) -> str:
        """The condition that a first exposure's column is of a final unit, of any phase."""
        cut = "" if self.cut is None else f" AND {column} < {self.cut}"
        return f"{column} <= {self.now - trial.closing}{cut}"
