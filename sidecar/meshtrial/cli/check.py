"""`meshtrial check`: whether plans are valid, and what they mean."""

from pathlib import Path
from typing import Annotated, Any

import typer

from meshtrial.errors import MeshtrialError, PlanError
from meshtrial.plan.problems import printable


def check(
    plans: Annotated[list[Path], typer.Argument(help="Plan documents.", metavar="PLAN...")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document for all plans.")] = False,
) -> None:
    """Check plans with the loader that `serve` uses, and say what they mean.

    One plan, or several:

        meshtrial check plan.yaml

    Every broken rule of every plan is reported at once, each with its file, line, place and rule; the
    exit status is then 2.
    """
    import msgspec
    from rich.console import Console

    from meshtrial.cli.plan_document import plan_document
    from meshtrial.cli.plan_file import read_plan
    from meshtrial.cli.plan_tables import rendered

    console = Console(soft_wrap=True)
    documents: list[dict[str, Any]] = []
    errors: list[MeshtrialError] = []
    for path in plans:
        name = printable(str(path))
        try:
            plan = read_plan(path)
        except MeshtrialError as error:
            errors.append(error)
            documents.append({"file": name, **_refused(error)})
        else:
            documents.append(
                {"file": name, "plan": plan.digest, "error": None, "problems": [], **plan_document(plan)}
            )
            if not as_json:
                console.print(rendered(name, plan))
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode({"plans": documents})))
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise MeshtrialError("\n".join(str(error) for error in errors))


def _refused(error: MeshtrialError) -> dict[str, Any]:
    problems = [p._asdict() for p in error.problems] if isinstance(error, PlanError) else []
    nothing: dict[str, Any] = {"metrics": [], "layers": [], "cohorts": [], "experiments": []}
    return {"plan": None, "error": str(error), "problems": problems, **nothing}
