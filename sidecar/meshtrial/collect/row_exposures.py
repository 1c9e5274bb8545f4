"""A row of a file -> the exposure that the collector's door takes, checked against a plan. Pure.

Stage: file_rows -> row_cells -> **row_exposures** -> importing -> the collector's door.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Any, Final

from meshtrial.collect.row_cells import RowFlaw, text_cell, time_cell
from meshtrial.errors import SettingError
from meshtrial.plan.excerpt import excerpt
from meshtrial.plan.model import Experiment, Mode, Plan
from meshtrial.plan.problems import listed, printable

_SHOWN: Final = 60
"""Characters of a cell that a reason repeats."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file has what an exposure is made of."""

    unit: str
    """Column of the clear unit ids; of a group its members'."""
    arm: str
    """Column of the arms."""
    time: str
    """Column of the times of exposure."""
    cohort: str | None = None
    """Column of the cohorts whose weights counted, where the experiment has weights by cohort."""
    group: str | None = None
    """Column of the clear ids of groups, where groups are randomised."""
    strata: tuple[tuple[str, str], ...] = ()
    """Headers that the experiment lists as strata, each with its column."""
    zone: tzinfo | None = None
    """Where times without an offset were written down; None to refuse them."""


@dataclass(frozen=True, slots=True)
class ExposureColumns:
    """An experiment and the file of its exposures; made by `exposure_columns`."""

    experiment: str
    phase: str
    plan: str
    """Digest of the plan."""
    unit_kind: str
    group_kind: str | None
    arms: tuple[str, ...]
    cohorts: tuple[str, ...]
    place: Place

    @property
    def repeats(self) -> bool:
        """A unit that met its arm twice at one moment met it."""
        return False

    def needed(self) -> tuple[str, ...]:
        """The columns that are read, each once."""
        place = self.place
        some = (place.unit, place.arm, place.time, place.cohort, place.group, *(c for _, c in place.strata))
        return tuple(dict.fromkeys(column for column in some if column is not None))

    def item(self, cells: Mapping[str, object]) -> dict[str, Any]:
        """The exposure of a row; an empty cell is a stratum left out.

        Raises:
            RowFlaw: A cell cannot be what it is to be, or the plan has no such arm or cohort.
        """
        place = self.place
        exposure: dict[str, Any] = {
            "unit": {"kind": self.unit_kind, "value": text_cell(cells, place.unit)},
            "experiment": self.experiment,
            "arm": _one_of(self.arms, cells, place.arm, f"an arm of `{self.experiment}`"),
            "phase": self.phase,
            "plan": self.plan,
            "time": time_cell(cells, place.time, place.zone),
        }
        if place.cohort is not None:
            exposure["cohort"] = _one_of(self.cohorts, cells, place.cohort, "a cohort with weights")
        if place.group is not None:
            exposure["group"] = {"kind": self.group_kind, "value": text_cell(cells, place.group)}
        strata = {name: text_cell(cells, c) for name, c in place.strata if cells[c] not in (None, "", b"")}
        return {**exposure, "strata": strata} if strata else exposure


def exposure_columns(experiment: Experiment, digest: str, place: Place, phase: str | None) -> ExposureColumns:
    """Check against the plan what every row would be refused for.

    Args:
        experiment: Of the plan.
        digest: The plan's.
        place: What the user says of the file.
        phase: The phase that the user takes the exposures to be of, None for that of the plan.

    Raises:
        SettingError: The file cannot be of this experiment.
    """
    if phase is not None and phase != experiment.phase:
        raise SettingError(
            f"--phase {printable(phase)}: the plan has `{experiment.id}` in phase {experiment.phase}; import "
            f"with the plan that was in force"
        )
    if experiment.unit.switchback is not None:
        raise SettingError(f"`{experiment.id}` is a switchback: its exposures cannot be imported")
    cohorts = tuple(split.id for split in experiment.splits) if len(experiment.splits) > 1 else ()
    _demand("--cohort-column", place.cohort, f"`{experiment.id}` has weights by cohort", wanted=bool(cohorts))
    grouped = experiment.unit.group_kind is not None
    _demand("--group-column", place.group, f"`{experiment.id}` randomises groups", wanted=grouped)
    known = [source.name for source in experiment.strata]
    names = [name for name, _ in place.strata]
    for name in names:
        if name not in known or names.count(name) > 1:
            what = f"{listed(known)}, each once" if known else "none"
            raise SettingError(f"--stratum {printable(name)}: the strata of `{experiment.id}` are {what}")
    return ExposureColumns(
        experiment=experiment.id,
        phase=experiment.phase,
        plan=digest,
        unit_kind=experiment.unit.kind,
        group_kind=experiment.unit.group_kind,
        arms=tuple(arm.id for arm in experiment.arms),
        cohorts=cohorts,
        place=place,
    )


def plan_item(plan: Plan, experiment: Experiment, now: datetime) -> dict[str, Any]:
    """What follows the exposures, so that the store knows their allocation and, once it is amended, the rule.

    A plan that has paused the experiment meanwhile tells of exposures from before: it is recorded as running.

    Args:
        plan: By which they are imported.
        experiment: Of the plan.
        now: When.
    """
    ran = replace(experiment, mode=Mode.RUNNING)
    return {
        "experiment": experiment.id,
        "phase": experiment.phase,
        "plan": plan.digest,
        "document": excerpt(plan, ran).canonical,
        "time": now.isoformat(),
    }


def strata_left_out(experiment: Experiment, place: Place) -> tuple[str, ...]:
    """Strata that the experiment lists and no column has."""
    named = {name for name, _ in place.strata}
    return tuple(source.name for source in experiment.strata if source.name not in named)


def _demand(flag: str, given: str | None, why: str, *, wanted: bool) -> None:
    if wanted and given is None:
        raise SettingError(f"{why}: say with {flag} which column has them")
    if given is not None and not wanted:
        raise SettingError(f"{flag} {printable(given)}: it is not so that {why}")


def _one_of(known: tuple[str, ...], cells: Mapping[str, object], column: str, what: str) -> str:
    text = text_cell(cells, column)
    if text not in known:
        shown = printable(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")
        raise RowFlaw(f"`{column}` must be {what} ({', '.join(known)}), not `{shown}`")
    return text
