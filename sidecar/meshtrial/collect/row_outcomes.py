"""A row of a file -> the outcome that the collector's door takes. Pure.

Stage: file_rows -> row_cells -> **row_outcomes** -> importing -> the collector's door.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from meshtrial.collect.row_cells import number_cell, text_cell, time_cell
from meshtrial.errors import SettingError
from meshtrial.record.outcome import KIND_RULE, NAME_RULE, is_kind, is_name


@dataclass(frozen=True, slots=True)
class Columns:
    """Where a file has what an outcome is made of."""

    unit: str
    """Column of the clear unit ids."""
    unit_kind: str
    """The units' kind, as the plan's experiments have it: `header:x-user-id`."""
    time: str
    """Column of the times."""
    name: str | None = None
    """The outcome's name; None where a column has it."""
    name_column: str | None = None
    id: str | None = None
    """Column of the outcomes' ids; None where rows have none."""
    values: tuple[tuple[str, str], ...] = ()
    """Fields of the outcome, each with its column."""
    zone: tzinfo | None = None
    """Where times without an offset were written down; None to refuse them."""

    def __post_init__(self) -> None:
        """Raise `SettingError` for what every row would be refused for."""
        if not is_kind(self.unit_kind):
            raise SettingError(f"--unit-kind {self.unit_kind}: {KIND_RULE}")
        if (self.name is None) == (self.name_column is None):
            raise SettingError(
                "give the outcomes' name by --name, or by --name-column the column that has it"
            )
        if self.name is not None and not is_name(self.name):
            raise SettingError(f"--name {self.name}: {NAME_RULE}")
        fields = [field for field, _ in self.values]
        for field in fields:
            if not is_name(field):
                raise SettingError(f"--value {field}: {NAME_RULE}")
            if fields.count(field) > 1:
                raise SettingError(f"--value {field} is given twice")

    @property
    def repeats(self) -> bool:
        """Equal rows are as many outcomes, unless ids tell them apart."""
        return self.id is None

    def item(self, cells: Mapping[str, object]) -> dict[str, Any]:
        """The outcome of a row (`outcome_of`)."""
        return outcome_of(cells, self)

    def needed(self) -> tuple[str, ...]:
        """The columns that are read, each once."""
        some = (self.unit, self.time, self.name_column, self.id, *(column for _, column in self.values))
        return tuple(dict.fromkeys(column for column in some if column is not None))


def outcome_of(cells: Mapping[str, object], columns: Columns) -> dict[str, Any]:
    """The outcome of a row: `id` is left out where no column has it; an empty cell is a value left out.

    Equal outcomes give equal results, however their times and numbers are written.

    Raises:
        RowFlaw: A cell cannot be what it is to be.
    """
    fixed = {} if columns.id is None else {"id": text_cell(cells, columns.id)}
    return {
        **fixed,
        "unit": {"kind": columns.unit_kind, "value": text_cell(cells, columns.unit)},
        "name": columns.name if columns.name_column is None else text_cell(cells, columns.name_column),
        "time": time_cell(cells, columns.time, columns.zone),
        "values": {
            field: number_cell(cells[column], column)
            for field, column in columns.values
            if cells[column] not in (None, "")
        },
    }
