"""How an effect beside the verdict is told: by an interval of one look, or one that holds at any; pure."""

from dataclasses import dataclass

from meshtrial.analysis.measured import Measured
from meshtrial.stats.estimate import Comparison
from meshtrial.stats.fixed import fixed
from meshtrial.stats.proportion import compare_proportions
from meshtrial.stats.sequence import confidence_sequence
from meshtrial.stats.stratified import compare_stratified_proportions


@dataclass(frozen=True, slots=True)
class Told:
    """One effect."""

    control_units: int
    treatment_units: int
    comparison: Comparison


@dataclass(frozen=True, slots=True)
class Telling:
    """With which interval."""

    alpha: float
    """Two-sided error rate, in (0, 0.5)."""
    tuned_for: float | None = None
    """Of a confidence sequence, as `confidence_sequence` takes it, in the unit of `Measured.time`; None for
    an interval of one look."""

    def of(self, measured: Measured) -> Told:
        """Tell what was measured."""
        return Told(measured.control_units, measured.treatment_units, self._comparison(measured))

    def _comparison(self, measured: Measured) -> Comparison:
        if self.tuned_for is not None:
            if measured.too_early is not None:
                return measured.too_early
            return confidence_sequence(measured.contrast, self.alpha, self.tuned_for, measured.time)
        if len(measured.strata) == 1:
            [only] = measured.strata
            return compare_proportions(only.control, only.treatment, self.alpha)
        if measured.strata:
            return compare_stratified_proportions(measured.strata, self.alpha)
        return fixed(measured.contrast, self.alpha)
