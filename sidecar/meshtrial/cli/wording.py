"""How the commands word what a plan says."""

from meshtrial.plan.model import Arm, Experiment


def who(experiment: Experiment) -> str:
    """Who takes part and how they are told apart: `path /recommend, by header x-user-id`."""
    match = experiment.match
    conditions = [f"path {match.path_prefix}"] if match.path_prefix is not None else []
    conditions += [f"route {match.route}"] if match.route is not None else []
    unit = "request" if experiment.unit.kind == "request" else f"header {experiment.unit.header}"
    return f"{' on '.join(conditions) or 'every request'}, by {unit}"


def share(experiment: Experiment, arm: Arm) -> str:
    """An arm's share of the units: `12.5%`."""
    return f"{float(experiment.share(arm)) * 100:.12g}%"


def days(seconds: int) -> str:
    """A duration above 0 in the longest unit that divides it: `14 days`, `90 seconds`."""
    units = {"day": 86_400, "hour": 3600, "minute": 60, "second": 1}
    unit, length = next((unit, length) for unit, length in units.items() if seconds % length == 0)
    count = seconds // length
    return f"{count:,} {unit}{'s' if count > 1 else ''}"
