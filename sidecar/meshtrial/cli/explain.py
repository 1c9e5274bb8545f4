"""`meshtrial explain`: why a unit gets its arm."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meshtrial.errors import SettingError
from meshtrial.plan.problems import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from meshtrial.assign.explain import Explanation
    from meshtrial.plan.model import Plan


def explain(
    plan: Annotated[Path, typer.Argument(help="The plan document.", metavar="PLAN")],
    experiment: Annotated[str, typer.Argument(help="The experiment's id in the plan.", metavar="EXPERIMENT")],
    unit: Annotated[
        str, typer.Argument(help="The unit as the request carries it, such as a user's id.", metavar="UNIT")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show every step from a unit to its arm: the key that is hashed, its bucket, who owns it.

    Computed here, by what `serve` computes; the unit is shown in clear and sent nowhere.
    """
    import msgspec
    from rich.console import Console

    from meshtrial.assign.explain import explain as explained
    from meshtrial.cli.plan_file import chosen_experiment, read_plan

    compiled = read_plan(plan)
    chosen = chosen_experiment(plan, compiled, experiment)
    explanation = explained(compiled, chosen, _usable(unit))
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(_document(compiled, explanation))))
    else:
        Console(soft_wrap=True).print(_rendered(explanation))


def _usable(unit: str) -> bytes:
    from meshtrial.assign.unit import MAX_UNIT_BYTES, NoUnit, unusable

    value = os.fsencode(unit)  # the argument's own bytes, also where they are no UTF-8
    why = unusable(value)
    if why is None:
        return value
    what = {
        NoUnit.EMPTY: "is empty",
        NoUnit.TOO_LONG: f"has {len(value):,} bytes, the limit is {MAX_UNIT_BYTES:,}",
        NoUnit.NOT_UTF8: "is not UTF-8",
    }[why]
    raise SettingError(f"the unit {what}: a request with it goes to control and is not exposed")


def _document(plan: "Plan", explanation: "Explanation") -> dict[str, Any]:
    experiment, mutation = explanation.experiment, explanation.mutation
    return {
        "plan": plan.digest,
        "experiment": experiment.id,
        "phase": experiment.phase,
        "match": {"route": experiment.match.route, "path_prefix": experiment.match.path_prefix},
        "unit_kind": experiment.unit.kind,
        "unit": explanation.unit.decode(),
        "key": explanation.key.decode(),
        "hash": "md5",
        "hashed": explanation.md5,
        "buckets": experiment.buckets,
        "bucket": explanation.bucket,
        "lanes": [
            {
                "arm": lane.arm.id,
                "control": lane.arm is experiment.control,
                "start": lane.start,
                "end": lane.end,
                "share": float(experiment.share(lane.arm)),
            }
            for lane in explanation.lanes
        ],
        "arm": explanation.arm.id,
        "cluster": explanation.arm.cluster,
        "headers": {"set": dict(mutation.set), "remove": list(mutation.remove)},
        "why": explanation.why(),
    }


def _rendered(explanation: "Explanation") -> "RenderableType":
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from meshtrial.cli.wording import share, who

    experiment, mutation = explanation.experiment, explanation.mutation
    steps = Table.grid(padding=(0, 2))
    rows = [
        ("takes part", who(experiment)),
        ("unit", printable(explanation.unit.decode())),
        ("key", printable(explanation.key.decode())),
        ("md5", explanation.md5),
        ("bucket", f"{explanation.bucket:,} of {experiment.buckets:,}"),
        ("arm", explanation.arm.id),
        ("cluster", explanation.arm.cluster),
        *(("sets", f"{name}: {value}") for name, value in mutation.set),
        *(("removes", name) for name in mutation.remove),
        ("why", explanation.why()),
    ]
    for name, text in rows:
        steps.add_row(Text(name, "bold"), Text(text))
    lanes = Table()
    for heading in ("arm", "buckets", "share", ""):
        lanes.add_column(heading, justify="left" if heading == "arm" else "right")
    for lane in explanation.lanes:
        name = f"{lane.arm.id} (control)" if lane.arm is experiment.control else lane.arm.id
        buckets = f"{lane.start:,} - {lane.end - 1:,}" if lane.end > lane.start else "none"
        here = "<- here" if lane.arm is explanation.arm else ""
        lanes.add_row(Text(name), buckets, share(experiment, lane.arm), here)
    return Group(steps, lanes)
