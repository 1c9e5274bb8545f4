"""Units divided by what they were like at their first exposure, such as its day: any part, measured."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from meshtrial.analysis.blocks import Block
from meshtrial.analysis.cells import Cells, Clock, Key, summed
from meshtrial.analysis.contrasts import measured_of
from meshtrial.analysis.designs import measured_clusters
from meshtrial.analysis.measured import Measured
from meshtrial.analysis.strata import strata_of
from meshtrial.plan.inference import Metric

Value = TypeVar("Value", str, int)


class Slices(Protocol[Value]):
    """One metric of one arm beside control."""

    @property
    def sizes(self) -> Mapping[Value, int]:
        """Units of all arms by value, in order of the values."""

    @property
    def independent(self) -> bool:
        """Whether estimates of different values are: no, where groups have units of several."""

    def units(self, values: Collection[Value]) -> tuple[int, int]:
        """How many control and treatment have of these values, compared or not."""

    def measured(self, values: Collection[Value]) -> Measured:
        """The units of these values together, as a trial of their own."""


@dataclass(frozen=True, slots=True)
class UnitSlices(Generic[Value]):
    """Where units are randomised one by one."""

    metric: Metric
    cells: Mapping[Value, Cells]
    """By value, of whole days."""
    arms: tuple[str, str]
    """Control and treatment."""
    clock: Clock

    @property
    def sizes(self) -> Mapping[Value, int]:
        """Units of all arms by value."""
        return {value: sum(cell.units for cell in self.cells[value].values()) for value in sorted(self.cells)}

    @property
    def independent(self) -> bool:
        """No unit has two values."""
        return True

    def units(self, values: Collection[Value]) -> tuple[int, int]:
        """How many control and treatment have of these values."""
        counts = summed(
            ((key, cell.units) for value in values for key, cell in self.cells[value].items()),
            lambda key: key.arm,
        )
        return counts.get(self.arms[0], 0), counts.get(self.arms[1], 0)

    def measured(self, values: Collection[Value]) -> Measured:
        """The units of these values together."""
        cells = summed((part for value in values for part in self.cells[value].items()), lambda key: key)
        counts = {key: cell.units for key, cell in cells.items()}
        return measured_of(
            self.metric, cells, strata_of(counts, *self.arms, self.clock), self.arms, self.clock
        )


def sliced(
    metric: Metric, cells: Cells, value_of: Callable[[Key], Value], arms: tuple[str, str], clock: Clock
) -> UnitSlices[Value]:
    """Cells of whole days of a metric that is no quantile, by a value of their keys."""
    by_value: dict[Value, list[Key]] = {}
    for key in cells:
        by_value.setdefault(value_of(key), []).append(key)
    return UnitSlices(
        metric,
        {
            value: summed(
                ((key, cells[key]) for key in keys),
                lambda key: key._replace(strata=()),
            )
            for value, keys in by_value.items()
        },
        arms,
        clock,
    )


@dataclass(frozen=True, slots=True)
class GroupSlices(Generic[Value]):
    """Where groups are randomised: a group may have units of several values."""

    metric: Metric
    blocks: Mapping[Value, Sequence[Block]]
    """By value: of each group its units that have it."""
    arms: tuple[str, str]
    """Control and treatment."""

    @property
    def sizes(self) -> Mapping[Value, int]:
        """Units of all arms by value."""
        return {value: sum(block.units for block in self.blocks[value]) for value in sorted(self.blocks)}

    @property
    def independent(self) -> bool:
        """Units of a group are alike, whatever their values."""
        return False

    def units(self, values: Collection[Value]) -> tuple[int, int]:
        """How many control and treatment have of these values."""
        blocks = [block for value in values for block in self.blocks[value]]
        control, treatment = (sum(b.units for b in blocks if b.arm == arm) for arm in self.arms)
        return control, treatment

    def measured(self, values: Collection[Value]) -> Measured:
        """The units of these values together, groups as clusters."""
        groups: dict[tuple[int, str, str], Block] = {}
        for value in values:
            for block in self.blocks[value]:
                one = groups.get((block.key, block.cohort, block.arm))
                groups[block.key, block.cohort, block.arm] = block if one is None else _joined(one, block)
        return measured_clusters(self.metric, [groups[key] for key in sorted(groups)], *self.arms)


def _joined(one: Block, other: Block) -> Block:
    totals = tuple(a + b for a, b in zip(one.totals, other.totals, strict=True))
    return one._replace(units=one.units + other.units, totals=totals)
