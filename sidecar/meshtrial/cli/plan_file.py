"""A plan's file -> Plan."""

from pathlib import Path

from meshtrial.errors import SettingError
from meshtrial.plan.load import load
from meshtrial.plan.model import Experiment, Plan
from meshtrial.plan.problems import printable
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
        SettingError: The plan has none; those that it has are named.
    """
    chosen = plan.experiment(experiment_id)
    if chosen is None:
        known = ", ".join(experiment.id for experiment in plan.experiments)
        asked = printable(experiment_id)
        raise SettingError(f"{printable(str(path))} has no experiment `{asked}`; it has {known}")
    return chosen
