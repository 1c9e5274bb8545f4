"""A plan's file -> Plan."""

from pathlib import Path

from meshtrial.errors import SettingError
from meshtrial.plan.load import load
from meshtrial.plan.model import Experiment, Plan
from meshtrial.plan.problems import listed, printable, suggestion
from meshtrial.plan.tree import PROXY

MAX_BYTES = PROXY.characters
"""A file of so many bytes holds no more characters; a plan of its own has a limit of its own."""


def read_plan(path: Path) -> Plan:
    """Read and compile a plan's file.

    Raises:
        SettingError: The file is absent, unreadable, a directory, too large or not UTF-8.
        PlanError: The plan breaks at least one rule.
    """
    name = printable(str(path))
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SettingError(f"the plan {name} cannot be read: {why}") from error
    if len(content) > MAX_BYTES:
        raise SettingError(f"the plan {name} is over {MAX_BYTES:,} bytes, the limit")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SettingError(f"the plan {name} is not UTF-8 text: line {line} cannot be decoded") from error
    return load(text, name)


def chosen_experiment(path: Path, plan: Plan, experiment_id: str) -> Experiment:
    """The experiment of this id.

    Raises:
        SettingError: The plan has none; the nearest of those that it has is named, else all.
    """
    chosen = plan.experiment(experiment_id)
    if chosen is None:
        known = [experiment.id for experiment in plan.experiments]
        asked, near = printable(experiment_id), suggestion(experiment_id, known)
        raise SettingError(
            f"{printable(str(path))} has no experiment `{asked}`{near or f'; it has {listed(known)}'}"
        )
    return chosen
