"""Units by a field, such as a stratum of the plan -> the effect by its values, and whether it differs; pure.

It explores: with enough fields some effect differs in any trial. p-values are adjusted for how many fields,
metrics and arms were asked (Benjamini & Hochberg), and what is found is a hint for a next trial.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from meshtrial.analysis.measured import Measured
from meshtrial.analysis.slices import Slices
from meshtrial.analysis.told import Telling, Told
from meshtrial.stats.contrast import Contrast
from meshtrial.stats.estimate import NotEstimable
from meshtrial.stats.interaction import Compared, Heterogeneity, interaction, main_effect
from meshtrial.stats.multiplicity import benjamini_hochberg

MOST_VALUES: Final = 20
"""Values of a field that are told one by one, those with most units; the others are told together."""
LEAST_TESTED: Final = 50
"""Units in each arm from which on a value takes part in a test: with fewer, its variance is a guess."""
LEAST_EXPECTED: Final = 10
"""Of a proportion: units with the outcome, and without, that each arm should have by the rate of both."""


@dataclass(frozen=True, slots=True)
class OfValue:
    """The effect on the units of one value."""

    value: str | None
    """"" where a unit has none; None for all other values together."""
    joined: int
    """Values that are taken together."""
    told: Told
    tested: bool
    """Whether it has units enough to take part in the tests."""


@dataclass(frozen=True, slots=True)
class Breakdown:
    """One metric of one arm by one field."""

    field: str
    metric: str
    arm: str
    values: tuple[OfValue, ...]
    """Those with most units first."""
    interaction: Compared
    """Whether effects differ between values."""
    main: Compared
    """Whether values of the metric do, whatever the arm."""
    adjusted_p: float | None = None
    """Of the interaction, for all that were asked."""


def breakdown_of(field: str, metric: str, arm: str, slices: Slices[str], telling: Telling) -> Breakdown:
    """One metric of one arm by one field.

    Args:
        field: Its name.
        metric: Id of the metric of the slices.
        arm: Id of their arm.
        slices: Units by the field's values.
        telling: How effects are told.
    """
    sizes = slices.sizes
    ordered = sorted(sizes, key=lambda value: (-sizes[value], value))
    parts = [(value, [value]) for value in ordered[:MOST_VALUES]]
    rest: list[tuple[str | None, list[str]]] = [(None, ordered[MOST_VALUES:])]
    measured = [(value, joined, slices.measured(joined)) for value, joined in [*parts, *rest] if joined]
    values = tuple(
        OfValue(
            value,
            len(joined),
            Told(*slices.units(joined), telling.of(found).comparison),
            _is_enough(found),
        )
        for value, joined, found in measured
    )
    contrasts = [
        found.contrast
        for of_value, (_, _, found) in zip(values, measured, strict=True)
        if of_value.tested and isinstance(found.contrast, Contrast)
    ]
    tests = _tests(contrasts, independent=slices.independent)
    return Breakdown(field, metric, arm, values, *tests)


def adjusted(breakdowns: Iterable[Breakdown]) -> tuple[Breakdown, ...]:
    """With p-values of interactions adjusted for each other; what has none was asked all the same."""
    asked = list(breakdowns)
    tests = [one.interaction for one in asked]
    p_values = benjamini_hochberg([t.p_value if isinstance(t, Heterogeneity) else 1.0 for t in tests])
    return tuple(
        replace(one, adjusted_p=p if isinstance(one.interaction, Heterogeneity) else None)
        for one, p in zip(asked, p_values, strict=True)
    )


def _is_enough(measured: Measured) -> bool:
    """By units, and of proportions by the outcomes of both arms together: neither favours an arm."""
    units = min(measured.control_units, measured.treatment_units)
    if not measured.strata:
        return units >= LEAST_TESTED
    had = sum(s.control.successes + s.treatment.successes for s in measured.strata)
    rate = had / (measured.control_units + measured.treatment_units)
    return units >= LEAST_TESTED and units * min(rate, 1 - rate) >= LEAST_EXPECTED


def _tests(contrasts: Sequence[Contrast], *, independent: bool) -> tuple[Compared, Compared]:
    if not independent:
        refused = NotEstimable("groups have units of several values, which are alike")
        return refused, refused
    if len(contrasts) < 2:
        refused = NotEstimable("there are no two values with units enough")
        return refused, refused
    return interaction(contrasts), main_effect(contrasts)
