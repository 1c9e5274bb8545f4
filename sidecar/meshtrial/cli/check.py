"""`meshtrial check`: whether plans are valid, and what they mean."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meshtrial.errors import MeshtrialError, PlanError
from meshtrial.plan.problems import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from meshtrial.plan.model import Experiment, Plan


def check(
    plans: Annotated[list[Path], typer.Argument(help="Plan documents.", metavar="PLAN...")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document for all plans.")] = False,
) -> None:
    """Check plans with the loader that `serve` uses, and say what they mean.

    Every broken rule of every plan is reported at once, each with its file, line, place and rule; the
    exit status is then 2.
    """
    import msgspec
    from rich.console import Console

    from meshtrial.cli.plan_file import read_plan

    console = Console(soft_wrap=True)
    documents: list[dict[str, Any]] = []
    errors: list[MeshtrialError] = []
    for path in plans:
        try:
            plan = read_plan(path)
        except MeshtrialError as error:
            errors.append(error)
            documents.append(_refused(path, error))
        else:
            documents.append(_document(path, plan))
            if not as_json:
                console.print(_rendered(path, plan))
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode({"plans": documents})))
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise MeshtrialError("\n".join(str(error) for error in errors))


def _refused(path: Path, error: MeshtrialError) -> dict[str, Any]:
    problems = [p._asdict() for p in error.problems] if isinstance(error, PlanError) else []
    return {
        "file": printable(str(path)),
        "plan": None,
        "error": str(error),
        "problems": problems,
        "experiments": [],
    }


def _document(path: Path, plan: "Plan") -> dict[str, Any]:
    experiments = [_experiment(experiment) for experiment in plan.experiments]
    return {
        "file": printable(str(path)),
        "plan": plan.digest,
        "error": None,
        "problems": [],
        "experiments": experiments,
    }


def _experiment(experiment: "Experiment") -> dict[str, Any]:
    rule = experiment.decision
    return {
        "experiment": experiment.id,
        "match": {"route": experiment.match.route, "path_prefix": experiment.match.path_prefix},
        "unit": experiment.unit.kind,
        "hash": "md5",
        "buckets": experiment.buckets,
        "salt": experiment.salt,
        "phase": experiment.phase,
        "arms": [
            {
                "arm": arm.id,
                "control": arm is experiment.control,
                "share": float(experiment.share(arm)),
                "buckets": arm.width,
                "cluster": arm.cluster,
                "headers": dict(arm.headers),
            }
            for arm in experiment.arms
        ],
        "decision": {
            "method": "fixed",
            "alpha": rule.alpha,
            "power": rule.power,
            "planned_units": rule.planned_units,
            "minimum_duration": rule.minimum_duration,
            "primary": [
                {
                    "metric": primary.metric.id,
                    "direction": primary.direction.value,
                    "minimum_effect": primary.minimum_effect.value,
                    "scale": primary.minimum_effect.scale.value,
                    "window": primary.metric.window,
                }
                for primary in rule.primary
            ],
        },
    }


def _rendered(path: Path, plan: "Plan") -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    count = len(plan.experiments)
    head = Text(printable(str(path)), "bold")
    head.append(f": valid, {count} experiment{'s' if count > 1 else ''}\ndigest {plan.digest}", "not bold")
    return Group(head, *(_table(experiment) for experiment in plan.experiments))


def _table(experiment: "Experiment") -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    from meshtrial.cli.wording import days, share, who

    rule = experiment.decision
    table = Table(title=Text(f"{experiment.id}: {who(experiment)}"), title_justify="left")
    for heading in ("arm", "share", "cluster", "headers"):
        table.add_column(heading, justify="right" if heading == "share" else "left")
    for arm in experiment.arms:
        name = f"{arm.id} (control)" if arm is experiment.control else arm.id
        headers = ", ".join(f"{key}: {value}" for key, value in arm.headers)
        table.add_row(Text(name), share(experiment, arm), Text(arm.cluster), Text(headers))
    metrics = ", ".join(primary.metric.id for primary in rule.primary)
    planned = f"{rule.planned_units:,} units over at least {days(rule.minimum_duration)}"
    table.caption = Text(f"judged once on {metrics}, after {planned}")
    table.caption_justify = "left"
    return table
