"""`meshtrial explain`: why a request gets its arms."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from meshtrial.errors import SettingError
from meshtrial.plan.problems import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from meshtrial.assign.explain import Walk
    from meshtrial.assign.mutation import Mutation
    from meshtrial.assign.request import Request

_Metadata = dict[str, dict[str, Any]]


def explain(
    plan: Annotated[Path, typer.Argument(help="The plan document.", metavar="PLAN")],
    experiment: Annotated[
        str | None, typer.Argument(help="One experiment's id in the plan.", metavar="EXPERIMENT")
    ] = None,
    unit: Annotated[
        str | None,
        typer.Argument(help="The unit as the request carries it, such as a user's id.", metavar="UNIT"),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option("--header", "-H", help="A request header, as `name: value`; more than once for more."),
    ] = None,
    path: Annotated[
        str | None, typer.Option(help="The request's path, with its query; / where left out.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="The request's host.")] = None,
    method: Annotated[str | None, typer.Option(help="The request's method; GET where left out.")] = None,
    route: Annotated[
        str | None, typer.Option(help="The name of the route that the proxy takes first.")
    ] = None,
    metadata: Annotated[
        str | None, typer.Option(help="The proxy's dynamic metadata by namespace, a JSON object.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Walk a decision step by step: match, audience, layer, bucket, arm, and why.

    A unit of one experiment; match and audience are taken to hold:

        meshtrial explain plan.yaml rank-v2 u42

    A unit and the rest of its request, which decides match, audience and cohort:

        meshtrial explain plan.yaml rank-v2 u42 --path /recommend -H 'x-country: IN'

    A whole request, through every experiment:

        meshtrial explain plan.yaml --path /recommend -H 'x-user-id: u42'

    Computed here, by what `serve` computes; the unit is shown in clear and sent nowhere. Signed headers
    are not verified, and kept arms of sticky experiments are not known here.
    """
    import msgspec
    from rich.console import Console

    from meshtrial.assign.context import Context
    from meshtrial.assign.explain import explain as explained
    from meshtrial.assign.explain import explain_request, explain_unit, mutation_walked, walks_document
    from meshtrial.cli.plan_file import chosen_experiment, read_plan

    if experiment is not None and unit is None:
        raise SettingError("explain needs a UNIT after EXPERIMENT, or neither of them and --header, --path")
    request = _request(header or [], path, host, method, route, metadata)
    compiled = read_plan(plan)
    context = Context(now=time.time_ns(), chance=os.urandom(16))
    if experiment is not None and unit is not None:
        chosen = chosen_experiment(plan, compiled, experiment)
        value = _usable(unit)
        walks: tuple[Walk, ...] = (
            explain_unit(value, chosen, compiled, context)
            if request is None
            else explain_request(value, request, chosen, compiled, context),
        )
    elif request is not None:
        walks = explained(request, compiled, context)
    else:
        raise SettingError(
            "explain needs a request, such as --path /recommend --header 'x-user-id: u42', or EXPERIMENT UNIT"
        )
    if as_json:
        document = walks_document(walks, compiled)
        typer.echo(msgspec.json.format(msgspec.json.encode(document)))
    else:
        Console(soft_wrap=True).print(_rendered(walks, mutation_walked(walks, compiled)))


def _request(
    headers: list[str],
    path: str | None,
    host: str | None,
    method: str | None,
    route: str | None,
    metadata: str | None,
) -> "Request | None":
    """The request that the flags describe; None where there are none."""
    from meshtrial.assign.request import request_from

    if not headers and (path, host, method, route, metadata) == (None,) * 5:
        return None
    if path is not None and not path.startswith("/"):
        raise SettingError(f"--path {printable(path)}: a request's path begins with /, such as /recommend")
    named = [(":method", method or "GET"), (":authority", host or ""), *map(_header, headers)]
    encoded = [(name, os.fsencode(value)) for name, value in named]
    return request_from(encoded, path or "/", route or "", _metadata(metadata or "{}"))


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise SettingError(f"--header {printable(line)!r}: write `name: value`")
    return name, value


def _metadata(text: str) -> _Metadata:
    import msgspec

    try:
        return msgspec.json.decode(text, type=_Metadata)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise SettingError(f"--metadata must be a JSON object of objects by namespace: {error}") from error


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


def _rendered(walks: "tuple[Walk, ...]", mutation: "Mutation") -> "RenderableType":
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = []
    for walk in walks:
        steps = Table.grid(padding=(0, 2))
        for step in walk.steps:
            steps.add_row(Text(f"  {step.name}", "bold"), Text(printable(step.answer)))
        parts += [Text(walk.experiment.id, "bold underline"), steps, *_lanes(walk), Text()]
    changes = Table.grid(padding=(0, 2))
    for name, value in mutation.set:
        changes.add_row(Text("sets", "bold"), Text(f"{name}: {value}"))
    for name in mutation.remove:
        changes.add_row(Text("removes", "bold"), Text(name))
    return Group(*parts, changes)


def _lanes(walk: "Walk") -> "list[RenderableType]":
    from rich.table import Table
    from rich.text import Text

    if not walk.lanes:
        return []
    table = Table()
    for heading in ("arm", "buckets", "share", ""):
        table.add_column(heading, justify="left" if heading == "arm" else "right")
    buckets = walk.experiment.bucketing.buckets
    for lane in walk.lanes:
        name = f"{lane.arm} (control)" if lane.arm == walk.experiment.control.id else lane.arm
        share = f"{(lane.end - lane.start) / buckets * 100:.4g}%"
        here = "<- here" if lane.here else ""
        table.add_row(Text(name), f"{lane.start:,} - {lane.end - 1:,}", share, here)
    return [table]
